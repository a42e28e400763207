//! What the server has of the things that a world names, and nothing else: the cost follows the file,
//! not the server.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use super::world::{Access, Principal, RoleRef, Titled, World};
use crate::cli::connection::Connection;
use crate::cli::{failure, page};
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::peer::UserName;
use crate::transport::grpc::pb;

/// How many calls are under way at once.
pub(super) const CALLS: usize = 16;

type Key = (String, String);

/// What is there, by key.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(super) accounts: HashMap<AccountId, pb::Account>,
    /// By folded user name.
    pub(super) peers: HashMap<String, pb::Peer>,
    /// Custom roles by owner and folded title.
    pub(super) roles: HashMap<Key, pb::Role>,
    /// Roles that the file names by their id.
    pub(super) role_ids: HashMap<RoleId, pb::Role>,
    pub(super) groups: HashMap<Key, (pb::Group, Vec<pb::GroupMember>)>,
    pub(super) bindings: HashMap<AccountId, Vec<pb::RoleBinding>>,
    /// What hangs on accounts and cannot be read.
    pub(super) unread: Unread,
    /// What the peers of the file hold at home and below, by folded user name, as far as the caller may
    /// see it.
    pub(super) held: HashMap<String, Vec<pb::RoleBinding>>,
    /// The packs that the server has, where the file names some and the caller may see them.
    pub(super) packs: Option<HashSet<String>>,
    /// The catalogue, where the file has roles to check against it.
    pub(super) permissions: HashSet<String>,
}

/// The accounts of which something cannot be read, and why.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pub(super) roles: HashMap<AccountId, String>,
    pub(super) groups: HashMap<AccountId, String>,
    pub(super) bindings: HashMap<AccountId, String>,
    /// Custom roles that the file names by their id.
    pub(super) role_ids: HashMap<RoleId, String>,
}

/// What a world names.
#[derive(Debug, Default)]
struct Wanted {
    accounts: HashSet<AccountId>,
    peers: HashMap<String, UserName>,
    role_owners: HashSet<AccountId>,
    role_ids: HashSet<RoleId>,
    group_accounts: HashSet<AccountId>,
    binding_accounts: HashSet<AccountId>,
}

impl Wanted {
    fn of(world: &World) -> Self {
        let mut wanted = Self::default();
        for account in &world.accounts {
            wanted.accounts.extend([account.id.clone(), account.parent.value.clone()]);
        }
        for role in &world.roles {
            wanted.role_owners.insert(role.key.account.clone());
        }
        for peer in &world.peers {
            wanted.peer(&peer.user_name);
            wanted.accounts.insert(peer.home.value.clone());
            if let Some(role) = &peer.role {
                wanted.role(&role.value);
            }
            match &peer.access {
                Some(Access::Accounts(accounts)) => {
                    wanted.binding_accounts.extend(accounts.iter().map(|account| account.value.clone()));
                }
                Some(Access::All) | None => {
                    wanted.binding_accounts.insert(peer.home.value.clone());
                }
            }
        }
        for group in &world.groups {
            wanted.group_accounts.insert(group.key.account.clone());
            group.members.iter().for_each(|member| wanted.peer(&member.peer.value));
        }
        for binding in &world.bindings {
            wanted.binding_accounts.insert(binding.account.value.clone());
            wanted.role(&binding.role.value);
            match &binding.principal.value {
                Principal::Peer(peer) => wanted.peer(peer),
                Principal::Group(Titled { account, .. }) => {
                    wanted.group_accounts.insert(account.clone());
                }
            }
        }
        let others = wanted.role_owners.iter().chain(&wanted.group_accounts).chain(&wanted.binding_accounts);
        let others: Vec<_> = others.cloned().collect();
        wanted.accounts.extend(others);
        wanted
    }

    fn peer(&mut self, user_name: &UserName) {
        self.peers.entry(user_name.key()).or_insert_with(|| user_name.clone());
    }

    fn role(&mut self, role: &RoleRef) {
        match role {
            RoleRef::Id(id) => {
                self.role_ids.insert(id.clone());
            }
            RoleRef::Titled(titled) => {
                self.role_owners.insert(titled.account.clone());
            }
        }
    }
}

impl State {
    /// A server that has its packs and nothing else.
    pub(crate) fn fresh(
        role_ids: HashMap<RoleId, pb::Role>,
        packs: HashSet<String>,
        permissions: HashSet<String>,
    ) -> Self {
        let root = pb::Account {
            name: format!("accounts/{}", AccountId::platform()),
            kind: pb::AccountKind::Platform.into(),
            effective_settings: Some(pb::AccountSettings::default()),
            ..Default::default()
        };
        let accounts = HashMap::from([(AccountId::platform(), root)]);
        Self { accounts, role_ids, packs: Some(packs), permissions, ..Self::default() }
    }

    /// Asks the server about everything that a world names.
    pub(super) async fn load(connection: &Connection, world: &World) -> Result<Self, Status> {
        let wanted = Wanted::of(world);
        let progress = page::bar(wanted.accounts.len() + wanted.peers.len() * 2, "reading the server");
        let accounts = each(wanted.accounts, &progress, async |id: AccountId| {
            let request = pb::GetAccountRequest { name: format!("accounts/{id}"), read_mask: None };
            Ok(found(connection.accounts().get_account(request).await)?.map(|account| (id, account)))
        })
        .await?;
        let peers = each(wanted.peers, &progress, async |(key, name): (String, UserName)| {
            let request = pb::GetPeerRequest { name: format!("peers/@{}", name.as_str()), read_mask: None };
            Ok(found(connection.peers().get_peer(request).await)?.map(|peer| (key, peer)))
        })
        .await?;
        let role_ids = each(wanted.role_ids, &progress, async |id: RoleId| {
            let request = pb::GetRoleRequest { name: format!("roles/{id}"), read_mask: None };
            Ok(readable(found(connection.roles().get_role(request).await))?.transpose().map(|role| (id, role)))
        })
        .await?;
        // What hangs on accounts is asked of those that are there.
        let there =
            |ids: HashSet<AccountId>| ids.into_iter().filter(|id| accounts.contains_key(id)).collect::<Vec<_>>();
        let roles = each(there(wanted.role_owners), &progress, async |id: AccountId| {
            Ok(Some((id.clone(), readable(roles_of(connection, &id).await)?)))
        })
        .await?;
        let groups = each(there(wanted.group_accounts), &progress, async |id: AccountId| {
            Ok(Some((id.clone(), readable(groups_of(connection, &id).await)?)))
        })
        .await?;
        let bindings = each(there(wanted.binding_accounts), &progress, async |id: AccountId| {
            Ok(Some((id.clone(), readable(bindings_on(connection, &id).await)?)))
        })
        .await?;
        let of_file = world.peers.iter().filter_map(|peer| {
            let key = peer.user_name.key();
            peers.get(&key).map(|there| (key, there.name.clone(), there.home_account.clone()))
        });
        let held = each(of_file.collect::<Vec<_>>(), &progress, async |(key, name, home): (String, String, String)| {
            Ok(seen(held_by(connection, &name, home).await)?.map(|bindings| (key, bindings)))
        })
        .await?;
        let packs = if world.accounts.iter().any(|account| account.role_packs.is_some() || account.template.is_some()) {
            known_packs(connection, &accounts).await?
        } else {
            None
        };
        let permissions = if world.roles.is_empty() { HashSet::new() } else { catalogue(connection).await? };
        progress.finish_and_clear();
        let mut unread = Unread::default();
        let role_ids = known(role_ids, &mut unread.role_ids);
        let roles = known(roles, &mut unread.roles);
        let groups = known(groups, &mut unread.groups);
        let bindings = known(bindings, &mut unread.bindings);
        Ok(Self {
            accounts,
            peers,
            roles: roles.into_values().flatten().collect(),
            role_ids,
            groups: groups.into_values().flatten().collect(),
            bindings,
            unread,
            held,
            packs,
            permissions,
        })
    }
}

async fn each<I, K: Eq + Hash, V>(
    items: impl IntoIterator<Item = I>,
    progress: &ProgressBar,
    ask: impl AsyncFn(I) -> Result<Option<(K, V)>, Status>,
) -> Result<HashMap<K, V>, Status> {
    let ask = &ask;
    let answers = stream::iter(items).map(async |item| {
        let answer = ask(item).await;
        progress.inc(1);
        answer
    });
    answers.buffer_unordered(CALLS).try_filter_map(async |answer| Ok(answer)).try_collect().await
}

fn found<T>(answer: Result<Response<T>, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(status),
    }
}

async fn roles_of(connection: &Connection, owner: &AccountId) -> Result<Vec<(Key, pb::Role)>, Status> {
    let account = format!("accounts/{owner}");
    let mut client = connection.roles();
    let roles = page::follow(None, async |page_size, page_token| {
        let request = pb::ListRolesRequest {
            account: account.clone(),
            page_size,
            page_token,
            filter: format!("owner_account = \"{account}\""),
            ..Default::default()
        };
        let page = client.list_roles(request).await?.into_inner();
        Ok((page.roles, page.next_page_token))
    })
    .await?;
    Ok(roles.into_iter().map(|role| (key(owner, &role.title), role)).collect())
}

/// The packs of the built-in roles that can be used where all packs are on.
async fn known_packs(
    connection: &Connection,
    accounts: &HashMap<AccountId, pb::Account>,
) -> Result<Option<HashSet<String>>, Status> {
    let has_all =
        |account: &&pb::Account| account.effective_settings.as_ref().is_some_and(|all| all.role_packs.is_empty());
    let platform = format!("accounts/{}", AccountId::platform());
    let others = accounts.values().filter(has_all).map(|account| &account.name).min();
    for account in std::iter::once(&platform).chain(others) {
        let mut client = connection.roles();
        let roles = page::follow(None, async |page_size, page_token| {
            let account = account.clone();
            let filter = "built_in = true".to_owned();
            let request = pb::ListRolesRequest { account, page_size, page_token, filter, ..Default::default() };
            let page = client.list_roles(request).await?.into_inner();
            Ok((page.roles, page.next_page_token))
        });
        if let Some(roles) = seen(roles.await)? {
            let ids = roles.iter().filter_map(|role| role.name.strip_prefix("roles/")?.split_once('.'));
            return Ok(Some(ids.map(|(pack, _)| pack.to_owned()).collect()));
        }
    }
    Ok(None)
}

type GroupEntry = (Key, (pb::Group, Vec<pb::GroupMember>));

async fn groups_of(connection: &Connection, account: &AccountId) -> Result<Vec<GroupEntry>, Status> {
    let mut client = connection.roles();
    let groups = page::follow(None, async |page_size, page_token| {
        let request = pb::ListGroupsRequest {
            account: format!("accounts/{account}"),
            page_size,
            page_token,
            ..Default::default()
        };
        let page = client.list_groups(request).await?.into_inner();
        Ok((page.groups, page.next_page_token))
    })
    .await?;
    let mut entries = Vec::with_capacity(groups.len());
    for group in groups {
        let members = page::follow(None, async |page_size, page_token| {
            let request = pb::ListGroupMembersRequest { group: group.name.clone(), page_size, page_token };
            let page = client.list_group_members(request).await?.into_inner();
            Ok((page.members, page.next_page_token))
        })
        .await?;
        entries.push((key(account, &group.title), (group, members)));
    }
    Ok(entries)
}

/// Whether the caller may not look, be it because the account is suspended.
fn is_hidden(status: &Status) -> bool {
    let reason = status.get_details_error_info().map(|info| info.reason);
    matches!(status.code(), Code::NotFound | Code::PermissionDenied) || reason.as_deref() == Some("ACCOUNT_SUSPENDED")
}

/// The inner error says why something cannot be read.
fn readable<T>(answer: Result<T, Status>) -> Result<Result<T, String>, Status> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(status) if is_hidden(&status) => Ok(Err(failure::short(&status))),
        Err(status) => Err(status),
    }
}

/// What could be read; of the rest, why not.
fn known<K: Eq + Hash, V>(answers: HashMap<K, Result<V, String>>, unread: &mut HashMap<K, String>) -> HashMap<K, V> {
    let mut known = HashMap::with_capacity(answers.len());
    for (key, answer) in answers {
        match answer {
            Ok(value) => drop(known.insert(key, value)),
            Err(why) => drop(unread.insert(key, why)),
        }
    }
    known
}

/// Nothing where the caller may not look.
fn seen<T>(answer: Result<T, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(status) if is_hidden(&status) => Ok(None),
        Err(status) => Err(status),
    }
}

async fn bindings_on(connection: &Connection, account: &AccountId) -> Result<Vec<pb::RoleBinding>, Status> {
    let request = pb::ListRoleBindingsRequest { account: format!("accounts/{account}"), ..Default::default() };
    bindings(connection, request).await
}

async fn held_by(connection: &Connection, peer: &str, home: String) -> Result<Vec<pb::RoleBinding>, Status> {
    let filter = format!("peer = \"{peer}\"");
    let request =
        pb::ListRoleBindingsRequest { account: home, include_descendants: true, filter, ..Default::default() };
    bindings(connection, request).await
}

async fn bindings(
    connection: &Connection,
    request: pb::ListRoleBindingsRequest,
) -> Result<Vec<pb::RoleBinding>, Status> {
    let mut client = connection.roles();
    page::follow(None, async |page_size, page_token| {
        let request = pb::ListRoleBindingsRequest { page_size, page_token, ..request.clone() };
        let page = client.list_role_bindings(request).await?.into_inner();
        Ok((page.role_bindings, page.next_page_token))
    })
    .await
}

async fn catalogue(connection: &Connection) -> Result<HashSet<String>, Status> {
    let mut client = connection.roles();
    let permissions = page::follow(None, async |page_size, page_token| {
        let request = pb::ListPermissionsRequest { page_size, page_token, filter: String::new() };
        let page = client.list_permissions(request).await?.into_inner();
        Ok((page.permissions, page.next_page_token))
    })
    .await?;
    Ok(permissions.into_iter().map(|permission| permission.name).collect())
}

fn key(account: &AccountId, title: &str) -> Key {
    Titled { account: account.clone(), title: title.to_owned() }.folded()
}
