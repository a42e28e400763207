//! Reading every fact there is, at one revision.
//!
//! Rows come in chunks by key, so that memory does not grow with the database, and only the columns
//! that a decision reads are asked for.

use sea_orm::sea_query::{ExprTrait as _, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};
use uuid::Uuid;

use crate::domain::binding::{Mode, Reach};
use crate::domain::fact::{ApiKeyFact, BindingFact, Fact, GroupFact, Mark, MemberFact, PeerFact};
use crate::domain::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::peer::{PeerKind, PeerStatus, user_name_hash};
use crate::domain::time::Timestamp;
use crate::storage::code::{Coded as _, fixed};
use crate::storage::entity::{account, api_key, group, group_member, peer, permission, role, role_binding};
use crate::storage::error::StoreError;
use crate::storage::{Store, accounts, bindings, facts, permissions, roles};

/// Rows read at once.
const CHUNK: u64 = 8192;

/// Reads all facts in one consistent transaction and hands them over one by one: permissions,
/// accounts (parents before children), roles, groups, peers, members, bindings, API keys that are
/// neither revoked nor over at `now`. Returns the place in the feed that they stand at.
///
/// # Errors
/// [`StoreError::Corrupt`] where a row cannot be read; otherwise what the database reports.
pub async fn load(store: &Store, now: Timestamp, mut take: impl FnMut(Fact) + Send) -> Result<Mark, StoreError> {
    let transaction = store.begin_read().await?;
    let conn = transaction.connection();
    let mark = super::head(conn).await?;
    permission_facts(conn, &mut take).await?;
    account_facts(conn, &mut take).await?;
    role_facts(conn, &mut take).await?;
    group_facts(conn, &mut take).await?;
    peer_facts(conn, &mut take).await?;
    member_facts(conn, &mut take).await?;
    binding_facts(conn, &mut take).await?;
    api_key_facts(conn, now, &mut take).await?;
    transaction.finish().await?;
    Ok(mark)
}

async fn permission_facts(conn: &impl ConnectionTrait, take: &mut impl FnMut(Fact)) -> Result<(), StoreError> {
    for row in permission::Entity::find().order_by_asc(permission::Column::Name).all(conn).await? {
        take(Fact::Permission(permissions::from_row(row)?));
    }
    Ok(())
}

/// In the order of paths, a parent comes before what is below it.
async fn account_facts(conn: &impl ConnectionTrait, take: &mut impl FnMut(Fact)) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let rows = account::Entity::find()
            .filter(account::Column::DeleteTime.is_null())
            .filter(account::Column::Path.gt(after.as_str()))
            .order_by_asc(account::Column::Path)
            .limit(CHUNK)
            .all(conn)
            .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.path);
        for row in rows {
            take(Fact::Account(facts::account(&accounts::from_row(row)?)));
        }
    }
}

async fn role_facts(conn: &impl ConnectionTrait, take: &mut impl FnMut(Fact)) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let rows = role::Entity::find()
            .filter(role::Column::Id.gt(after.as_str()))
            .order_by_asc(role::Column::Id)
            .limit(CHUNK / 16)
            .all(conn)
            .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(&last.id);
        for row in rows {
            take(Fact::Role(facts::role(&roles::from_row(row)?)));
        }
    }
}

#[derive(FromQueryResult)]
struct GroupRow {
    id: Uuid,
    account_id: String,
}

async fn group_facts(conn: &impl ConnectionTrait, take: &mut impl FnMut(Fact)) -> Result<(), StoreError> {
    use group::Column::{AccountId as Account, Id};
    let mut after = None;
    loop {
        let rows: Vec<GroupRow> = chunk(conn, group::Entity::find(), [Id, Account], Id, after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.id);
        for row in rows {
            let account = account_id(&row.account_id, "groups", row.id)?;
            take(Fact::Group(GroupFact { id: GroupId::from(row.id), account }));
        }
    }
}

#[derive(FromQueryResult)]
struct PeerRow {
    id: Uuid,
    user_name_key: String,
    kind: String,
    home_id: String,
    status: String,
    expire_time: Option<i64>,
    person: Option<Uuid>,
}

/// The ids of deleted accounts. The peers homed there wait for their purge and are no facts.
fn deleted_accounts() -> SelectStatement {
    Query::select()
        .column(account::Column::Id)
        .from(account::Entity)
        .and_where(account::Column::DeleteTime.is_not_null())
        .take()
}

async fn peer_facts(conn: &impl ConnectionTrait, take: &mut impl FnMut(Fact)) -> Result<(), StoreError> {
    use peer::Column::{ExpireTime, HomeId, Id, Kind, Person, Status, UserNameKey};
    const TABLE: &str = "peers";
    let columns = [Id, UserNameKey, Kind, HomeId, Status, ExpireTime, Person];
    let mut after = None;
    loop {
        let select = peer::Entity::find().filter(HomeId.not_in_subquery(deleted_accounts()));
        let rows: Vec<PeerRow> = chunk(conn, select, columns, Id, after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.id);
        for row in rows {
            take(Fact::Peer(PeerFact {
                id: PeerId::from(row.id),
                user_name_hash: user_name_hash(&row.user_name_key),
                kind: PeerKind::read(&row.kind, TABLE, &row.id)?,
                home: account_id(&row.home_id, TABLE, row.id)?,
                status: PeerStatus::read(&row.status, TABLE, &row.id)?,
                expire_time: row.expire_time.map(Timestamp::from_micros),
                person: row.person.map(PeerId::from),
            }));
        }
    }
}

#[derive(FromQueryResult)]
struct MemberRow {
    group_id: Uuid,
    peer_id: Uuid,
    mode: String,
    start_time: i64,
    expire_time: Option<i64>,
}

/// In the order of their peers, as all facts of peers are: whoever packs them touches each peer once.
async fn member_facts(conn: &impl ConnectionTrait, take: &mut impl FnMut(Fact)) -> Result<(), StoreError> {
    use group_member::Column::{ExpireTime, GroupId as Group, Mode as MemberMode, PeerId as Peer, StartTime};
    const TABLE: &str = "group_members";
    let mut after: Option<(Uuid, Uuid)> = None;
    loop {
        let mut select = group_member::Entity::find();
        if let Some((peer, group)) = after {
            select = select.filter(Peer.gte(peer)).filter(Peer.gt(peer).or(Group.gt(group)));
        }
        let rows = select
            .select_only()
            .columns([Group, Peer, MemberMode, StartTime, ExpireTime])
            .order_by_asc(Peer)
            .order_by_asc(Group)
            .limit(CHUNK)
            .into_model::<MemberRow>()
            .all(conn)
            .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some((last.peer_id, last.group_id));
        for row in rows {
            let corrupt = || StoreError::corrupt(TABLE, format!("{}/{}", row.group_id, row.peer_id));
            take(Fact::Member(MemberFact {
                group: GroupId::from(row.group_id),
                peer: PeerId::from(row.peer_id),
                mode: Mode::read(&row.mode, TABLE, &row.peer_id)?,
                window: bindings::window(row.start_time, row.expire_time).ok_or_else(corrupt)?,
            }));
        }
    }
}

#[derive(FromQueryResult)]
struct BindingRow {
    id: Uuid,
    peer_id: Option<Uuid>,
    group_id: Option<Uuid>,
    role_id: String,
    account_id: String,
    reach: String,
    mode: String,
    start_time: i64,
    expire_time: Option<i64>,
}

/// First those of peers in the order of the peers, then those of groups.
async fn binding_facts(conn: &impl ConnectionTrait, take: &mut impl FnMut(Fact)) -> Result<(), StoreError> {
    use role_binding::Column as Of;
    const TABLE: &str = bindings::TABLE;
    for principal in [Of::PeerId, Of::GroupId] {
        let mut after: Option<(Uuid, Uuid)> = None;
        loop {
            let mut select = role_binding::Entity::find().filter(principal.is_not_null());
            if let Some((holder, id)) = after {
                select = select.filter(principal.gte(holder)).filter(principal.gt(holder).or(Of::Id.gt(id)));
            }
            let rows = select
                .select_only()
                .columns([Of::Id, Of::PeerId, Of::GroupId, Of::RoleId, Of::AccountId])
                .columns([Of::Reach, Of::Mode, Of::StartTime, Of::ExpireTime])
                .order_by_asc(principal)
                .order_by_asc(Of::Id)
                .limit(CHUNK)
                .into_model::<BindingRow>()
                .all(conn)
                .await?;
            let Some(last) = rows.last() else { break };
            after = last.peer_id.or(last.group_id).map(|holder| (holder, last.id));
            for row in rows {
                let corrupt = || StoreError::corrupt(TABLE, row.id);
                take(Fact::Binding(BindingFact {
                    id: BindingId::from(row.id),
                    principal: bindings::principal(row.peer_id, row.group_id).ok_or_else(corrupt)?,
                    role: RoleId::parse(&row.role_id).map_err(|_| corrupt())?,
                    account: account_id(&row.account_id, TABLE, row.id)?,
                    reach: Reach::read(&row.reach, TABLE, &row.id)?,
                    mode: Mode::read(&row.mode, TABLE, &row.id)?,
                    window: bindings::window(row.start_time, row.expire_time).ok_or_else(corrupt)?,
                }));
            }
        }
    }
    Ok(())
}

#[derive(FromQueryResult)]
struct ApiKeyRow {
    id: Uuid,
    peer_id: Uuid,
    hash: Vec<u8>,
    expire_time: Option<i64>,
    revoke_time: Option<i64>,
}

/// Keys that no longer count are read too and left out here: there are few of them, and the order
/// by id needs no other index.
async fn api_key_facts(
    conn: &impl ConnectionTrait,
    now: Timestamp,
    take: &mut impl FnMut(Fact),
) -> Result<(), StoreError> {
    use api_key::Column::{ExpireTime, Hash, Id, PeerId as Peer, RevokeTime};
    let mut after = None;
    loop {
        let columns = [Id, Peer, Hash, ExpireTime, RevokeTime];
        let rows: Vec<ApiKeyRow> = chunk(conn, api_key::Entity::find(), columns, Id, after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some(last.id);
        for row in rows {
            let over = row.expire_time.is_some_and(|expire| expire <= now.as_micros());
            if row.revoke_time.is_some() || over {
                continue;
            }
            take(Fact::ApiKey(ApiKeyFact {
                id: ApiKeyId::from(row.id),
                peer: PeerId::from(row.peer_id),
                hash: fixed(&row.hash, "api_keys", &row.id)?,
                expire_time: row.expire_time.map(Timestamp::from_micros),
            }));
        }
    }
}

/// The next rows of a table whose key is one UUID.
async fn chunk<E, M>(
    conn: &impl ConnectionTrait,
    mut select: Select<E>,
    columns: impl IntoIterator<Item = E::Column>,
    key: E::Column,
    after: Option<Uuid>,
) -> Result<Vec<M>, StoreError>
where
    E: EntityTrait,
    M: FromQueryResult + Send + Sync,
{
    if let Some(after) = after {
        select = select.filter(key.gt(after));
    }
    let rows = select.select_only().columns(columns).order_by_asc(key).limit(CHUNK).into_model::<M>().all(conn).await;
    rows.map_err(StoreError::from)
}

fn account_id(text: &str, table: &'static str, key: Uuid) -> Result<AccountId, StoreError> {
    AccountId::parse(text).map_err(|_| StoreError::corrupt(table, key))
}
