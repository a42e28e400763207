//! ExportPolicy and ImportPolicy: what leaves, who may have it, that casbin answers by it as Authorize
//! does, and what is taken from a policy.

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::batch_authorize_result::Result as ItemResult;
use peerage::transport::grpc::pb::export_policy_response::Piece;
use tonic::{Code, Status};

use crate::oracle::foreign::Foreign;
use crate::support::policy::{allow, bind, binding, create_role, deny, of_group, role};
use crate::support::{Client, Server, TestPeer, bad_fields, reason, request_id};

/// An export that was read to its end.
struct Exported {
    model: String,
    policy: String,
    revision: i64,
    time: prost_types::Timestamp,
}

async fn export(client: &Client, request: pb::ExportPolicyRequest) -> Result<Exported, Status> {
    let mut pieces = client.roles().export_policy(request).await?.into_inner();
    let first = pieces.message().await?.unwrap();
    let Some(Piece::Model(model)) = first.piece else { panic!("the model comes first") };
    let (revision, time) = (first.revision, first.evaluation_time.unwrap());
    let mut policy = String::new();
    while let Some(next) = pieces.message().await? {
        let Some(Piece::Policy(lines)) = next.piece else { panic!("the model comes once") };
        assert!(lines.ends_with(b"\n") && lines.len() <= 1_048_576);
        assert_eq!((next.revision, next.evaluation_time.as_ref()), (revision, Some(&time)));
        policy.push_str(std::str::from_utf8(&lines).unwrap());
    }
    Ok(Exported { model, policy, revision, time })
}

fn whole(account: &str) -> pb::ExportPolicyRequest {
    pb::ExportPolicyRequest { account: account.to_owned(), ..Default::default() }
}

/// A partner with three customers: an open one, one that lets partners in by session only, and a
/// suspended one; peers who hold roles of packs, of a group, with DENY, and by window.
struct Scene {
    server: Server,
    msp: String,
    accounts: Vec<String>,
    peers: Vec<TestPeer>,
}

async fn scene() -> Scene {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("contoso-msp", &["opspilot365", "mspcontrol"]).await;
    let mut accounts = vec![msp.clone()];
    for id in ["open", "closed", "asleep"] {
        accounts.push(server.customer(id, &msp).await);
    }
    accounts.push(server.department("open-lab", &accounts[1]).await);
    let desk = server.custom_role(&msp, &["users.*", "accounts.view", "devices.view"]).await;
    let technician = server.person(&msp, "emily", &desk).await;
    let few = server.person_on(&msp, "mike", "roles/opspilot365.technician", &[&accounts[1]]).await;
    let own = server.person(&accounts[2], "kim", "roles/mspcontrol.help_desk").await;
    let gone = server.person(&msp, "zoe", &desk).await;

    let approval = pb::Requirements { approval: Some(pb::ApprovalRequirement::default()), ..Default::default() };
    let step_up = pb::StepUpRequirement { min_assurance: pb::AssuranceLevel::Totp.into(), ..Default::default() };
    let step_up = pb::Requirements { step_up: Some(step_up), ..Default::default() };
    let grants = [
        pb::Grant { requirements: Some(approval), ..allow("devices.*") },
        pb::Grant { requirements: Some(step_up), ..allow("*.view") },
        deny("users.view"),
    ];
    let mixed = create_role(&operator, pb::Role { inheritable: true, ..role(&msp, &grants) }).await.unwrap().name;
    let alone = pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..binding(&few.name, &mixed, &accounts[4]) };
    bind(&operator, alone).await.unwrap();
    let later = pb::RoleBinding { start_time: Some(server.time(3600)), ..binding(&few.name, &mixed, &accounts[2]) };
    bind(&operator, later).await.unwrap();
    let group = pb::Group { account: msp.clone(), title: "Nights".to_owned(), ..Default::default() };
    let group = pb::CreateGroupRequest { group: Some(group), request_id: request_id(), validate_only: false };
    let group = operator.roles().create_group(group).await.unwrap().into_inner().name;
    let member = pb::GroupMember { peer: technician.name.clone(), ..Default::default() };
    let member = pb::AddGroupMemberRequest {
        group: group.clone(),
        member: Some(member),
        request_id: request_id(),
        ..Default::default()
    };
    operator.roles().add_group_member(member).await.unwrap();
    bind(&operator, of_group(&group, &mixed, &msp)).await.unwrap();

    let settings =
        pb::AccountSettings { partner_access: pb::PartnerAccessMode::SessionOnly.into(), ..Default::default() };
    let closed = pb::Account { name: accounts[2].clone(), settings: Some(settings), ..Default::default() };
    let close = pb::UpdateAccountRequest {
        account: Some(closed),
        update_mask: Some(prost_types::FieldMask { paths: vec!["settings.partner_access".to_owned()] }),
        justification: "their wish".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    operator.accounts().update_account(close).await.unwrap();
    let suspend = pb::SuspendAccountRequest {
        name: accounts[3].clone(),
        scope: pb::SuspensionScope::Subtree.into(),
        reason: "unpaid".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    operator.accounts().suspend_account(suspend).await.unwrap();
    let disable = pb::DisablePeerRequest { name: gone.name.clone(), request_id: request_id(), ..Default::default() };
    operator.peers().disable_peer(disable).await.unwrap();
    Scene { server, msp, accounts, peers: vec![technician, few, own, gone] }
}

#[tokio::test]
async fn casbin_of_other_languages_answers_by_an_export_as_authorize_does() {
    let Scene { server, msp, accounts, peers } = scene().await;
    let operator = server.operator();
    let exported = export(&operator, whole(&msp)).await.unwrap();
    assert_eq!(exported.time, server.time(0));

    let permissions = [
        "users.view",
        "users.reset_password",
        "devices.view",
        "devices.update",
        "accounts.view",
        "licenses.order",
        "audit.view",
        "access.check",
        "accounts.transfer_ownership",
    ];
    let list = pb::ListPermissionsRequest { page_size: 1000, ..Default::default() };
    let known = operator.roles().list_permissions(list).await.unwrap().into_inner().permissions;
    let known: Vec<String> = known.into_iter().map(|permission| permission.name).collect();
    let mut items = Vec::new();
    for peer in &peers {
        for account in &accounts {
            for permission in permissions.iter().filter(|name| known.iter().any(|known| known == *name)) {
                items.push(pb::BatchAuthorizeItem {
                    subject: Some(pb::batch_authorize_item::Subject::Peer(peer.name.clone())),
                    permission: (*permission).to_owned(),
                    account: account.clone(),
                    context: None,
                });
            }
        }
    }
    let request = pb::BatchAuthorizeRequest { items: items.clone(), ..Default::default() };
    let answers = operator.access().batch_authorize(request).await.unwrap().into_inner();
    assert_eq!(answers.revision, exported.revision);
    let expected: Vec<String> = answers
        .results
        .into_iter()
        .map(|result| match result.result {
            Some(ItemResult::Decision(answer)) => {
                answer.decision().as_str_name().trim_start_matches("DECISION_").to_lowercase()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    for outcome in ["allow", "deny", "requires_step_up", "requires_approval"] {
        assert!(expected.iter().any(|answer| answer == outcome), "nothing comes to {outcome}");
    }
    let questions: Vec<[String; 4]> = items
        .iter()
        .map(|item| {
            let Some(pb::batch_authorize_item::Subject::Peer(peer)) = &item.subject else { panic!("{item:?}") };
            let (resource, action) = item.permission.split_once('.').unwrap();
            [
                peer.replace("peers/", "peer:"),
                item.account.replace("accounts/", "account:"),
                resource.to_owned(),
                action.to_owned(),
            ]
        })
        .collect();
    let given = tokio::task::spawn_blocking(move || {
        let foreign = Foreign::start();
        foreign.map(|mut foreign| foreign.answers(&exported.model, &exported.policy, &questions))
    });
    for (casbin, answers) in given.await.unwrap().into_iter().flatten() {
        for (item, (answer, expected)) in items.iter().zip(answers.iter().zip(&expected)) {
            assert_eq!(answer, expected, "{casbin}: {item:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_export_is_of_one_time_and_names_nobody() {
    let Scene { server, msp, accounts, peers } = scene().await;
    let operator = server.operator();
    let uid = |peer: &TestPeer| peer.name.replace("peers/", "peer:");
    let now = export(&operator, whole(&accounts[2])).await.unwrap();
    let at = pb::ExportPolicyRequest { evaluation_time: Some(server.time(3600)), ..whole(&accounts[2]) };
    let later = export(&operator, at).await.unwrap();
    // The window of one binding opens in an hour; what the export reaches is that account alone.
    assert!(!now.policy.contains(&uid(&peers[1])) && later.policy.contains(&uid(&peers[1])));
    assert_eq!((later.time, later.revision), (server.time(3600), now.revision));
    assert!(!now.policy.contains("contoso-msp") && now.policy.contains(&uid(&peers[0])));
    let all = export(&operator, whole(&msp)).await.unwrap().policy;
    for peer in ["emily", "mike", "kim", "zoe", &*uid(&peers[3])] {
        assert!(!all.contains(peer), "{peer} is named");
    }
    let plain = |line: &str| !line.contains(['"', '[', '(', '\'', '\\', ';', '\r', '\t']);
    assert!(all.lines().all(plain), "{all}");
    server.stop().await;
}

#[tokio::test]
async fn exports_are_for_those_who_may_export_there() {
    let Scene { server, msp, accounts, peers } = scene().await;
    let strange = export(&peers[1].client, whole(&accounts[2])).await.err().unwrap();
    assert_eq!(strange.code(), Code::PermissionDenied, "{strange:?}");
    let missing = export(&server.operator(), whole("accounts/nowhere")).await.err().unwrap();
    assert_eq!((missing.code(), reason(&missing).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"));

    let asleep = export(&server.operator(), whole(&accounts[3])).await.err().unwrap();
    assert_eq!((asleep.code(), reason(&asleep).as_str()), (Code::FailedPrecondition, "ACCOUNT_SUSPENDED"));

    let exporter = server.custom_role(&msp, &["policy.export", "accounts.view"]).await;
    server.bind(&peers[1].name, &exporter, &accounts[1]).await;
    assert!(export(&peers[1].client, whole(&accounts[1])).await.is_ok());
    let hidden = export(&peers[1].client, whole(&accounts[2])).await.err().unwrap();
    assert_eq!((hidden.code(), reason(&hidden).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"));

    let viewer = server.custom_role(&msp, &["accounts.view"]).await;
    server.bind(&peers[1].name, &viewer, &msp).await;
    let denied = export(&peers[1].client, whole(&msp)).await.err().unwrap();
    assert_eq!((denied.code(), reason(&denied).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));

    let wrong = pb::ExportPolicyRequest {
        evaluation_time: Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
        context: Some(pb::DecisionContext { source_address: "here".to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let wrong = export(&server.operator(), wrong).await.err().unwrap();
    assert_eq!(bad_fields(&wrong), ["account", "evaluation_time", "context.source_address"]);
    server.stop().await;
}

fn lines(account: &str, policy: &str) -> pb::ImportPolicyRequest {
    pb::ImportPolicyRequest {
        account: account.to_owned(),
        policy: policy.as_bytes().to_vec().into(),
        request_id: request_id(),
        ..Default::default()
    }
}

async fn import(client: &Client, request: pb::ImportPolicyRequest) -> Result<pb::ImportPolicyResponse, Status> {
    client.roles().import_policy(request).await.map(tonic::Response::into_inner)
}

async fn titles(server: &Server, owner: &str) -> Vec<String> {
    let list = pb::ListRolesRequest { account: owner.to_owned(), page_size: 1000, ..Default::default() };
    let roles = server.operator().roles().list_roles(list).await.unwrap().into_inner().roles;
    let mut titles: Vec<String> =
        roles.into_iter().filter(|role| role.owner_account == owner).map(|role| role.title).collect();
    titles.sort();
    titles
}

#[tokio::test]
async fn roles_of_an_import_whose_names_differ_by_case_alone_get_titles_of_their_own() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["mspcontrol"]).await;
    server.customer("contoso", &msp).await;
    let policy = "p, Admin, contoso-msp, peers, view\np, admin, contoso-msp, peers, update\n\
                  p, admin, contoso, peers, create\np, admin 2, contoso-msp, roles, view\n";
    import(&server.operator(), lines(&msp, policy)).await.unwrap();
    assert_eq!(titles(&server, &msp).await, ["Admin", "admin 2", "admin 3", "admin 4"]);
    server.stop().await;
}

#[tokio::test]
async fn an_import_is_all_or_nothing() {
    let Scene { server, accounts, peers, .. } = scene().await;
    let (operator, open, lab) = (server.operator(), &accounts[1], &accounts[4]);
    let policy = "p, desk, open, users, *\np, desk, open, users, view, deny\np, lab, *, devices, view\n\
                  g, kim, desk, open\ng, kim, lab\n";
    let kim = &peers[2].name;
    let rehearsal = pb::ImportPolicyRequest { validate_only: true, ..lines(open, policy) };
    let told = import(&operator, rehearsal).await.unwrap();
    assert_eq!((told.role_count, told.role_binding_count, told.update_revision), (2, 2, 0));
    assert!(titles(&server, open).await.is_empty());

    // The last line names nobody: nothing of it is there.
    let broken = lines(open, &format!("{policy}g, nobody, desk, open\n"));
    let status = import(&operator, broken).await.unwrap_err();
    assert_eq!((status.code(), bad_fields(&status)), (Code::InvalidArgument, vec!["policy[6]".to_owned()]));
    assert!(titles(&server, open).await.is_empty());

    let request = lines(open, policy);
    let done = import(&operator, request.clone()).await.unwrap();
    assert_eq!((done.role_count, done.role_binding_count), (2, 2));
    assert_eq!(import(&operator, request).await.unwrap(), done);
    assert_eq!(titles(&server, open).await, ["desk", "lab"]);
    assert!(!server.may(kim, "users.view", open).await && server.may(kim, "users.delete", open).await);
    assert!(!server.may(kim, "users.delete", lab).await && server.may(kim, "devices.view", lab).await);
    let decided = server.decide(kim, "devices.view", lab).await;
    assert_eq!(decided.revision, done.update_revision, "an import is one revision");
    server.stop().await;
}

#[tokio::test]
async fn lines_that_cannot_be_taken_are_named() {
    let Scene { server, accounts, .. } = scene().await;
    let (operator, open) = (server.operator(), &accounts[1]);
    let policy = "p, desk, open, users, view\np, boss, open, users/*, view\ng, desk, boss\ng, mike, desk, open\n";
    let status = import(&operator, lines(open, policy)).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["policy[2]", "policy[3]"]);
    let some = pb::ImportPolicyRequest { skip_wrong_lines: true, ..lines(open, policy) };
    let done = import(&operator, some).await.unwrap();
    let skipped: Vec<i32> = done.skipped_lines.iter().map(|line| line.line).collect();
    assert_eq!((done.role_count, done.role_binding_count, skipped), (1, 1, vec![2, 3]));
    let unknown = import(&operator, lines(open, "p, other, open, pigs, fly\n")).await.unwrap_err();
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::InvalidArgument, "PERMISSION_UNKNOWN"));
    assert_eq!(bad_fields(&unknown), ["policy[1]"]);
    let many: String = (0..101).map(|number| format!("p, role{number}, open, users, view\n")).collect();
    let many = pb::ImportPolicyRequest { skip_wrong_lines: true, ..lines(open, &many) };
    assert_eq!(bad_fields(&import(&operator, many).await.unwrap_err()), ["policy"]);
    server.stop().await;
}

#[tokio::test]
async fn lines_that_name_what_is_not_there_are_named_or_left_out_with_the_others() {
    let Scene { server, accounts, peers, .. } = scene().await;
    let (operator, open) = (server.operator(), &accounts[1]);
    let mut policy = "p, desk, open, users, view\np, desk, open, pigs, fly\np, desk, nowhere, users, view\n\
                      p, desk, closed, users, view\nnonsense\ng, mike, desk\ng, nobody, desk\ng, mike, desk, closed\n\
                      g2, account:nowhere, scope:1\np, night, scope:1, users, view\n"
        .to_owned();
    let wrong = [2, 3, 4, 5, 7, 8, 9, 10];
    let status = import(&operator, lines(open, &policy)).await.unwrap_err();
    assert_eq!(bad_fields(&status), wrong.map(|line| format!("policy[{line}]")));
    assert!(titles(&server, open).await.is_empty());

    // More than an error can name: the answer that leaves them out names them all.
    (0..200).for_each(|number| policy.push_str(&format!("g, nobody{number}, desk\n")));
    let rehearsal = pb::ImportPolicyRequest { skip_wrong_lines: true, validate_only: true, ..lines(open, &policy) };
    let told = import(&operator, rehearsal).await.unwrap();
    assert_eq!(told.skipped_lines.len(), wrong.len() + 200);
    let request = pb::ImportPolicyRequest { skip_wrong_lines: true, ..lines(open, &policy) };
    let done = import(&operator, request.clone()).await.unwrap();
    assert_eq!((done.role_count, done.role_binding_count, &done.skipped_lines), (1, 1, &told.skipped_lines));
    let why = |line| done.skipped_lines.iter().find(|left| left.line == line).map(|left| left.reason.as_str());
    assert_eq!(why(2), Some("is not a registered permission"));
    assert!(why(3).is_some_and(|why| why.contains("an account")) && why(4) == why(3), "{:?}", why(3));
    assert_eq!(why(7), Some("names a peer that is missing or hidden"));
    assert_eq!(import(&operator, request).await.unwrap(), done, "a repetition is told the same");
    assert_eq!(titles(&server, open).await, ["desk"]);
    assert!(server.may(&peers[1].name, "users.view", open).await);
    // Nobody learns from it what they may not see: hidden and missing are told alike.
    let rights = ["policy.import", "roles.create", "role_bindings.create", "accounts.view", "users.view"];
    let importer = server.custom_role(open, &rights).await;
    server.bind(&peers[1].name, &importer, open).await;
    let hidden = lines(open, "p, one, open, users, view\ng, kim, one\ng, nobody, one\np, one, asleep, users, view\n");
    let status = import(&peers[1].client, hidden).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["policy[2]", "policy[3]", "policy[4]"]);
    server.stop().await;
}

#[tokio::test]
async fn nobody_imports_a_policy_above_themselves() {
    let Scene { server, msp, accounts, peers } = scene().await;
    let (mike, open) = (&peers[1], &accounts[1]);
    let grants =
        ["policy.import", "roles.create", "role_bindings.create", "peers.view", "accounts.view", "devices.view"];
    let importer = server.custom_role(&msp, &grants).await;
    server.bind(&mike.name, &importer, open).await;
    let above = lines(open, "p, mine, *, devices, view\np, more, *, devices, *\ng, mike, more\n");
    let status = import(&mike.client, above).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "ESCALATION"));
    assert!(titles(&server, open).await.is_empty());
    let own = lines(open, "p, mine, *, devices, view\ng, mike, mine\n");
    assert_eq!(import(&mike.client, own).await.unwrap().role_binding_count, 1);
    let denied = import(&peers[0].client, lines(open, "p, mine, *, devices, view\n")).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    server.stop().await;
}

#[tokio::test]
async fn what_was_exported_can_be_imported_into_an_equal_tree() {
    let server = Server::start().await;
    let operator = server.operator();
    let mut trees = Vec::new();
    for id in ["first", "other"] {
        let msp = server.partner(&format!("{id}-msp"), &["opspilot365"]).await;
        let customer = server.customer(&format!("{id}-customer"), &msp).await;
        let lab = server.department(&format!("{id}-lab"), &customer).await;
        trees.push([msp, customer, lab]);
    }
    let first = &trees[0];
    let step_up = pb::StepUpRequirement { min_assurance: pb::AssuranceLevel::Totp.into(), ..Default::default() };
    let step_up = pb::Requirements { step_up: Some(step_up), ..Default::default() };
    let grants =
        [pb::Grant { requirements: Some(step_up), ..allow("users.*") }, allow("devices.view"), deny("users.delete")];
    let desk = create_role(&operator, pb::Role { inheritable: true, ..role(&first[0], &grants) }).await.unwrap().name;
    let peer = server.person(&first[0], "pat", &desk).await;
    let audit = server.custom_role(&first[0], &["audit.view"]).await;
    let alone = pb::RoleBinding { reach: pb::Reach::AccountOnly.into(), ..binding(&peer.name, &audit, &first[1]) };
    bind(&operator, alone).await.unwrap();

    let policy = export(&operator, whole(&first[0])).await.unwrap().policy.replace("first-", "other-");
    // What the operator holds from above is everything, and is not to be had twice.
    let uid = peer.name.replace("peers/", "peer:");
    let shares: Vec<&str> = policy
        .lines()
        .filter(|line| line.starts_with("g, "))
        .filter(|line| line.contains(&uid))
        .map(|line| line.rsplit(", ").next().unwrap())
        .collect();
    let is_own = |line: &&str| shares.iter().any(|share| line.split(", ").any(|value| value == *share));
    let own: String = policy.lines().filter(is_own).map(|line| format!("{line}\n")).collect();
    let done = import(&operator, lines(&trees[1][0], &own)).await.unwrap();
    assert_eq!((done.role_count, done.role_binding_count), (2, 2), "{own}");
    for (first, other) in trees[0].iter().zip(&trees[1]) {
        for permission in ["users.view", "users.delete", "devices.view", "devices.update", "audit.view"] {
            let (was, is) = (
                server.decide(&peer.name, permission, first).await,
                server.decide(&peer.name, permission, other).await,
            );
            assert_eq!(was.decision, is.decision, "{permission} on {first}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_sample_of_decisions_is_put_to_plain_casbin() {
    let server = Server::start_with(|config| config.telemetry.shadow_sample_ratio = 1.0).await;
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let customer = server.customer("contoso", &msp).await;
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&customer]).await;
    for permission in ["users.view", "licenses.order", "accounts.delete"] {
        server.decide(&emily.name, permission, &customer).await;
    }
    let compared = async {
        while server.running().ctx().shadow.counts().alike < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), compared).await.expect("all three are compared");
    let counts = server.running().ctx().shadow.counts();
    assert_eq!((counts.alike, counts.different, counts.dropped, counts.failed), (3, 0, 0, 0));
    server.stop().await;
}
