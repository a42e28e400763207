//! Results of requests that carried a request id, so that a repetition gets the same answer.
//!
//! Not here: secrets. What is stored never holds one, which is the caller's to see to.

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Order, Query};
use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _};

use super::code::fixed;
use super::entity::request::{Column, Entity, Model};
use super::error::{Constraint, StoreError};
use crate::domain::time::Timestamp;

/// Whose request it is: ids are scoped to caller and method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    pub caller: String,
    pub method: String,
    pub request_id: String,
}

/// What a request asked and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    pub key: RequestKey,
    /// What tells a repetition from another request under the same id: SHA-256 of the whole message.
    pub body_hash: [u8; 32],
    pub response: Vec<u8>,
    pub create_time: Timestamp,
}

/// Finds the result of a request.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, key: &RequestKey) -> Result<Option<StoredRequest>, StoreError> {
    let key = (key.caller.clone(), key.method.clone(), key.request_id.clone());
    Entity::find_by_id(key).one(conn).await?.map(from_row).transpose()
}

/// Stores the result of a request, in place of one that is no younger than `oldest`.
///
/// # Errors
/// [`Constraint::Request`] where there is a younger one.
pub async fn save(conn: &impl ConnectionTrait, request: &StoredRequest, oldest: Timestamp) -> Result<(), StoreError> {
    let StoredRequest { key, body_hash, response, create_time } = request.clone();
    let row = Model {
        caller: key.caller,
        method: key.method,
        request_id: key.request_id,
        body_hash: body_hash.to_vec(),
        response,
        create_time: create_time.as_micros(),
    };
    let mut instead = OnConflict::columns([Column::Caller, Column::Method, Column::RequestId]);
    instead
        .update_columns([Column::BodyHash, Column::Response, Column::CreateTime])
        .action_and_where(Expr::col((Entity, Column::CreateTime)).lte(oldest.as_micros()));
    let saved = Entity::insert(row.into_active_model()).on_conflict(instead).exec_without_returning(conn).await;
    match saved {
        Ok(0) | Err(DbErr::RecordNotInserted) => Err(StoreError::UniqueViolation { constraint: Constraint::Request }),
        saved => saved.map(drop).map_err(StoreError::from),
    }
}

/// Removes some of the results that are no younger than a time; returns how many.
///
/// # Errors
/// What the database reports.
pub async fn delete_until(conn: &impl ConnectionTrait, time: Timestamp, limit: u64) -> Result<u64, StoreError> {
    let keys = [Column::Caller, Column::Method, Column::RequestId];
    let old = Query::select()
        .columns(keys)
        .from(Entity)
        .and_where(Column::CreateTime.lte(time.as_micros()))
        .order_by(Column::CreateTime, Order::Asc)
        .limit(limit)
        .take();
    let key = Expr::tuple(keys.map(Expr::col));
    let deleted = Entity::delete_many().filter(key.in_subquery(old)).exec(conn).await?;
    Ok(deleted.rows_affected)
}

fn from_row(row: Model) -> Result<StoredRequest, StoreError> {
    let body_hash = fixed(&row.body_hash, "requests", &row.request_id)?;
    let key = RequestKey { caller: row.caller, method: row.method, request_id: row.request_id };
    let create_time = Timestamp::from_micros(row.create_time);
    Ok(StoredRequest { key, body_hash, response: row.response, create_time })
}
