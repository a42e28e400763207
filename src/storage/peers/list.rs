//! Lists of peers by id, in one of two views: homed in a subtree, or with access to an account.

use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _,
};

use super::row;
use crate::domain::binding::Reach;
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::peer::{Peer, PeerKind, PeerStatus};
use crate::domain::time::Timestamp;
use crate::storage::code::Coded as _;
use crate::storage::entity::peer::{Column, Entity};
use crate::storage::entity::{account, group_member, role_binding};
use crate::storage::error::StoreError;

/// Which peers to list. Every part that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Homed in this account or below it.
    pub home_subtree: Option<AccountId>,
    pub with_access: Option<WithAccess>,
    pub kind: Option<PeerKind>,
    pub status: Option<PeerStatus>,
    /// Whether peers that wait for their purge are listed too.
    pub show_deleted: bool,
}

/// Peers that hold, or can raise, a binding which reaches an account and is not over: active or
/// eligible, their own or a group's.
#[derive(Debug, Clone)]
pub struct WithAccess {
    pub account: AccountId,
    /// The accounts above it, whose SUBTREE bindings reach down.
    pub ancestors: Vec<AccountId>,
    pub now: Timestamp,
}

/// Lists peers by id.
///
/// # Errors
/// What the database reports.
pub async fn list(
    conn: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<PeerId>,
    limit: u64,
) -> Result<Vec<Peer>, StoreError> {
    let rows = Entity::find()
        .filter(condition(filter))
        .apply_if(after, |select, after| select.filter(Column::Id.gt(after.as_uuid())))
        .order_by_asc(Column::Id)
        .limit(limit)
        .all(conn)
        .await?;
    rows.into_iter().map(row::read).collect()
}

fn condition(filter: &Filter) -> Condition {
    let mut all = Condition::all();
    if let Some(top) = &filter.home_subtree {
        all = all.add(Column::HomeId.in_subquery(subtree(top)));
    }
    if let Some(access) = &filter.with_access {
        let own = Column::Id.in_subquery(holders(access));
        all = all.add(own.or(Column::Id.in_subquery(members(access))));
    }
    if let Some(kind) = filter.kind {
        all = all.add(Column::Kind.eq(kind.word()));
    }
    if let Some(status) = filter.status {
        all = all.add(Column::Status.eq(status.word()));
    }
    if !filter.show_deleted {
        all = all.add(Column::Status.ne(PeerStatus::Deleted.word()));
    }
    all
}

/// The ids of an account and of all below it, deleted ones included: their peers are still homed
/// there.
fn subtree(top: &AccountId) -> SelectStatement {
    let above = Alias::new("top");
    let path = |alias: &Alias, end: &'static str| {
        Expr::col((alias.clone(), account::Column::Path))
            .binary(sea_orm::sea_query::BinOper::Custom("||"), Expr::val(end))
    };
    let own = || Expr::col((account::Entity, account::Column::Path));
    Query::select()
        .column((account::Entity, account::Column::Id))
        .from(account::Entity)
        .join_as(
            sea_orm::JoinType::InnerJoin,
            account::Entity,
            above.clone(),
            Expr::col((above.clone(), account::Column::Id)).eq(top.as_str()),
        )
        .cond_where(
            Condition::any()
                .add(own().eq(Expr::col((above.clone(), account::Column::Path))))
                .add(Condition::all().add(own().gte(path(&above, "/"))).add(own().lt(path(&above, "0")))),
        )
        .take()
}

/// The bindings that reach the account and are not over.
fn reaching(access: &WithAccess) -> Condition {
    use role_binding::Column as Binding;
    let from_above = Binding::AccountId
        .is_in(access.ancestors.iter().map(AccountId::as_str))
        .and(Binding::Reach.eq(Reach::Subtree.word()));
    Condition::all()
        .add(Binding::AccountId.eq(access.account.as_str()).or(from_above))
        .add(not_over(Binding::ExpireTime, access.now))
}

fn holders(access: &WithAccess) -> SelectStatement {
    Query::select()
        .column(role_binding::Column::PeerId)
        .from(role_binding::Entity)
        .cond_where(reaching(access))
        .and_where(role_binding::Column::PeerId.is_not_null())
        .take()
}

fn members(access: &WithAccess) -> SelectStatement {
    let groups = Query::select()
        .column(role_binding::Column::GroupId)
        .from(role_binding::Entity)
        .cond_where(reaching(access))
        .and_where(role_binding::Column::GroupId.is_not_null())
        .take();
    Query::select()
        .column(group_member::Column::PeerId)
        .from(group_member::Entity)
        .and_where(group_member::Column::GroupId.in_subquery(groups))
        .and_where(not_over(group_member::Column::ExpireTime, access.now))
        .take()
}

fn not_over(expire_time: impl sea_orm::ColumnTrait, now: Timestamp) -> SimpleExpr {
    expire_time.is_null().or(expire_time.gt(now.as_micros()))
}
