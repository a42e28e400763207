//! An immutable sequence of chunks, two levels deep, that shares all but the changed path.
//!
//! Copying a sequence copies one pointer; replacing a chunk copies the root (one pointer for each
//! 64 chunks) and one branch. That keeps the cost of a change by its own size.

use std::sync::Arc;

/// How many chunks hang on a branch.
const BRANCH: usize = 64;

type Branch<C> = Vec<Arc<C>>;

/// A persistent sequence of chunks.
#[derive(Debug)]
pub struct Tree<C> {
    branches: Arc<Vec<Arc<Branch<C>>>>,
}

impl<C> Clone for Tree<C> {
    fn clone(&self) -> Self {
        Self { branches: Arc::clone(&self.branches) }
    }
}

impl<C> Default for Tree<C> {
    fn default() -> Self {
        Self { branches: Arc::new(Vec::new()) }
    }
}

impl<C> Tree<C> {
    /// The chunk at a place.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&C> {
        self.branches.get(index / BRANCH)?.get(index % BRANCH).map(Arc::as_ref)
    }

    /// The chunk at a place, to be kept.
    #[must_use]
    pub fn share(&self, index: usize) -> Option<Arc<C>> {
        self.branches.get(index / BRANCH)?.get(index % BRANCH).cloned()
    }

    /// How many chunks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.branches.last() {
            Some(last) => (self.branches.len() - 1) * BRANCH + last.len(),
            None => 0,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    /// Puts a chunk at a place that exists, or right behind the last.
    pub fn set(&mut self, index: usize, chunk: C) {
        let branches = Arc::make_mut(&mut self.branches);
        let chunk = Arc::new(chunk);
        match branches.get_mut(index / BRANCH) {
            Some(branch) => {
                let branch = Arc::make_mut(branch);
                match branch.get_mut(index % BRANCH) {
                    Some(slot) => *slot = chunk,
                    None => branch.push(chunk),
                }
            }
            None => branches.push(Arc::new(vec![chunk])),
        }
    }

    /// The chunk at a place, to be changed: copied first where another tree shares it.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut C>
    where
        C: Clone,
    {
        let branch = Arc::make_mut(&mut self.branches).get_mut(index / BRANCH)?;
        Arc::make_mut(branch).get_mut(index % BRANCH).map(Arc::make_mut)
    }

    /// All chunks in order.
    pub fn iter(&self) -> impl Iterator<Item = &C> {
        self.branches.iter().flat_map(|branch| branch.iter().map(Arc::as_ref))
    }
}

/// A persistent list of rows, found by their number. A change copies one chunk of so many: small rows that
/// every decision reads are better off in few large chunks.
#[derive(Debug)]
pub struct Table<T, const ROWS: usize = 64> {
    chunks: Tree<Vec<T>>,
}

impl<T, const ROWS: usize> Clone for Table<T, ROWS> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone() }
    }
}

impl<T, const ROWS: usize> Default for Table<T, ROWS> {
    fn default() -> Self {
        Self { chunks: Tree::default() }
    }
}

impl<T: Clone, const ROWS: usize> Table<T, ROWS> {
    /// The row of a number.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / ROWS)?.get(index % ROWS)
    }

    /// The row of a number, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / ROWS)?.get_mut(index % ROWS)
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.chunks.len().checked_sub(1) {
            Some(last) => last * ROWS + self.chunks.get(last).map_or(0, Vec::len),
            None => 0,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Adds a row behind the last.
    pub fn push(&mut self, row: T) {
        let chunk = self.len() / ROWS;
        match self.chunks.get_mut(chunk) {
            Some(rows) => rows.push(row),
            None => self.chunks.set(chunk, vec![row]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_grows_row_by_row() {
        let mut table: Table<usize> = Table::default();
        for row in 0..150 {
            assert_eq!((table.len(), table.is_empty()), (row, row == 0));
            table.push(row);
        }
        let before = table.clone();
        if let Some(row) = table.get_mut(149) {
            *row = 0;
        }
        assert_eq!((before.get(149), table.get(149), table.get(150)), (Some(&149), Some(&0), None));
    }

    #[test]
    fn a_copy_keeps_what_it_saw() {
        let mut tree = Tree::default();
        for index in 0..200 {
            assert_eq!(tree.len(), index);
            tree.set(index, index);
        }
        let before = tree.clone();
        tree.set(130, 0);
        assert_eq!((before.get(130), tree.get(130)), (Some(&130), Some(&0)));
        assert_eq!(tree.get(200), None);
        assert_eq!(before.iter().sum::<usize>(), 199 * 100);
    }
}
