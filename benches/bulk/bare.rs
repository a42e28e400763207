//! The rows that an import left behind, written again by nothing but inserts.

use std::time::{Duration, Instant};

use anyhow::Result;
use peerage::storage::entity::{account, audit_event, audit_log, audit_personal, peer, policy_change, role_binding};
use sea_orm::{
    ActiveModelTrait, ColumnTrait as _, ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction,
    EntityTrait, IntoActiveModel, Iterable as _, QueryFilter as _, QueryOrder as _, TransactionTrait as _,
};

/// The most values of a statement that both databases take.
const VALUES_MAX: usize = 32_000;

/// How long each took.
pub(crate) struct Bare {
    pub(crate) two_tables: Duration,
    pub(crate) all_rows: Duration,
}

/// Everything that one call of the import wrote.
struct Batch {
    peers: Vec<peer::Model>,
    bindings: Vec<role_binding::Model>,
    changes: Vec<policy_change::Model>,
    events: Vec<audit_event::Model>,
    personal: Vec<audit_personal::Model>,
}

pub(crate) async fn run(from: &str, to: &str) -> Result<Bare> {
    let (from, to) = (Database::connect(from).await?, Database::connect(to).await?);
    durable(&to).await?;
    copy_frame(&from, &to).await?;
    let batches = batches(&from).await?;
    let mut took = Vec::new();
    for is_all in [false, true] {
        let start = Instant::now();
        for batch in &batches {
            let transaction = to.begin().await?;
            insert::<peer::Entity>(&transaction, &batch.peers).await?;
            insert::<role_binding::Entity>(&transaction, &batch.bindings).await?;
            if is_all {
                insert::<policy_change::Entity>(&transaction, &batch.changes).await?;
                // In this order as the server does, since an event is indexed by all of its texts.
                insert::<audit_personal::Entity>(&transaction, &batch.personal).await?;
                insert::<audit_event::Entity>(&transaction, &batch.events).await?;
            }
            transaction.commit().await?;
        }
        took.push(start.elapsed());
        role_binding::Entity::delete_many().exec(&to).await?;
        peer::Entity::delete_many().exec(&to).await?;
    }
    let at = |place: usize| took.get(place).copied().unwrap_or_default();
    Ok(Bare { two_tables: at(0), all_rows: at(1) })
}

/// As durable as the server's own connection.
async fn durable(to: &DatabaseConnection) -> Result<()> {
    if to.get_database_backend() == sea_orm::DbBackend::Sqlite {
        for pragma in ["journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"] {
            to.execute_unprepared(&format!("PRAGMA {pragma}")).await?;
        }
    }
    Ok(())
}

/// What the rows name: accounts and roles. Everything else that the second database has is taken away.
async fn copy_frame(from: &DatabaseConnection, to: &DatabaseConnection) -> Result<()> {
    policy_change::Entity::delete_many().exec(to).await?;
    audit_personal::Entity::delete_many().exec(to).await?;
    audit_event::Entity::delete_many().exec(to).await?;
    let known: Vec<String> = account::Entity::find().all(to).await?.into_iter().map(|row| row.id).collect();
    let accounts = account::Entity::find().order_by_asc(account::Column::Depth).all(from).await?;
    let transaction = to.begin().await?;
    let accounts: Vec<_> = accounts.into_iter().filter(|row| !known.contains(&row.id)).collect();
    insert::<account::Entity>(&transaction, &accounts).await?;
    // A log that is there stays: on SQLite it has a number, which outlives it.
    let known: Vec<String> =
        audit_log::Entity::find().all(&transaction).await?.into_iter().map(|row| row.account_id).collect();
    let logs = audit_log::Entity::find().all(from).await?;
    let logs: Vec<_> = logs.into_iter().filter(|row| !known.contains(&row.account_id)).collect();
    insert::<audit_log::Entity>(&transaction, &logs).await?;
    transaction.commit().await?;
    Ok(())
}

/// The rows of the import in the order of its calls, which is that of their revisions.
async fn batches(from: &DatabaseConnection) -> Result<Vec<Batch>> {
    let mut batches = Vec::new();
    let calls = peer::Entity::find().all(from).await?;
    let mut revisions: Vec<i64> = calls.iter().map(|row| row.update_revision).collect();
    revisions.sort_unstable();
    let full: Vec<i64> = revisions
        .chunk_by(|left, right| left == right)
        .filter(|of| of.len() > 1)
        .filter_map(|of| of.first().copied())
        .collect();
    let count = i64::try_from(full.len())?;
    let mut logs: Vec<(String, i64, i64)> = Vec::new();
    for log in audit_log::Entity::find().all(from).await? {
        // The first events are those of the accounts, before the import.
        let first = audit_event::Entity::find()
            .filter(audit_event::Column::AccountId.eq(&log.account_id))
            .filter(audit_event::Column::Action.eq("peers.create"))
            .order_by_asc(audit_event::Column::Seq)
            .one(from)
            .await?;
        logs.extend(first.map(|first| (log.account_id, first.seq, log.next_seq)));
    }
    for (number, revision) in (0..).zip(&full) {
        let (mut events, mut personal) = (Vec::new(), Vec::new());
        for (log, first, next) in &logs {
            let bound = |number: i64| first + (next - first) * number / count;
            let (low, high) = (bound(number), bound(number + 1) - 1);
            let found = audit_event::Entity::find().filter(audit_event::Column::AccountId.eq(log));
            events.extend(found.filter(audit_event::Column::Seq.between(low, high)).all(from).await?);
            let found = audit_personal::Entity::find().filter(audit_personal::Column::AccountId.eq(log));
            personal.extend(found.filter(audit_personal::Column::Seq.between(low, high)).all(from).await?);
        }
        batches.push(Batch {
            peers: peer::Entity::find().filter(peer::Column::UpdateRevision.eq(*revision)).all(from).await?,
            bindings: role_binding::Entity::find()
                .filter(role_binding::Column::UpdateRevision.eq(*revision))
                .all(from)
                .await?,
            changes: policy_change::Entity::find()
                .filter(policy_change::Column::Revision.eq(*revision))
                .all(from)
                .await?,
            events,
            personal,
        });
    }
    Ok(batches)
}

async fn insert<E>(transaction: &DatabaseTransaction, rows: &[E::Model]) -> Result<()>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Clone,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    for rows in rows.chunks(VALUES_MAX / E::Column::iter().count().max(1)) {
        let rows = rows.iter().cloned().map(IntoActiveModel::into_active_model);
        E::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}
