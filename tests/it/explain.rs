//! ExplainAuthorization: what it says of each grant, what it suggests, what it shows to whom, and what
//! it tells of the past.

mod parts;
mod past;
mod sight;

use std::collections::BTreeMap;
use std::time::Duration;

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::suggested_change::Change;
use tonic::{Code, Response, Status};

use crate::bindings::{bind, binding, eligible, of_group, rebind, unbind, until};
use crate::groups;
use crate::roles::mask;
use crate::support::policy::{allow, create_role, deny, role};
use crate::support::{Client, Server, TestPeer, bad_fields, reason};

pub(crate) fn ask(peer: &str, permission: &str, account: &str) -> pb::ExplainAuthorizationRequest {
    pb::ExplainAuthorizationRequest {
        subject: Some(pb::explain_authorization_request::Subject::Peer(peer.to_owned())),
        permission: permission.to_owned(),
        account: account.to_owned(),
        ..Default::default()
    }
}

pub(crate) async fn send(
    client: &Client,
    request: pb::ExplainAuthorizationRequest,
) -> Result<pb::ExplainAuthorizationResponse, Status> {
    client.access().explain_authorization(request).await.map(Response::into_inner)
}

/// The operator's explanation, whose decision is what Authorize answers.
async fn explained(server: &Server, peer: &str, permission: &str, account: &str) -> pb::ExplainAuthorizationResponse {
    let explained = send(&server.operator(), ask(peer, permission, account)).await.unwrap();
    let nameless = |answer: pb::AuthorizeResponse| pb::AuthorizeResponse { decision_id: String::new(), ..answer };
    let authorized = server.decide(peer, permission, account).await;
    assert_eq!(nameless(explained.decision.clone().unwrap()), nameless(authorized));
    explained
}

pub(crate) fn decided(explained: &pb::ExplainAuthorizationResponse) -> pb::DecisionReason {
    explained.decision.as_ref().unwrap().reason()
}

fn outcome_of(explained: &pb::ExplainAuthorizationResponse, role_binding: &str) -> pb::GrantOutcome {
    explained.grants.iter().find(|grant| grant.role_binding == role_binding).unwrap().outcome()
}

fn failed(explained: &pb::ExplainAuthorizationResponse) -> Vec<(pb::AuthorizationCheck, String)> {
    explained.checks.iter().filter(|one| !one.passed).map(|one| (one.check(), one.account.clone())).collect()
}

/// The ways that are told, as lists of changes.
fn ways(explained: &pb::ExplainAuthorizationResponse) -> Vec<Vec<Change>> {
    let changes = |one: &pb::Suggestion| one.changes.iter().map(|change| change.change.clone().unwrap()).collect();
    explained.suggestions.iter().map(changes).collect()
}

pub(crate) async fn set_access(server: &Server, account: &str, mode: pb::PartnerAccessMode) {
    let settings = pb::AccountSettings { partner_access: mode.into(), ..Default::default() };
    let account = pb::Account { name: account.to_owned(), settings: Some(settings), ..Default::default() };
    let request = pb::UpdateAccountRequest {
        account: Some(account),
        update_mask: mask(&["settings.partner_access"]),
        justification: "test".to_owned(),
        ..Default::default()
    };
    server.operator().accounts().update_account(request).await.unwrap();
}

pub(crate) async fn suspend(server: &Server, account: &str, scope: pb::SuspensionScope) -> i64 {
    let request = pb::SuspendAccountRequest {
        name: account.to_owned(),
        scope: scope.into(),
        reason: "test".to_owned(),
        ..Default::default()
    };
    server.operator().accounts().suspend_account(request).await.unwrap().into_inner().update_revision
}

pub(crate) async fn resume(server: &Server, account: &str) {
    let request = pb::ResumeAccountRequest { name: account.to_owned(), ..Default::default() };
    server.operator().accounts().resume_account(request).await.unwrap();
}

/// A partner with a customer, and a person of the partner that holds nothing.
struct Scene {
    server: Server,
    msp: String,
    contoso: String,
    emily: TestPeer,
}

impl Scene {
    async fn start() -> Self {
        let server = Server::start().await;
        let msp = server.partner("contoso-msp", &["opspilot365"]).await;
        let contoso = server.customer("contoso", &msp).await;
        let elsewhere = server.customer("elsewhere", &msp).await;
        let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&elsewhere]).await;
        Self { server, msp, contoso, emily }
    }

    async fn role(&self, grants: &[pb::Grant]) -> String {
        create_role(&self.server.operator(), role(&self.msp, grants)).await.unwrap().name
    }

    /// Binds a role of these grants to the person; returns the binding.
    async fn bound(&self, grants: &[pb::Grant], change: impl FnOnce(&mut pb::RoleBinding)) -> pb::RoleBinding {
        // Ids of bindings go with time, and the lowest of those that match alike decides.
        self.server.advance(Duration::from_secs(1));
        let role = self.role(grants).await;
        let mut wish = binding(&self.emily.name, &role, &self.contoso);
        change(&mut wish);
        bind(&self.server.operator(), wish).await.unwrap()
    }

    async fn explained(&self, permission: &str) -> pb::ExplainAuthorizationResponse {
        explained(&self.server, &self.emily.name, permission, &self.contoso).await
    }
}

#[tokio::test]
async fn every_outcome_of_a_grant_is_told() {
    use pb::GrantOutcome as Outcome;
    let scene = Scene::start().await;
    let server = &scene.server;
    let on_label = |permission: &str| pb::Grant {
        condition: Some(pb::Condition {
            account_labels: vec![pb::AccountLabelMatch { key: "env".to_owned(), values: vec!["live".to_owned()] }],
            ..Default::default()
        }),
        ..allow(permission)
    };
    let first = scene.bound(&[allow("devices.view"), allow("users.view")], |_| {}).await;
    let msp = scene.msp.clone();
    let second = scene.bound(&[allow("users.*")], |wish| wish.account.clone_from(&msp)).await;
    let label = scene.bound(&[on_label("users.view")], |_| {}).await;
    let start = server.time(3600);
    let later = scene.bound(&[allow("users.view")], |wish| wish.start_time = Some(start)).await;
    let asleep = scene.bound(&[allow("users.view")], |wish| wish.mode = pb::BindingMode::Eligible.into()).await;
    let above = scene
        .bound(&[allow("users.view")], |wish| {
            wish.account.clone_from(&msp);
            wish.reach = pb::Reach::AccountOnly.into();
        })
        .await;
    let other = scene.bound(&[allow("devices.view")], |_| {}).await;

    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), pb::DecisionReason::Allowed);
    assert_eq!((told.grants.len(), told.total_size), (7, 7));
    for (binding, outcome) in [
        (&first, Outcome::Decided),
        (&second, Outcome::Outranked),
        (&label, Outcome::ConditionNotMet),
        (&later, Outcome::OutsideWindow),
        (&asleep, Outcome::NotActive),
        (&above, Outcome::OutOfReach),
        (&other, Outcome::NoMatch),
    ] {
        assert_eq!(outcome_of(&told, &binding.name), outcome);
    }
    let deciding = &told.grants[0];
    assert_eq!((&deciding.role_binding, &deciding.role, deciding.grant_index), (&first.name, &first.role, 1));
    assert_eq!((deciding.pattern.as_str(), deciding.effect()), ("users.view", pb::GrantEffect::Allow));
    let of = |binding: &pb::RoleBinding| told.grants.iter().find(|one| one.role_binding == binding.name).unwrap();
    assert_eq!((of(&later).start_time, of(&asleep).mode()), (Some(start), pb::BindingMode::Eligible));
    assert_eq!(of(&label).condition.as_ref().unwrap().account_labels[0].key, "env");
    assert!(told.suggestions.is_empty() && told.grants.iter().all(|grant| !grant.redacted));
    assert!(told.text.starts_with("ALLOW, ALLOWED\nusers.view on accounts/contoso for peers/"), "{}", told.text);
    assert!(told.text.contains("eligible, and not elevated") && told.text.contains("└─ "), "{}", told.text);

    // Kept out by partner access, and barred by a suspension.
    set_access(server, &scene.contoso, pb::PartnerAccessMode::Blocked).await;
    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), pb::DecisionReason::PartnerAccessBlocked);
    assert_eq!(outcome_of(&told, &first.name), Outcome::PartnerAccess);
    let asleep = told.grants.iter().find(|one| one.role_binding == asleep.name).unwrap();
    assert_eq!(asleep.obstacles().collect::<Vec<_>>(), [Outcome::PartnerAccess, Outcome::NotActive]);
    assert_eq!(failed(&told), [(pb::AuthorizationCheck::PartnerAccess, scene.contoso.clone())]);
    set_access(server, &scene.contoso, pb::PartnerAccessMode::Allowed).await;
    suspend(server, &scene.contoso, pb::SuspensionScope::Subtree).await;
    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), pb::DecisionReason::AccountSuspended);
    assert_eq!(outcome_of(&told, &first.name), Outcome::Barred);
    assert_eq!(failed(&told), [(pb::AuthorizationCheck::AccountActive, scene.contoso.clone())]);
    assert_eq!(ways(&told), [vec![Change::ResumeAccount(scene.contoso.clone())]]);
    resume(server, &scene.contoso).await;

    // A wildcard does not name what is reserved.
    let wild = scene.bound(&[allow("accounts.*")], |_| {}).await;
    let told = scene.explained("accounts.create_partner").await;
    assert_eq!(outcome_of(&told, &wild.name), Outcome::Reserved);
    scene.server.stop().await;
}

#[tokio::test]
async fn every_reason_is_explained_and_its_suggestions_hold() {
    use pb::DecisionReason as Reason;
    let scene = Scene::start().await;
    let (server, operator) = (&scene.server, scene.server.operator());
    let told = scene.explained("users.view").await;
    assert_eq!((decided(&told), told.grants.len()), (Reason::NoMatchingGrant, 0));
    let bindable = ways(&told);
    let Change::BindRole(first) = &bindable[0][0] else { panic!("{bindable:?}") };
    assert_eq!((bindable[0].len(), &first.account), (1, &scene.contoso));
    let made = bind(&operator, binding(&scene.emily.name, &first.role, &first.account)).await.unwrap();
    assert_eq!(decided(&scene.explained("users.view").await), Reason::Allowed);
    unbind(&operator, &made.name).await.unwrap();

    // Eligible, first the membership and the binding both, then one of the two.
    let group = groups::make(&operator, &scene.msp).await;
    let member = pb::GroupMember { mode: pb::BindingMode::Eligible.into(), ..groups::member(&scene.emily.name) };
    groups::add(&operator, &group, member).await.unwrap();
    let viewer = scene.role(&[allow("users.view")]).await;
    let held = bind(&operator, eligible(of_group(&group, &viewer, &scene.contoso))).await.unwrap();
    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), Reason::EligibleNotActive);
    let elevations: Vec<(String, String)> = ways(&told)
        .into_iter()
        .find(|way| way.iter().all(|change| matches!(change, Change::Elevate(_))))
        .unwrap()
        .into_iter()
        .map(|change| match change {
            Change::Elevate(owed) => (owed.role_binding, owed.group),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(elevations, [(held.name.clone(), String::new()), (String::new(), group.clone())]);
    assert_eq!((told.grants[0].outcome(), told.grants[0].via_group), (pb::GrantOutcome::NotActive, true));
    assert_eq!(told.grants[0].membership_mode(), pb::BindingMode::Eligible);
    unbind(&operator, &held.name).await.unwrap();

    // A window that is yet to open, then one that has closed.
    let start = server.time(600);
    let end = server.time(1200);
    let window = scene
        .bound(&[allow("users.view")], |wish| (wish.start_time, wish.expire_time) = (Some(start), Some(end)))
        .await;
    let told = scene.explained("users.view").await;
    assert!(ways(&told).contains(&vec![Change::WaitUntil(start)]), "{:?}", ways(&told));
    server.advance(Duration::from_secs(600));
    assert_eq!(decided(&scene.explained("users.view").await), Reason::Allowed);
    server.advance(Duration::from_secs(600));
    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), Reason::NoMatchingGrant);
    assert!(ways(&told).contains(&vec![Change::RenewRoleBinding(window.name.clone())]), "{:?}", ways(&told));
    rebind(&operator, pb::RoleBinding { expire_time: None, ..window.clone() }, &["expire_time"]).await.unwrap();
    assert_eq!(decided(&scene.explained("users.view").await), Reason::Allowed);

    // A DENY, which ends at some time.
    let role = scene.role(&[deny("users.view")]).await;
    let end = server.time(60);
    let wish = until(binding(&scene.emily.name, &role, &scene.contoso), end);
    let denying = bind(&operator, wish).await.unwrap();
    let told = scene.explained("users.view").await;
    assert_eq!((decided(&told), told.grants[0].effect()), (Reason::DenyGrant, pb::GrantEffect::Deny));
    assert_eq!(told.grants[0].role_binding, denying.name);
    let told = ways(&told);
    assert!(told.contains(&vec![Change::RemoveRoleBinding(denying.name.clone())]), "{told:?}");
    assert!(told.contains(&vec![Change::WaitUntil(end)]), "{told:?}");
    unbind(&operator, &denying.name).await.unwrap();

    // Partner access.
    set_access(server, &scene.contoso, pb::PartnerAccessMode::SessionOnly).await;
    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), Reason::PartnerAccessSessionRequired);
    assert_eq!(ways(&told)[0], [Change::AllowPartnerAccess(scene.contoso.clone())]);
    set_access(server, &scene.contoso, pb::PartnerAccessMode::Allowed).await;
    assert_eq!(decided(&scene.explained("users.view").await), Reason::Allowed);

    // The subject: its home, its end, its state.
    suspend(server, &scene.msp, pb::SuspensionScope::OwnPeers).await;
    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), Reason::SubjectHomeSuspended);
    assert_eq!(failed(&told), [(pb::AuthorizationCheck::HomeActive, scene.msp.clone())]);
    assert_eq!(ways(&told), [vec![Change::ResumeAccount(scene.msp.clone())]]);
    resume(server, &scene.msp).await;
    let disable = pb::DisablePeerRequest { name: scene.emily.name.clone(), ..Default::default() };
    operator.peers().disable_peer(disable).await.unwrap();
    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), Reason::SubjectDisabled);
    assert_eq!(ways(&told), [vec![Change::EnablePeer(scene.emily.name.clone())]]);
    let enable = pb::EnablePeerRequest { name: scene.emily.name.clone(), ..Default::default() };
    operator.peers().enable_peer(enable).await.unwrap();
    let peer = pb::Peer { name: scene.emily.name.clone(), expire_time: Some(server.time(60)), ..Default::default() };
    operator.peers().update_peer(pb::UpdatePeerRequest { peer: Some(peer), ..Default::default() }).await.unwrap();
    server.advance(Duration::from_secs(60));
    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), Reason::SubjectExpired);
    assert_eq!(ways(&told), [vec![Change::RenewPeer(scene.emily.name.clone())]]);
    let nobody = explained(server, "peers/@nobody", "users.view", &scene.contoso).await;
    assert_eq!((decided(&nobody), nobody.grants.len(), nobody.suggestions.len()), (Reason::SubjectUnknown, 0, 0));
    scene.server.stop().await;
}

#[tokio::test]
async fn what_a_condition_lacks_is_named_and_what_would_meet_it() {
    let scene = Scene::start().await;
    let gold = pb::AttributeValue { kind: Some(pb::attribute_value::Kind::StringValue("gold".to_owned())) };
    let wanted = pb::AttributeMatch {
        attribute: "tier".to_owned(),
        demand: Some(pb::attribute_match::Demand::Equals(gold.clone())),
    };
    let condition = pb::Condition {
        source_networks: vec!["10.0.0.0/8".to_owned()],
        resource_attributes: vec![wanted],
        ..Default::default()
    };
    let held = scene.bound(&[pb::Grant { condition: Some(condition), ..allow("users.view") }], |_| {}).await;
    let told = scene.explained("users.view").await;
    assert_eq!(decided(&told), pb::DecisionReason::MissingAttribute);
    assert_eq!(outcome_of(&told, &held.name), pb::GrantOutcome::AttributeMissing);
    assert_eq!(told.grants[0].missing_attribute, "@source_address");
    let say = |value: &pb::AttributeValue| pb::SuggestedAttribute {
        attribute: "tier".to_owned(),
        value: Some(value.clone()),
    };
    let way = vec![Change::ActFrom("10.0.0.0".to_owned()), Change::SetAttribute(say(&gold))];
    assert!(ways(&told).contains(&way), "{:?}", ways(&told));
    let within = async |tier: &pb::AttributeValue| {
        let context = pb::DecisionContext {
            source_address: "10.0.0.0".to_owned(),
            resource_attributes: [("tier".to_owned(), tier.clone())].into(),
        };
        let question = ask(&scene.emily.name, "users.view", &scene.contoso);
        let question = pb::ExplainAuthorizationRequest { context: Some(context), ..question };
        send(&scene.server.operator(), question).await.unwrap()
    };
    assert_eq!(decided(&within(&gold).await), pb::DecisionReason::Allowed);
    let iron = pb::AttributeValue { kind: Some(pb::attribute_value::Kind::StringValue("iron".to_owned())) };
    let told = within(&iron).await;
    assert_eq!(decided(&told), pb::DecisionReason::NoMatchingGrant);
    assert_eq!(outcome_of(&told, &held.name), pb::GrantOutcome::ConditionNotMet);
    scene.server.stop().await;
}

#[tokio::test]
async fn obligations_and_ended_keys_are_explained() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let contoso = server.customer("contoso", &msp).await;
    let emily = server.person_on(&msp, "emily", "roles/opspilot365.technician", &[&contoso]).await;
    let told = explained(&server, &emily.name, "licenses.order", &contoso).await;
    assert_eq!(decided(&told), pb::DecisionReason::ApprovalRequired);
    let [way] = &told.suggestions[..] else { panic!("{:?}", told.suggestions) };
    assert_eq!((way.changes.len(), way.obligations.len(), way.text.as_str()), (0, 1, "once met: an approval"));
    assert_eq!(told.grants[0].unmet_obligations, way.obligations);
    let backup = server.partner("backup-msp", &["keepit"]).await;
    let kept = server.customer("protected", &backup).await;
    let keeper = server.person(&backup, "keeper", "roles/keepit.msp_partner").await;
    let told = explained(&server, &keeper.name, "account_sessions.open", &kept).await;
    assert_eq!(decided(&told), pb::DecisionReason::StepUpRequired);

    let key = pb::ApiKey {
        peer: emily.name.clone(),
        title: "Key".to_owned(),
        expire_time: Some(server.time(60)),
        ..Default::default()
    };
    let request = pb::CreateApiKeyRequest { api_key: Some(key), ..Default::default() };
    let key = server.operator().auth().create_api_key(request).await.unwrap().into_inner().key;
    let by_key = pb::ExplainAuthorizationRequest {
        subject: Some(pb::explain_authorization_request::Subject::Token(key)),
        ..ask("", "users.view", &contoso)
    };
    let told = send(&server.operator(), by_key.clone()).await.unwrap();
    assert_eq!(decided(&told), pb::DecisionReason::Allowed);
    server.advance(Duration::from_secs(60));
    let told = send(&server.operator(), by_key.clone()).await.unwrap();
    assert_eq!(decided(&told), pb::DecisionReason::SubjectSessionEnded);
    assert_eq!(failed(&told), [(pb::AuthorizationCheck::CredentialLive, String::new())]);
    let then = pb::explain_authorization_request::At::AtRevision(1);
    let status = send(&server.operator(), pb::ExplainAuthorizationRequest { at: Some(then), ..by_key }).await;
    assert_eq!(bad_fields(&status.unwrap_err()), ["token"]);
    server.stop().await;
}

#[tokio::test]
async fn a_trace_is_paged_and_whole_whatever_happens_meanwhile() {
    let scene = Scene::start().await;
    let operator = scene.server.operator();
    let mut expected = BTreeMap::new();
    for number in 0..7 {
        let grants = [allow("users.view"), allow("users.*"), allow("*.*")];
        let made = scene.bound(&grants[..=number % 3], |_| {}).await;
        expected.insert(made.name, number % 3 + 1);
    }
    let whole = scene.explained("users.view").await;
    let total: usize = expected.values().sum();
    assert_eq!((whole.grants.len(), whole.total_size as usize), (total, total));
    let mut request =
        pb::ExplainAuthorizationRequest { page_size: 4, ..ask(&scene.emily.name, "users.view", &scene.contoso) };
    let (mut grants, mut pages) = (Vec::new(), 0);
    loop {
        let page = send(&operator, request.clone()).await.unwrap();
        assert_eq!(
            (page.decision.as_ref().unwrap().revision, page.evaluate_time),
            (whole.decision.as_ref().unwrap().revision, whole.evaluate_time)
        );
        assert_eq!(page.checks.is_empty(), pages > 0, "checks are on the first page alone");
        grants.extend(page.grants);
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        // The policy moves on; the trace does not.
        unbind(&operator, expected.keys().nth(pages).unwrap()).await.unwrap();
        scene.server.advance(Duration::from_secs(1));
    }
    assert_eq!((grants, pages), (whole.grants, total.div_ceil(4)));

    let mut other = request.clone();
    other.permission = "users.delete".to_owned();
    let status = send(&operator, other).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
    scene.server.stop().await;
}

#[tokio::test]
async fn bad_questions_name_every_bad_field() {
    let server = Server::start().await;
    let request = pb::ExplainAuthorizationRequest {
        subject: Some(pb::explain_authorization_request::Subject::Peer("someone".to_owned())),
        permission: "devices".to_owned(),
        account: "contoso".to_owned(),
        page_size: -1,
        page_token: "made up".to_owned(),
        at: Some(pb::explain_authorization_request::At::AtRevision(0)),
        ..Default::default()
    };
    let status = send(&server.operator(), request).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["peer", "permission", "account", "at_revision", "page_size", "page_token"]);
    let unknown = send(&server.operator(), ask("peers/me", "no.such", "accounts/platform")).await.unwrap_err();
    assert_eq!(reason(&unknown), "PERMISSION_UNKNOWN");
    let far = pb::consistency::Requirement::AtLeastRevision(i64::MAX);
    let request = pb::ExplainAuthorizationRequest {
        consistency: Some(pb::Consistency { requirement: Some(far) }),
        ..ask("peers/me", "accounts.view", "accounts/platform")
    };
    let mut request = tonic::Request::new(request);
    request.set_timeout(Duration::from_millis(500));
    let status = server.operator().access().explain_authorization(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "REVISION_NOT_REACHED"));
    server.stop().await;
}

/// Few roles can be bound to a department: where one above it is what they are for, that is said.
#[tokio::test]
async fn for_a_department_a_role_is_suggested_where_it_can_be_bound() {
    let server = Server::start().await;
    let msp = server.partner("contoso-msp", &["opspilot365"]).await;
    let customer = server.customer("contoso-corp", &msp).await;
    let department = server.department("contoso-sales", &customer).await;
    let role = server.custom_role(&msp, &["dashboards.view"]).await;
    let peer = server.person_on(&msp, "sam", &role, &[&customer]).await;
    let told = explained(&server, &peer.name, "users.reset_password", &department).await;
    assert_eq!(decided(&told), pb::DecisionReason::NoMatchingGrant);
    let technician = ways(&told).into_iter().find_map(|way| match &way[..] {
        [Change::BindRole(bind)] if bind.role == "roles/opspilot365.technician" => Some(bind.clone()),
        _ => None,
    });
    let technician = technician.unwrap_or_else(|| panic!("{:#?}", ways(&told)));
    assert_eq!((technician.account.as_str(), technician.reach()), (customer.as_str(), pb::Reach::Subtree));
    server.bind(&peer.name, "roles/opspilot365.technician", &customer).await;
    assert!(server.may(&peer.name, "users.reset_password", &department).await);
}
