//! The audit logs: appending sealed events, and reading them back.
//!
//! INVARIANT: the events of a log are numbered from 1 without a gap, and each holds the leaf hash
//! of the one before, because an appender holds the log's head from reading it to its commit. Heads
//! are locked in order of account ids, so that two appenders cannot wait for each other.
//!
//! INVARIANT: the order time of an event is never before that of the event before it in its log,
//! whatever the clocks did, so that many logs are listed in one order that is also that of each.
//!
//! Not here: what an event looks like, which `domain::audit` fixes; checkpoints and erasure.

pub mod list;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::code::fixed;
use super::entity::{audit_event, audit_log, audit_personal};
use super::error::StoreError;
use super::write;
use crate::domain::audit::{AuditDraft, GENESIS, Hash, LinkedEvent, LogPosition, SealedEvent, seal};
use crate::domain::ids::AccountId;
use crate::domain::time::Timestamp;

const LOGS: &str = "audit_logs";

/// An act and the logs it is recorded in. Where there are several, each log gets an event of its
/// own that names the others.
#[derive(Debug, Clone)]
pub struct Entry {
    pub logs: Vec<AccountId>,
    pub draft: AuditDraft,
}

/// What sealing needs beside the acts. The sources are functions, since storage draws no random
/// numbers.
pub struct Recording<'a> {
    /// The policy revision that the acts made, or at which they were decided.
    pub revision: Option<i64>,
    pub recorded_time: Timestamp,
    pub event_id: &'a mut (dyn FnMut() -> Uuid + Send),
    pub salt: &'a mut (dyn FnMut() -> [u8; 32] + Send),
}

impl fmt::Debug for Recording<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Recording")
            .field("revision", &self.revision)
            .field("recorded_time", &self.recorded_time)
            .finish_non_exhaustive()
    }
}

/// Where a log goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the next event.
    pub next_seq: i64,
    /// The leaf hash of the last event.
    pub hash: Hash,
    /// The order time of the last event.
    pub last_time: i64,
}

/// Seals acts and appends them to their logs, in this order. In a policy transaction it comes after
/// the revision row is locked. A log begins with its first event.
///
/// # Errors
/// [`StoreError::Seal`] where an event has no canonical form; otherwise what the database reports.
pub async fn append(
    transaction: &DatabaseTransaction,
    entries: &[Entry],
    recording: Recording<'_>,
) -> Result<Vec<SealedEvent>, StoreError> {
    let accounts: BTreeSet<&AccountId> = entries.iter().flat_map(|entry| &entry.logs).collect();
    if accounts.is_empty() {
        return Ok(Vec::new());
    }
    let mut heads = lock_heads(transaction, &accounts).await?;
    let mut sealed = Vec::new();
    let mut rows = Vec::new();
    let mut personal = Vec::new();
    let Recording { revision, recorded_time, event_id, salt } = recording;
    for entry in entries {
        let places = places(&mut heads, entry, event_id)?;
        for place in &places {
            let linked = places.iter().filter(|other| *other != place).cloned().collect();
            let head = heads.get_mut(&place.account).ok_or_else(|| StoreError::missing(LOGS, &place.account))?;
            let position = LogPosition {
                account: place.account.clone(),
                seq: place.seq,
                event_id: place.event_id,
                recorded_time,
                revision,
                prev_hash: head.hash,
                linked,
            };
            let event = seal(&entry.draft, position, salt)?;
            head.hash = event.leaf_hash;
            head.last_time = Ord::max(head.last_time, recorded_time.as_micros());
            rows.push(row::event(&event, &entry.draft, (recorded_time, head.last_time)));
            personal.extend(row::personal(&event));
            sealed.push(event);
        }
    }
    // The event comes last, because its insertion makes it be found by all of its texts.
    write::insert_many::<audit_personal::Entity>(transaction, personal).await?;
    write::insert_many::<audit_event::Entity>(transaction, rows).await?;
    put_heads(transaction, &heads, Known::Move).await?;
    Ok(sealed)
}

/// Lists the events of a log that come after a number, oldest first, with what is left of their
/// personal values.
///
/// # Errors
/// [`StoreError::Corrupt`] where one cannot be read; otherwise what the database reports.
pub async fn events_after(
    conn: &impl ConnectionTrait,
    account: &AccountId,
    after_seq: i64,
    limit: u64,
) -> Result<Vec<SealedEvent>, StoreError> {
    let events = audit_event::Entity::find()
        .filter(audit_event::Column::AccountId.eq(account.as_str()))
        .filter(audit_event::Column::Seq.gt(after_seq))
        .order_by_asc(audit_event::Column::Seq)
        .limit(limit)
        .all(conn)
        .await?;
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(Vec::new()) };
    let values = audit_personal::Entity::find()
        .filter(audit_personal::Column::AccountId.eq(account.as_str()))
        .filter(audit_personal::Column::Seq.between(first.seq, last.seq))
        .order_by_asc(audit_personal::Column::Seq)
        .order_by_asc(audit_personal::Column::Path)
        .all(conn)
        .await?;
    let mut by_seq: BTreeMap<i64, Vec<audit_personal::Model>> = BTreeMap::new();
    for value in values {
        by_seq.entry(value.seq).or_default().push(value);
    }
    events.into_iter().map(|event| row::read(account, event, &mut by_seq)).collect()
}

/// Gets events by their logs and numbers, in no order, with what is left of their personal values. Those
/// that are not there are left out.
///
/// # Errors
/// As [`events_after`].
pub async fn get(
    conn: &impl ConnectionTrait,
    wanted: &BTreeMap<AccountId, Vec<i64>>,
) -> Result<Vec<SealedEvent>, StoreError> {
    let (mut of_events, mut of_values) = (Condition::any(), Condition::any());
    for (account, seqs) in wanted {
        let event = audit_event::Column::AccountId.eq(account.as_str());
        let value = audit_personal::Column::AccountId.eq(account.as_str());
        of_events = of_events.add(event.and(audit_event::Column::Seq.is_in(seqs.iter().copied())));
        of_values = of_values.add(value.and(audit_personal::Column::Seq.is_in(seqs.iter().copied())));
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let events = audit_event::Entity::find().filter(of_events).all(conn).await?;
    let values = audit_personal::Entity::find()
        .filter(of_values)
        .order_by_asc(audit_personal::Column::AccountId)
        .order_by_asc(audit_personal::Column::Seq)
        .order_by_asc(audit_personal::Column::Path)
        .all(conn)
        .await?;
    let mut by_log: BTreeMap<String, BTreeMap<i64, Vec<audit_personal::Model>>> = BTreeMap::new();
    for value in values {
        by_log.entry(value.account_id.clone()).or_default().entry(value.seq).or_default().push(value);
    }
    let read = |event: audit_event::Model| {
        let account = AccountId::parse(&event.account_id).map_err(|_| StoreError::corrupt(LOGS, &event.account_id))?;
        row::read(&account, event, by_log.entry(account.to_string()).or_default())
    };
    events.into_iter().map(read).collect()
}

/// Where a log goes on, or `None` of a log without events.
///
/// # Errors
/// What the database reports.
pub async fn head(conn: &impl ConnectionTrait, account: &AccountId) -> Result<Option<Head>, StoreError> {
    let Some(row) = audit_log::Entity::find_by_id(account.as_str()).one(conn).await? else { return Ok(None) };
    let hash = fixed(&row.head_hash, LOGS, account)?;
    Ok(Some(Head { next_seq: row.next_seq, hash, last_time: row.last_time }))
}

/// The number of the last event of each of these logs that has any, in no order.
///
/// # Errors
/// What the database reports.
pub async fn last_seqs(conn: &impl ConnectionTrait, logs: &[AccountId]) -> Result<Vec<(AccountId, i64)>, StoreError> {
    let mut found = Vec::with_capacity(logs.len());
    for logs in logs.chunks(write::KEYS_MAX) {
        let ids = logs.iter().map(AccountId::as_str);
        for row in audit_log::Entity::find().filter(audit_log::Column::AccountId.is_in(ids)).all(conn).await? {
            let id = AccountId::parse(&row.account_id).map_err(|_| StoreError::corrupt(LOGS, &row.account_id))?;
            found.push((id, row.next_seq - 1));
        }
    }
    Ok(found)
}

/// What happens to a head that is there already.
#[derive(Debug, Clone, Copy)]
enum Known {
    Keep,
    Move,
}

/// Makes the heads that are missing and locks all of them, in the order of the accounts.
async fn lock_heads(
    transaction: &DatabaseTransaction,
    accounts: &BTreeSet<&AccountId>,
) -> Result<BTreeMap<AccountId, Head>, StoreError> {
    let first = Head { next_seq: 1, hash: GENESIS, last_time: 0 };
    let heads = accounts.iter().map(|account| ((*account).clone(), first)).collect();
    put_heads(transaction, &heads, Known::Keep).await
}

/// Writes heads, as many in a statement as the databases take, and returns what stands there then.
async fn put_heads(
    transaction: &DatabaseTransaction,
    heads: &BTreeMap<AccountId, Head>,
    known: Known,
) -> Result<BTreeMap<AccountId, Head>, StoreError> {
    use audit_log::Column::{AccountId as Account, HeadHash, LastTime, NextSeq};
    let mut found = BTreeMap::new();
    let mut heads = heads.iter().peekable();
    while heads.peek().is_some() {
        let mut put = Query::insert();
        put.into_table(audit_log::Entity).columns([Account, NextSeq, HeadHash, LastTime]);
        for (account, head) in heads.by_ref().take(write::KEYS_MAX) {
            // INVARIANT: as many values as columns.
            put.values_panic([
                account.as_str().into(),
                head.next_seq.into(),
                head.hash.to_vec().into(),
                head.last_time.into(),
            ]);
        }
        let mut conflict = OnConflict::column(Account);
        match known {
            // A row that stays as it is has to be written all the same to be locked.
            Known::Keep => conflict.value(NextSeq, Expr::col((audit_log::Entity, NextSeq))),
            Known::Move => conflict.update_columns([NextSeq, HeadHash, LastTime]),
        };
        put.on_conflict(conflict).returning(Query::returning().columns([Account, NextSeq, HeadHash, LastTime]));
        for row in transaction.query_all(&put).await? {
            let account: String = row.try_get_by("account_id")?;
            let hash: Vec<u8> = row.try_get_by("head_hash")?;
            let id = AccountId::parse(&account).map_err(|_| StoreError::corrupt(LOGS, &account))?;
            let hash = fixed(&hash, LOGS, &account)?;
            let head = Head { next_seq: row.try_get_by("next_seq")?, hash, last_time: row.try_get_by("last_time")? };
            found.insert(id, head);
        }
    }
    Ok(found)
}

/// Takes the next number of each log of an entry, each log once.
fn places(
    heads: &mut BTreeMap<AccountId, Head>,
    entry: &Entry,
    event_id: &mut (dyn FnMut() -> Uuid + Send),
) -> Result<Vec<LinkedEvent>, StoreError> {
    let mut places: Vec<LinkedEvent> = Vec::with_capacity(entry.logs.len());
    for account in &entry.logs {
        if places.iter().any(|place| place.account == *account) {
            continue;
        }
        let head = heads.get_mut(account).ok_or_else(|| StoreError::missing(LOGS, account))?;
        let seq = head.next_seq;
        head.next_seq = head.next_seq.saturating_add(1);
        places.push(LinkedEvent { account: account.clone(), seq, event_id: event_id() });
    }
    Ok(places)
}
