//! Reading the feed backwards: what was current when, and what has to be undone to be there again.
//!
//! INVARIANT: commit times never go back from one revision to the next, so that a moment is found by
//! halves.

use sea_orm::sea_query::ExprTrait as _;
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::{TABLE, change};
use crate::domain::fact::Change;
use crate::domain::time::Timestamp;
use crate::storage::entity::policy_change;
use crate::storage::error::StoreError;

/// A revision and when it became the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub revision: i64,
    pub commit_time: Timestamp,
}

/// The oldest revision whose changes are kept; `None` where nothing was ever changed.
///
/// # Errors
/// What the database reports.
pub async fn first(conn: &impl ConnectionTrait) -> Result<Option<Moment>, StoreError> {
    use policy_change::Column;
    let rows = policy_change::Entity::find().order_by_asc(Column::Revision).order_by_asc(Column::Ordinal);
    Ok(rows.one(conn).await?.map(|row| moment(&row)))
}

/// When a revision was committed; `None` where it is not kept.
///
/// # Errors
/// What the database reports.
pub async fn commit_time(conn: &impl ConnectionTrait, revision: i64) -> Result<Option<Timestamp>, StoreError> {
    let row = policy_change::Entity::find_by_id((revision, 0)).one(conn).await?;
    Ok(row.map(|row| moment(&row).commit_time))
}

/// The revision that was current at a time, among those that are kept up to `last`; `None` before the
/// first of them.
///
/// # Errors
/// [`StoreError::Corrupt`] where one is missing; otherwise what the database reports.
pub async fn current_at(conn: &impl ConnectionTrait, time: Timestamp, last: i64) -> Result<Option<Moment>, StoreError> {
    let Some(mut current) = first(conn).await?.filter(|first| first.commit_time <= time && first.revision <= last)
    else {
        return Ok(None);
    };
    let mut end = last;
    while current.revision < end {
        let middle = current.revision + (end - current.revision + 1) / 2;
        let commit_time = commit_time(conn, middle).await?.ok_or_else(|| StoreError::corrupt(TABLE, middle))?;
        if commit_time <= time {
            current = Moment { revision: middle, commit_time };
        } else {
            end = middle - 1;
        }
    }
    Ok(Some(current))
}

/// The changes of the revisions from `last` down to the one after `after`, newest first, beginning
/// behind the place `before`: at most `rows` of them, with the place of each. Fewer say that there are
/// no more.
///
/// # Errors
/// [`StoreError::Corrupt`] where one is missing or cannot be read; otherwise what the database reports.
pub async fn back(
    conn: &impl ConnectionTrait,
    (after, last): (i64, i64),
    before: Option<(i64, i64)>,
    rows: u64,
) -> Result<Vec<((i64, i64), Change)>, StoreError> {
    use policy_change::Column;
    let (revision, ordinal) = before.unwrap_or((last, i64::MAX));
    let within = Column::Revision.eq(revision).and(Column::Ordinal.lt(ordinal));
    let found = policy_change::Entity::find()
        .filter(Column::Revision.gt(after).and(Column::Revision.lte(revision)))
        .filter(Column::Revision.lt(revision).or(within))
        .order_by_desc(Column::Revision)
        .order_by_desc(Column::Ordinal)
        .limit(rows)
        .all(conn)
        .await?;
    let start = before.map_or(Some((last, None)), |before| follows((before.0, Some(before.1)), before));
    let mut expected = start;
    for row in &found {
        let at = (row.revision, row.ordinal);
        expected = expected.and_then(|expected| follows(expected, at));
    }
    let is_last = u64::try_from(found.len()).is_ok_and(|found| found < rows);
    if expected.is_none() || is_last && expected != Some((after, None)) {
        return Err(StoreError::corrupt(TABLE, format!("the history between {after} and {last}")));
    }
    found.iter().map(|row| Ok(((row.revision, row.ordinal), change(row)?))).collect()
}

/// What is expected behind a change where the feed is read backwards: any last ordinal of a revision,
/// then those before it, then the revision before; `None` where something is missing.
const fn follows((revision, ordinal): (i64, Option<i64>), at: (i64, i64)) -> Option<(i64, Option<i64>)> {
    let fits = at.0 == revision
        && match ordinal {
            None => true,
            Some(ordinal) => at.1 == ordinal,
        };
    match (fits, at.1) {
        (false, _) => None,
        (true, 0) => Some((revision - 1, None)),
        (true, ordinal) => Some((revision, Some(ordinal - 1))),
    }
}

const fn moment(row: &policy_change::Model) -> Moment {
    Moment { revision: row.revision, commit_time: Timestamp::from_micros(row.commit_time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_history_is_found() {
        let walk = |places: &[(i64, i64)]| places.iter().try_fold((7, None), |expected, at| follows(expected, *at));
        assert_eq!(walk(&[(7, 1), (7, 0), (6, 0)]), Some((5, None)));
        assert_eq!(walk(&[(7, 1), (6, 0)]), None);
        assert_eq!(walk(&[(7, 2), (7, 0)]), None);
        assert_eq!(walk(&[(6, 0)]), None);
        assert_eq!(walk(&[(7, 1)]), Some((7, Some(0))));
    }
}
