//! The peers homed in a subtree, and those with access to an account.

use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait as _, Condition};

use crate::domain::binding::Reach;
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;
use crate::storage::code::Coded as _;
use crate::storage::entity::{account, group_member, role_binding};

/// Peers that hold, or can raise, a binding which reaches an account and is not over: active or
/// eligible, their own or a group's.
#[derive(Debug, Clone)]
pub struct WithAccess {
    pub account: AccountId,
    /// The accounts above it, whose SUBTREE bindings reach down.
    pub ancestors: Vec<AccountId>,
    pub now: Timestamp,
}

/// The ids of an account and of all below it, deleted ones included: their peers are still homed
/// there.
pub(super) fn subtree(top: &AccountId) -> SelectStatement {
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

pub(super) fn holders(access: &WithAccess) -> SelectStatement {
    Query::select()
        .column(role_binding::Column::PeerId)
        .from(role_binding::Entity)
        .cond_where(reaching(access))
        .and_where(role_binding::Column::PeerId.is_not_null())
        .take()
}

pub(super) fn members(access: &WithAccess) -> SelectStatement {
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
