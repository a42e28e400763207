//! The feed of policy changes, which replicas follow and replays read, and loading all facts.
//!
//! INVARIANT: revisions are gapless, and within a revision ordinals are; a reader who knows the
//! facts at revision n and applies the revisions after it knows the facts of now.

mod load;

use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _};

use super::code::{from_json, to_json};
use super::entity::{policy_change, policy_revision};
use super::error::StoreError;
use super::transaction::missing;
use super::write;
use crate::domain::fact::{Change, Fact, FactKey};
use crate::domain::time::Timestamp;

pub use load::load;

const TABLE: &str = "policy_changes";

/// Everything that one policy transaction changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    pub revision: i64,
    pub commit_time: Timestamp,
    pub changes: Vec<Change>,
}

/// Where changes are written.
pub(super) struct Position {
    pub(super) revision: i64,
    pub(super) ordinal: i64,
    pub(super) commit_time: i64,
}

/// The number of the last policy change.
///
/// # Errors
/// What the database reports.
pub async fn revision(conn: &impl ConnectionTrait) -> Result<i64, StoreError> {
    let row = policy_revision::Entity::find_by_id(1).one(conn).await?.ok_or_else(missing)?;
    Ok(row.revision)
}

/// The revisions after `revision`, at most `limit` of them, oldest first.
///
/// # Errors
/// [`StoreError::Corrupt`] where one is missing or cannot be read; otherwise what the database
/// reports.
pub async fn since(conn: &impl ConnectionTrait, revision: i64, limit: u64) -> Result<Vec<Revision>, StoreError> {
    let last = revision.saturating_add_unsigned(limit);
    let rows = policy_change::Entity::find()
        .filter(policy_change::Column::Revision.gt(revision))
        .filter(policy_change::Column::Revision.lte(last))
        .order_by_asc(policy_change::Column::Revision)
        .order_by_asc(policy_change::Column::Ordinal)
        .all(conn)
        .await?;
    let mut revisions: Vec<Revision> = Vec::new();
    let mut known = revision;
    for row in rows {
        let number = row.revision;
        if number != known {
            if number != known.saturating_add(1) {
                return Err(StoreError::corrupt(TABLE, known.saturating_add(1)));
            }
            known = number;
            let commit_time = Timestamp::from_micros(row.commit_time);
            revisions.push(Revision { revision: number, commit_time, changes: Vec::new() });
        }
        if let Some(current) = revisions.last_mut() {
            current.changes.push(change(&row)?);
        }
    }
    Ok(revisions)
}

/// Writes changes from a position on; returns the next ordinal.
pub(super) async fn append(
    conn: &impl ConnectionTrait,
    position: Position,
    changes: &[Change],
) -> Result<i64, StoreError> {
    let Position { revision, mut ordinal, commit_time } = position;
    let mut rows = Vec::with_capacity(changes.len());
    for change in changes {
        let at = format!("{revision}/{ordinal}");
        let key = change.key().ok_or_else(|| StoreError::corrupt(TABLE, &at))?;
        let side = |fact: &Option<Fact>| fact.as_ref().map(|fact| to_json(fact, TABLE, &at)).transpose();
        rows.push(policy_change::Model {
            revision,
            ordinal,
            commit_time,
            kind: kind(&key).to_owned(),
            fact_key: to_json(&key, TABLE, &at)?,
            before: side(&change.before)?,
            after: side(&change.after)?,
        });
        ordinal = ordinal.saturating_add(1);
    }
    write::insert_many::<policy_change::Entity>(conn, rows).await?;
    Ok(ordinal)
}

fn change(row: &policy_change::Model) -> Result<Change, StoreError> {
    let at = format!("{}/{}", row.revision, row.ordinal);
    let side = |text: &Option<String>| text.as_deref().map(|text| from_json(text, TABLE, &at)).transpose();
    let change = Change { before: side(&row.before)?, after: side(&row.after)? };
    if change.key().is_none() {
        return Err(StoreError::corrupt(TABLE, at));
    }
    Ok(change)
}

const fn kind(key: &FactKey) -> &'static str {
    match key {
        FactKey::Permission(_) => "permission",
        FactKey::Account(_) => "account",
        FactKey::Role(_) => "role",
        FactKey::Peer(_) => "peer",
        FactKey::Group(_) => "group",
        FactKey::Member(..) => "member",
        FactKey::Binding(_) => "binding",
        FactKey::ApiKey(_) => "api_key",
    }
}
