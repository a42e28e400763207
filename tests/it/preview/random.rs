//! Random changes of every kind on a real server: previewed, made, and everybody asked about everything
//! before and after. `PEERAGE_PREVIEW_STEPS` says how many.

use std::collections::{BTreeMap, BTreeSet};

use peerage::application::generate::Random;
use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::batch_authorize_result::Result as ItemResult;
use peerage::transport::grpc::pb::policy_change::Change;

use super::{Row, all, asking, make};
use crate::groups;
use crate::support::policy::{allow, binding, deny, of_group};
use crate::support::{Client, Server, reason};

const STEPS: usize = 120;
const GRANTS: [&str; 7] =
    ["ftp.*", "*.view", "accounts.view", "ftp.view", "access.check", "peers.*", "accounts.administer"];

#[tokio::test]
async fn what_is_previewed_is_what_authorize_then_answers() {
    let steps = std::env::var("PEERAGE_PREVIEW_STEPS").map_or(STEPS, |text| text.parse().unwrap());
    let world = World::new().await;
    let client = world.server.operator();
    let mut random = Random::new(5);
    let mut before = world.decisions(&client).await;
    let (mut kinds, mut refusals, mut rows_seen) = (BTreeMap::<String, usize>::new(), 0, 0);
    for step in 0..steps {
        let wish = world.wish(&client, &mut random).await;
        let kind = format!("{wish:?}").split('(').next().unwrap().to_owned();
        let previewed = all(&client, &asking(wish.clone())).await;
        assert_eq!(world.decisions(&client).await, before, "a preview of {wish:?} changed something");
        match (previewed, make(&client, wish.clone()).await) {
            (Ok((rows, first)), Ok(())) => {
                let after = world.decisions(&client).await;
                let real = differences(&before, &after);
                let predicted: BTreeSet<Row> = rows.iter().cloned().collect();
                let wrong: Vec<_> = predicted.difference(&real).take(5).collect();
                let missed: Vec<_> = real.difference(&predicted).take(5).collect();
                assert!(wrong.is_empty() && missed.is_empty(), "step {step}: {wish:#?}\n{wrong:#?}\n{missed:#?}");
                assert!(rows.is_sorted_by(|left, right| (&left.0, &left.1, &left.2) < (&right.0, &right.1, &right.2)));
                totals(&first.totals.unwrap(), &rows);
                before = after;
                rows_seen += rows.len();
                *kinds.entry(kind).or_default() += usize::from(!rows.is_empty());
            }
            (Err(previewed), Err(made)) => {
                let told = |status: &tonic::Status| (status.code(), reason(status), status.message().to_owned());
                assert_eq!(told(&previewed), told(&made), "step {step}: {wish:#?}");
                refusals += 1;
            }
            (previewed, made) => panic!("step {step}: {wish:#?}\npreviewed {previewed:?}\nmade {made:?}"),
        }
    }
    println!("{steps} changes: {rows_seen} rows, {refusals} refused, that turned something: {kinds:?}");
    if steps >= STEPS {
        // Ids differ from run to run, and with them which changes turn something.
        assert!(kinds.values().filter(|times| **times > 0).count() >= 4, "{kinds:?}");
    }
}

fn totals(totals: &pb::PreviewTotals, rows: &[Row]) {
    let count = |after: &[pb::Decision]| rows.iter().filter(|row| after.contains(&row.4)).count() as i64;
    assert!(totals.is_complete);
    assert_eq!(totals.gained_count, count(&[pb::Decision::Allow]));
    assert_eq!(totals.lost_count, count(&[pb::Decision::Deny]));
    assert_eq!(totals.changed_count, count(&[pb::Decision::RequiresStepUp, pb::Decision::RequiresApproval]));
    let distinct = |part: fn(&Row) -> &String| rows.iter().map(part).collect::<BTreeSet<_>>().len() as i64;
    assert_eq!(totals.peer_count, distinct(|row| &row.0));
    assert_eq!(totals.account_count, distinct(|row| &row.1));
}

type Decisions = BTreeMap<(String, String, String), pb::Decision>;

fn differences(before: &Decisions, after: &Decisions) -> BTreeSet<Row> {
    let pairs = before.iter().zip(after);
    pairs
        .filter(|((_, old), (_, new))| old != new)
        .map(|(((peer, account, permission), old), (_, new))| {
            (peer.clone(), account.clone(), permission.clone(), *old, *new)
        })
        .collect()
}

struct World {
    server: Server,
    msps: [String; 2],
    accounts: Vec<String>,
    peers: Vec<String>,
    operator: String,
    roles: Vec<String>,
    group: String,
    permissions: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        let msps = [server.partner("msp-a", &["mspcontrol"]).await, server.partner("msp-b", &["mspcontrol"]).await];
        let mut accounts = vec!["accounts/platform".to_owned(), msps[0].clone(), msps[1].clone()];
        for (id, parent) in [("tenant-a", &msps[0]), ("tenant-b", &msps[0]), ("tenant-c", &msps[1])] {
            accounts.push(server.customer(id, parent).await);
        }
        accounts.push(server.department("dept-a", "accounts/tenant-a").await);
        let operator = server.operator();
        let mut roles = Vec::new();
        for owner in [&msps[0], &msps[1], &msps[0]] {
            roles.push(server.custom_role(owner, &["ftp.*", "accounts.view"]).await);
        }
        let mut peers = Vec::new();
        for (number, home) in accounts.iter().enumerate().skip(1) {
            let role = if home == "accounts/msp-b" || home == "accounts/tenant-c" { &roles[1] } else { &roles[0] };
            peers.push(server.person(home, &format!("peer-{number}"), role).await.name);
        }
        let group = groups::make(&operator, &msps[0]).await;
        groups::join(&operator, &group, &peers[0]).await.unwrap();
        let permissions = permissions(&operator).await;
        let me = pb::GetPeerRequest { name: "peers/me".to_owned(), read_mask: None };
        let name = operator.peers().get_peer(me).await.unwrap().into_inner().name;
        Self { server, msps, accounts, peers, operator: name, roles, group, permissions }
    }

    async fn decisions(&self, client: &Client) -> Decisions {
        let mut cells = Vec::new();
        for peer in self.peers.iter().chain([&self.operator]) {
            for account in &self.accounts {
                cells.extend(self.permissions.iter().map(|one| (peer.clone(), account.clone(), one.clone())));
            }
        }
        let mut decisions = Decisions::new();
        for cells in cells.chunks(1000) {
            let item = |(peer, account, permission): &(String, String, String)| pb::BatchAuthorizeItem {
                subject: Some(pb::batch_authorize_item::Subject::Peer(peer.clone())),
                permission: permission.clone(),
                account: account.clone(),
                context: None,
            };
            let request = pb::BatchAuthorizeRequest { items: cells.iter().map(item).collect(), ..Default::default() };
            let answers = client.access().batch_authorize(request).await.unwrap().into_inner().results;
            for (cell, answer) in cells.iter().zip(answers) {
                let Some(ItemResult::Decision(answer)) = answer.result else { panic!("no decision on {cell:?}") };
                decisions.insert(cell.clone(), answer.decision());
            }
        }
        decisions
    }

    fn some<'a>(list: &'a [String], random: &mut Random) -> &'a String {
        random.pick(list).unwrap()
    }

    fn grants(random: &mut Random) -> Vec<pb::Grant> {
        let one = |random: &mut Random| {
            let permission = random.pick(&GRANTS).unwrap();
            match random.below(6) {
                0 => deny(permission),
                1 => {
                    let approval = Some(pb::ApprovalRequirement {});
                    pb::Grant { requirements: Some(pb::Requirements { step_up: None, approval }), ..allow(permission) }
                }
                _ => allow(permission),
            }
        };
        (0..=random.below(3)).map(|_| one(random)).collect()
    }

    async fn binding(&self, client: &Client, random: &mut Random) -> Option<pb::RoleBinding> {
        let account = "accounts/platform".to_owned();
        let list =
            pb::ListRoleBindingsRequest { account, include_descendants: true, page_size: 1000, ..Default::default() };
        let bindings = client.roles().list_role_bindings(list).await.unwrap().into_inner().role_bindings;
        let custom: Vec<pb::RoleBinding> =
            bindings.into_iter().filter(|binding| self.roles.contains(&binding.role)).collect();
        random.pick(&custom).cloned()
    }

    /// A change that may well be refused.
    async fn wish(&self, client: &Client, random: &mut Random) -> Change {
        let etag = String::new();
        match random.below(16) {
            0 | 1 => {
                let (role, account) = (Self::some(&self.roles, random), Self::some(&self.accounts, random));
                let wish = if random.chance(25) {
                    of_group(&self.group, role, account)
                } else {
                    binding(Self::some(&self.peers, random), role, account)
                };
                let reach = if random.chance(30) { pb::Reach::AccountOnly } else { pb::Reach::Subtree };
                let wish = pb::RoleBinding { reach: reach.into(), ..wish };
                Change::CreateRoleBinding(pb::CreateRoleBindingRequest {
                    role_binding: Some(wish),
                    ..Default::default()
                })
            }
            2 => match self.binding(client, random).await {
                Some(binding) => {
                    let name = binding.name;
                    Change::DeleteRoleBinding(pb::DeleteRoleBindingRequest { name, etag, ..Default::default() })
                }
                None => self.edit_role(random),
            },
            3 => match self.binding(client, random).await {
                Some(binding) => {
                    let mode = if random.chance(50) { pb::BindingMode::Active } else { pb::BindingMode::Eligible };
                    let reach = if random.chance(50) { pb::Reach::AccountOnly } else { pb::Reach::Subtree };
                    let role_binding = pb::RoleBinding {
                        name: binding.name,
                        mode: mode.into(),
                        reach: reach.into(),
                        ..Default::default()
                    };
                    Change::UpdateRoleBinding(pb::UpdateRoleBindingRequest {
                        role_binding: Some(role_binding),
                        ..Default::default()
                    })
                }
                None => self.edit_role(random),
            },
            4 | 5 => self.edit_role(random),
            6 => {
                let member = Some(groups::member(Self::some(&self.peers, random)));
                Change::AddGroupMember(pb::AddGroupMemberRequest {
                    group: self.group.clone(),
                    member,
                    ..Default::default()
                })
            }
            7 => {
                let peer = Self::some(&self.peers, random).clone();
                Change::RemoveGroupMember(pb::RemoveGroupMemberRequest {
                    group: self.group.clone(),
                    peer,
                    ..Default::default()
                })
            }
            8 => {
                let destination_parent = Self::some(&self.msps, random).clone();
                let name = Self::some(&self.accounts[3..6], random).clone();
                Change::MoveAccount(pb::MoveAccountRequest { name, destination_parent, ..Default::default() })
            }
            9 => {
                let scope =
                    if random.chance(60) { pb::SuspensionScope::Subtree } else { pb::SuspensionScope::OwnPeers };
                let (name, reason) = (Self::some(&self.accounts, random).clone(), "unpaid".to_owned());
                Change::SuspendAccount(pb::SuspendAccountRequest {
                    name,
                    scope: scope.into(),
                    reason,
                    ..Default::default()
                })
            }
            10 | 11 => {
                let name = Self::some(&self.accounts, random).clone();
                Change::ResumeAccount(pb::ResumeAccountRequest { name, ..Default::default() })
            }
            12 => {
                let modes = [
                    pb::PartnerAccessMode::Allowed,
                    pb::PartnerAccessMode::SessionOnly,
                    pb::PartnerAccessMode::Blocked,
                ];
                let partner_access = (*random.pick(&modes).unwrap()).into();
                let settings = Some(pb::AccountSettings { partner_access, ..Default::default() });
                let name = Self::some(&self.accounts[1..], random).clone();
                Change::UpdateAccount(pb::UpdateAccountRequest {
                    account: Some(pb::Account { name, settings, ..Default::default() }),
                    update_mask: crate::roles::mask(&["settings.partner_access"]),
                    justification: "asked for".to_owned(),
                    ..Default::default()
                })
            }
            13 => {
                let name = Self::some(&self.peers, random).clone();
                Change::DisablePeer(pb::DisablePeerRequest { name, ..Default::default() })
            }
            14 => {
                let name = Self::some(&self.peers, random).clone();
                Change::EnablePeer(pb::EnablePeerRequest { name, ..Default::default() })
            }
            _ => {
                let name = Self::some(&self.peers, random).clone();
                if random.chance(50) {
                    Change::DeletePeer(pb::DeletePeerRequest { name, ..Default::default() })
                } else {
                    Change::UndeletePeer(pb::UndeletePeerRequest { name, ..Default::default() })
                }
            }
        }
    }

    fn edit_role(&self, random: &mut Random) -> Change {
        let (name, grants) = (Self::some(&self.roles, random).clone(), Self::grants(random));
        let role = Some(pb::Role { name, grants, ..Default::default() });
        let update_mask = crate::roles::mask(&["grants"]);
        Change::UpdateRole(pb::UpdateRoleRequest { role, update_mask, ..Default::default() })
    }
}

async fn permissions(client: &Client) -> Vec<String> {
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListPermissionsRequest { page_size: 1000, page_token, ..Default::default() };
        let page = client.roles().list_permissions(request).await.unwrap().into_inner();
        names.extend(
            page.permissions
                .into_iter()
                .map(|permission| permission.name.trim_start_matches("permissions/").to_owned()),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert!(names.len() > 100, "{}", names.len());
    names
}
