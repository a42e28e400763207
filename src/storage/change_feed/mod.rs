//! The feed of policy changes, which replicas follow and replays read, and loading all facts.
//!
//! INVARIANT: revisions are gapless, and within a revision ordinals are; a reader who knows the
//! facts at revision n and applies the revisions after it knows the facts of now. The revision row
//! holds the digest of the whole feed, so that a reader finds out that the database is not the one it
//! followed: restored from a backup, or failed over to a copy that lagged.

mod back;
mod load;

use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use sha2::{Digest as _, Sha256};

use super::code::{fixed, from_json, to_json};
use super::entity::{policy_change, policy_revision};
use super::error::StoreError;
use super::transaction::missing;
use super::write;
use crate::domain::fact::{Change, Fact, FactKey, Mark};
use crate::domain::time::Timestamp;

pub use back::{Moment, back, commit_time, current_at, first};
pub use load::load;

const TABLE: &str = "policy_changes";

/// Everything that one policy transaction changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The place in the feed right behind these changes.
    pub mark: Mark,
    pub commit_time: Timestamp,
    pub changes: Vec<Change>,
}

/// Where changes are written.
pub(super) struct Position {
    /// The revision that they belong to, and the digest of everything before them.
    pub(super) mark: Mark,
    pub(super) ordinal: i64,
    pub(super) commit_time: i64,
}

/// The end of the feed.
///
/// # Errors
/// What the database reports.
pub async fn head(conn: &impl ConnectionTrait) -> Result<Mark, StoreError> {
    let row = policy_revision::Entity::find_by_id(1).one(conn).await?.ok_or_else(missing)?;
    mark(&row)
}

pub(super) fn mark(row: &policy_revision::Model) -> Result<Mark, StoreError> {
    Ok(Mark { revision: row.revision, digest: fixed(&row.digest, "policy_revision", &row.id)? })
}

/// The revisions after `after` up to `last`, which is there, whole ones, oldest first: as many as
/// `rows` rows hold, but one at least.
///
/// Each has the digest that follows from that of `after`. Whoever reaches the revision of a [`head`]
/// with another digest than the head's stood in another history.
///
/// # Errors
/// [`StoreError::Corrupt`] where one is missing or cannot be read; otherwise what the database
/// reports.
pub async fn since(
    conn: &impl ConnectionTrait,
    after: Mark,
    last: i64,
    rows: u64,
) -> Result<Vec<Revision>, StoreError> {
    let mut revisions: Vec<Revision> = Vec::new();
    let mut digest = after.digest;
    let (mut known, mut ordinal) = (after.revision, i64::MAX);
    loop {
        let found = rows_after(conn, (known, ordinal), last, rows).await?;
        let is_last = u64::try_from(found.len()).is_ok_and(|found| found < rows);
        for row in found {
            if row.revision != known {
                if row.revision != known.saturating_add(1) {
                    return Err(StoreError::corrupt(TABLE, known.saturating_add(1)));
                }
                known = row.revision;
                let mark = Mark { revision: known, digest };
                let commit_time = Timestamp::from_micros(row.commit_time);
                revisions.push(Revision { mark, commit_time, changes: Vec::new() });
            }
            ordinal = row.ordinal;
            digest = digest_of(&digest, &row);
            if let Some(current) = revisions.last_mut() {
                current.changes.push(change(&row)?);
                current.mark.digest = digest;
            }
        }
        if is_last {
            return if known < last { Err(StoreError::corrupt(TABLE, known.saturating_add(1))) } else { Ok(revisions) };
        }
        // The last revision may go on in rows that were not read.
        if revisions.len() > 1 {
            revisions.pop();
            return Ok(revisions);
        }
    }
}

async fn rows_after(
    conn: &impl ConnectionTrait,
    (revision, ordinal): (i64, i64),
    last: i64,
    rows: u64,
) -> Result<Vec<policy_change::Model>, StoreError> {
    use policy_change::Column;
    let within = Column::Revision.eq(revision).and(Column::Ordinal.gt(ordinal));
    let found = policy_change::Entity::find()
        .filter(Column::Revision.between(revision, last))
        .filter(Column::Revision.gt(revision).or(within))
        .order_by_asc(Column::Revision)
        .order_by_asc(Column::Ordinal)
        .limit(rows)
        .all(conn)
        .await?;
    Ok(found)
}

/// The rows of changes and the digest after them.
pub(super) fn rows(
    position: &Position,
    changes: &[Change],
) -> Result<(Vec<policy_change::Model>, [u8; 32]), StoreError> {
    let Position { mark: Mark { revision, mut digest }, ordinal, commit_time } = *position;
    let mut rows = Vec::with_capacity(changes.len());
    for (ordinal, change) in (ordinal..).zip(changes) {
        let at = format!("{revision}/{ordinal}");
        let key = change.key().ok_or_else(|| StoreError::corrupt(TABLE, &at))?;
        let side = |fact: &Option<Fact>| fact.as_ref().map(|fact| to_json(fact, TABLE, &at)).transpose();
        let row = policy_change::Model {
            revision,
            ordinal,
            commit_time,
            kind: kind(&key).to_owned(),
            fact_key: to_json(&key, TABLE, &at)?,
            before: side(&change.before)?,
            after: side(&change.after)?,
        };
        digest = digest_of(&digest, &row);
        rows.push(row);
    }
    Ok((rows, digest))
}

pub(super) async fn append(conn: &impl ConnectionTrait, rows: Vec<policy_change::Model>) -> Result<(), StoreError> {
    write::insert_many::<policy_change::Entity>(conn, rows).await
}

/// The digest after a row: SHA-256 of the digest before it and of all that the row holds, each text
/// after its length.
fn digest_of(before: &[u8; 32], row: &policy_change::Model) -> [u8; 32] {
    let policy_change::Model { revision, ordinal, commit_time, kind, fact_key, before: was, after } = row;
    let mut hash = Sha256::new_with_prefix(before);
    for number in [revision, ordinal, commit_time] {
        hash.update(number.to_be_bytes());
    }
    for text in [Some(kind), Some(fact_key), was.as_ref(), after.as_ref()] {
        let length = text.and_then(|text| i64::try_from(text.len()).ok()).unwrap_or(-1);
        hash.update(length.to_be_bytes());
        hash.update(text.map_or(&[][..], |text| text.as_bytes()));
    }
    hash.finalize().into()
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
