//! Accounts and their tree.
//!
//! `path` is the ids from the root down, joined by `/`. In byte order a path comes before every
//! path below it, and all paths below `p` lie between `p/` and `p0`, because `0` follows `/`.
//!
//! INVARIANT: a row is never removed; a deleted account keeps its id, so that no other can take it.
//! Lists and look-ups show live accounts only.

use std::collections::{BTreeSet, HashMap};

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, Query, SimpleExpr};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _,
    PaginatorTrait as _, QueryFilter as _, QuerySelect as _, Select,
};

use super::code::{Coded as _, from_json, to_json};
use super::entity::account::{ActiveModel, Column, Entity, Model};
use super::entity::peer;
use super::error::StoreError;
use super::keyset::{self, Key, Order, Place};
use super::write;
use crate::domain::account::{Account, AccountKind};
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::text;
use crate::domain::time::Timestamp;

const TABLE: &str = "accounts";

/// Inserts an account below its parent, which must be there.
///
/// # Errors
/// [`super::Constraint::AccountId`] where the id was ever used; [`StoreError::Missing`] without
/// the parent.
pub async fn insert(conn: &impl ConnectionTrait, account: &Account) -> Result<(), StoreError> {
    let (path, depth) = match &account.parent {
        None => (account.id.to_string(), 1),
        Some(parent) => below(&row(conn, parent).await?, &account.id),
    };
    let mut model = to_row(account)?;
    model.path = path;
    model.depth = depth;
    write::insert::<Entity>(conn, model).await
}

/// Inserts accounts, many in a statement, each behind its parent or below one that is there.
///
/// # Errors
/// As [`insert`]; which id is taken is not known.
pub async fn insert_many(conn: &impl ConnectionTrait, accounts: &[Account]) -> Result<(), StoreError> {
    let mut known: HashMap<AccountId, (String, i64)> = HashMap::new();
    let mut rows = Vec::with_capacity(accounts.len());
    for account in accounts {
        let mut model = to_row(account)?;
        (model.path, model.depth) = match &account.parent {
            None => (account.id.to_string(), 1),
            Some(parent) => {
                if !known.contains_key(parent) {
                    let above = row(conn, parent).await?;
                    known.insert(parent.clone(), (above.path, above.depth));
                }
                let (path, depth) = known.get(parent).ok_or_else(|| missing(parent))?;
                (format!("{path}/{}", account.id), depth.saturating_add(1))
            }
        };
        known.insert(account.id.clone(), (model.path.clone(), model.depth));
        rows.push(model);
    }
    write::insert_many::<Entity>(conn, rows).await
}

/// Writes everything about an account but its place in the tree.
///
/// # Errors
/// [`StoreError::Missing`] without the account.
pub async fn update(conn: &impl ConnectionTrait, account: &Account) -> Result<(), StoreError> {
    let mut model = ActiveModel::from(to_row(account)?).reset_all();
    model.id = ActiveValue::NotSet;
    model.parent_id = ActiveValue::NotSet;
    model.path = ActiveValue::NotSet;
    model.depth = ActiveValue::NotSet;
    model.create_time = ActiveValue::NotSet;
    model.delete_time = ActiveValue::NotSet;
    let updated = Entity::update_many().set(model).filter(is(&account.id)).exec(conn).await?;
    write::met_one(updated.rows_affected, || missing(&account.id))
}

/// Moves an account below the parent it now names, with everything below it; its other fields are
/// written too, and the rows of peers homed there say which branch that is now. Whether the move makes a cycle is the caller's to know.
///
/// # Errors
/// [`StoreError::Missing`] without the account or its new parent.
pub async fn move_subtree(conn: &impl ConnectionTrait, account: &Account) -> Result<(), StoreError> {
    let old = row(conn, &account.id).await?;
    let (path, depth) = match &account.parent {
        None => (account.id.to_string(), 1),
        Some(parent) => below(&row(conn, parent).await?, &account.id),
    };
    if branch(&old.path) != branch(&path) {
        let homes = Query::select().column(Column::Id).from(Entity).cond_where(within(&old.path)).take();
        peer::Entity::update_many()
            .col_expr(peer::Column::BranchId, Expr::value(branch(&path)))
            .filter(peer::Column::HomeId.in_subquery(homes))
            .exec(conn)
            .await?;
    }
    // What follows the old path, counted in characters from 1.
    let rest_from = i32::try_from(old.path.len()).unwrap_or(i32::MAX).saturating_add(1);
    let rest = Func::cust("substr").arg(Expr::col(Column::Path)).arg(Expr::val(rest_from));
    let new_path = Expr::val(path).binary(concatenation(), SimpleExpr::from(rest));
    Entity::update_many()
        .col_expr(Column::Path, new_path)
        .col_expr(Column::Depth, Expr::col(Column::Depth).add(depth.saturating_sub(old.depth)))
        .filter(within(&old.path))
        .exec(conn)
        .await?;
    let parent = account.parent.as_ref().map(AccountId::to_string);
    Entity::update_many().col_expr(Column::ParentId, Expr::value(parent)).filter(is(&account.id)).exec(conn).await?;
    update(conn, account).await
}

/// The branch of each of those of these accounts that are there, or ever were: the account right below
/// the root that it lies in, and of the root the root itself.
pub(super) async fn branches<'a>(
    conn: &impl ConnectionTrait,
    ids: impl Iterator<Item = &'a AccountId>,
) -> Result<HashMap<String, String>, StoreError> {
    let ids: Vec<&str> = ids.map(AccountId::as_str).collect::<BTreeSet<_>>().into_iter().collect();
    let mut branches = HashMap::with_capacity(ids.len());
    for ids in ids.chunks(write::KEYS_MAX) {
        let select = Entity::find().select_only().columns([Column::Id, Column::Path]);
        let rows: Vec<(String, String)> =
            select.filter(Column::Id.is_in(ids.iter().copied())).into_tuple().all(conn).await?;
        branches.extend(rows.into_iter().map(|(id, path)| (id, branch(&path).to_owned())));
    }
    Ok(branches)
}

/// Deletes accounts for good; their ids stay taken.
///
/// # Errors
/// What the database reports.
pub async fn tombstone(
    conn: &impl ConnectionTrait,
    ids: &[AccountId],
    now: Timestamp,
    revision: i64,
) -> Result<(), StoreError> {
    for ids in ids.chunks(write::KEYS_MAX) {
        Entity::update_many()
            .col_expr(Column::DeleteTime, Expr::value(now.as_micros()))
            .col_expr(Column::UpdateTime, Expr::value(now.as_micros()))
            .col_expr(Column::UpdateRevision, Expr::value(revision))
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .filter(Column::Id.is_in(ids.iter().map(AccountId::as_str)))
            .filter(Column::DeleteTime.is_null())
            .exec(conn)
            .await?;
    }
    Ok(())
}

/// Whether an id is, or ever was, an account's.
///
/// # Errors
/// What the database reports.
pub async fn id_taken(conn: &impl ConnectionTrait, id: &AccountId) -> Result<bool, StoreError> {
    Ok(Entity::find_by_id(id.as_str()).count(conn).await? > 0)
}

/// Finds a live account.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, id: &AccountId) -> Result<Option<Account>, StoreError> {
    live().filter(is(id)).one(conn).await?.map(from_row).transpose()
}

/// The ids of the accounts that a deleted account stood below when it was deleted, the nearest first;
/// `None` where no account of that id was deleted.
///
/// # Errors
/// What the database reports.
pub async fn ancestors_of_deleted(
    conn: &impl ConnectionTrait,
    id: &AccountId,
) -> Result<Option<Vec<AccountId>>, StoreError> {
    let deleted = Entity::find().filter(Column::DeleteTime.is_not_null()).filter(is(id)).one(conn).await?;
    Ok(deleted.map(|row| row.path.rsplit('/').skip(1).filter_map(|id| AccountId::parse(id).ok()).collect()))
}

/// The deleted accounts that stood below an account when they were deleted, each with those that it stood
/// below, the nearest first; in no order, and no more than a limit.
///
/// # Errors
/// What the database reports.
pub async fn deleted_below(
    conn: &impl ConnectionTrait,
    top: &AccountId,
    limit: u64,
) -> Result<Vec<(AccountId, Vec<AccountId>)>, StoreError> {
    let Some(top) = Entity::find().filter(is(top)).one(conn).await? else { return Ok(Vec::new()) };
    let rows = Entity::find()
        .filter(Column::DeleteTime.is_not_null())
        .filter(Column::Path.gt(format!("{}/", top.path)))
        .filter(Column::Path.lt(format!("{}0", top.path)))
        .limit(limit)
        .all(conn)
        .await?;
    let read = |row: Model| {
        let id = AccountId::parse(&row.id).map_err(|_| StoreError::corrupt(TABLE, &row.id))?;
        Ok((id, row.path.rsplit('/').skip(1).filter_map(|id| AccountId::parse(id).ok()).collect()))
    };
    rows.into_iter().map(read).collect()
}

/// Gets a live account.
///
/// # Errors
/// [`StoreError::Missing`] without the account.
pub async fn get(conn: &impl ConnectionTrait, id: &AccountId) -> Result<Account, StoreError> {
    find(conn, id).await?.ok_or_else(|| missing(id))
}

/// Finds those of these accounts that are live, in no order.
///
/// # Errors
/// What the database reports.
pub async fn find_many(conn: &impl ConnectionTrait, ids: &[AccountId]) -> Result<Vec<Account>, StoreError> {
    let mut found = Vec::new();
    for ids in ids.chunks(write::KEYS_MAX) {
        let ids = ids.iter().map(AccountId::as_str);
        found.extend(live().filter(Column::Id.is_in(ids)).all(conn).await?);
    }
    found.into_iter().map(from_row).collect()
}

/// Which accounts to list.
#[derive(Debug, Clone)]
pub enum Scope {
    /// Those directly below an account.
    Children(AccountId),
    /// Everything below an account, itself not.
    Below(AccountId),
    /// These accounts and everything below them. One that lies below another is listed once.
    Within(Vec<AccountId>),
}

/// What lists can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    Id,
    Title,
    CreateTime,
    UpdateTime,
}

/// Which accounts, and in which order.
#[derive(Debug, Clone)]
pub struct Listing {
    pub scope: Scope,
    pub kind: Option<AccountKind>,
    pub order: Order<SortKey>,
}

impl SortKey {
    fn column(self) -> Option<Expr> {
        match self {
            Self::Id => None,
            Self::Title => Some(Expr::col(Column::TitleKey)),
            Self::CreateTime => Some(Expr::col(Column::CreateTime)),
            Self::UpdateTime => Some(Expr::col(Column::UpdateTime)),
        }
    }

    /// Where an account stands in a list with this key.
    #[must_use]
    pub fn place(self, account: &Account) -> Place<AccountId> {
        let key = match self {
            Self::Id => Key::Id,
            Self::Title => Key::Text(text::fold(&account.title)),
            Self::CreateTime => Key::Number(account.create_time.as_micros()),
            Self::UpdateTime => Key::Number(account.update_time.as_micros()),
        };
        Place { key, id: account.id.clone() }
    }
}

/// Lists live accounts after a place, ties by id.
///
/// # Errors
/// What the database reports.
pub async fn list(
    conn: &impl ConnectionTrait,
    listing: &Listing,
    after: Option<&Place<AccountId>>,
    limit: u64,
) -> Result<Vec<Account>, StoreError> {
    let Order { key, descending } = listing.order;
    let mut select = live().filter(scope(conn, &listing.scope).await?);
    if let Some(kind) = listing.kind {
        select = select.filter(Column::Kind.eq(kind.word()));
    }
    if let Some(after) = after {
        select = select.filter(keyset::beyond(key.column(), (&after.key, after.id.as_str().into()), descending));
    }
    let rows = keyset::sorted(select, key.column(), descending).limit(limit).all(conn).await?;
    rows.into_iter().map(from_row).collect()
}

async fn scope(conn: &impl ConnectionTrait, scope: &Scope) -> Result<Condition, StoreError> {
    let tops = match scope {
        Scope::Children(parent) => return Ok(Condition::all().add(Column::ParentId.eq(parent.as_str()))),
        Scope::Below(top) => vec![top],
        Scope::Within(tops) => tops.iter().collect(),
    };
    let ids = tops.iter().map(|id| id.as_str());
    let tops = Entity::find().filter(Column::Id.is_in(ids)).all(conn).await?;
    // A condition without parts holds for all, and here it must hold for none.
    let none = Condition::any().add(Expr::val(1).eq(0));
    let any = tops.iter().fold(none, |any, top| any.add(within(&top.path)));
    Ok(match scope {
        Scope::Below(top) => Condition::all().add(any).add(Column::Id.ne(top.as_str())),
        Scope::Children(_) | Scope::Within(_) => any,
    })
}

fn live() -> Select<Entity> {
    Entity::find().filter(Column::DeleteTime.is_null())
}

fn is(id: &AccountId) -> SimpleExpr {
    Column::Id.eq(id.as_str())
}

/// The account at a path and everything below it.
pub(super) fn within(path: &str) -> Condition {
    Condition::any()
        .add(Column::Path.eq(path))
        .add(Condition::all().add(Column::Path.gte(format!("{path}/"))).add(Column::Path.lt(format!("{path}0"))))
}

async fn row(conn: &impl ConnectionTrait, id: &AccountId) -> Result<Model, StoreError> {
    live().filter(is(id)).one(conn).await?.ok_or_else(|| missing(id))
}

/// The second part of a path; of the root, which has none, the first.
fn branch(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or(path)
}

fn below(parent: &Model, id: &AccountId) -> (String, i64) {
    (format!("{}/{id}", parent.path), parent.depth.saturating_add(1))
}

fn concatenation() -> sea_orm::sea_query::BinOper {
    sea_orm::sea_query::BinOper::Custom("||")
}

pub(super) fn missing(id: &AccountId) -> StoreError {
    StoreError::missing(TABLE, id)
}

fn optional_json(value: Option<&impl serde::Serialize>, key: &AccountId) -> Result<Option<String>, StoreError> {
    value.map(|value| to_json(value, TABLE, key)).transpose()
}

fn to_row(account: &Account) -> Result<Model, StoreError> {
    let key = &account.id;
    Ok(Model {
        id: key.to_string(),
        parent_id: account.parent.as_ref().map(AccountId::to_string),
        kind: account.kind.word().to_owned(),
        title: account.title.clone(),
        title_key: text::fold(&account.title),
        path: String::new(),
        depth: 0,
        labels: to_json(&account.labels, TABLE, key)?,
        suspension: optional_json(account.suspension.as_ref(), key)?,
        settings: to_json(&account.settings, TABLE, key)?,
        first_peer: account.first_peer.map(PeerId::as_uuid),
        ownership_request: optional_json(account.ownership_request.as_ref(), key)?,
        create_time: account.create_time.as_micros(),
        update_time: account.update_time.as_micros(),
        delete_time: None,
        version: account.version,
        update_revision: account.update_revision,
    })
}

pub(super) fn from_row(row: Model) -> Result<Account, StoreError> {
    let key = &row.id;
    let id = |text: &str| AccountId::parse(text).map_err(|_| StoreError::corrupt(TABLE, key));
    Ok(Account {
        id: id(key)?,
        parent: row.parent_id.as_deref().map(id).transpose()?,
        kind: AccountKind::read(&row.kind, TABLE, key)?,
        title: row.title,
        labels: from_json(&row.labels, TABLE, key)?,
        suspension: row.suspension.as_deref().map(|text| from_json(text, TABLE, key)).transpose()?,
        settings: from_json(&row.settings, TABLE, key)?,
        first_peer: row.first_peer.map(PeerId::from),
        ownership_request: row.ownership_request.as_deref().map(|text| from_json(text, TABLE, key)).transpose()?,
        create_time: Timestamp::from_micros(row.create_time),
        update_time: Timestamp::from_micros(row.update_time),
        version: row.version,
        update_revision: row.update_revision,
    })
}
