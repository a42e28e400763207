//! Results of requests that carried a request id, so that a repetition gets the same answer.
//!
//! Not here: secrets. What is stored never holds one, which is the caller's to see to.

use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _};

use super::code::fixed;
use super::entity::request::{Column, Entity, Model};
use super::error::StoreError;
use super::write;
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

/// Stores the result of a request.
///
/// # Errors
/// [`super::Constraint::Request`] where there is one already.
pub async fn save(conn: &impl ConnectionTrait, request: &StoredRequest) -> Result<(), StoreError> {
    let StoredRequest { key, body_hash, response, create_time } = request.clone();
    let row = Model {
        caller: key.caller,
        method: key.method,
        request_id: key.request_id,
        body_hash: body_hash.to_vec(),
        response,
        create_time: create_time.as_micros(),
    };
    write::insert::<Entity>(conn, row).await
}

/// Removes results that are older than a time; returns how many.
///
/// # Errors
/// What the database reports.
pub async fn delete_older_than(conn: &impl ConnectionTrait, time: Timestamp) -> Result<u64, StoreError> {
    let deleted = Entity::delete_many().filter(Column::CreateTime.lt(time.as_micros())).exec(conn).await?;
    Ok(deleted.rows_affected)
}

fn from_row(row: Model) -> Result<StoredRequest, StoreError> {
    let body_hash = fixed(&row.body_hash, "requests", &row.request_id)?;
    let key = RequestKey { caller: row.caller, method: row.method, request_id: row.request_id };
    let create_time = Timestamp::from_micros(row.create_time);
    Ok(StoredRequest { key, body_hash, response: row.response, create_time })
}
