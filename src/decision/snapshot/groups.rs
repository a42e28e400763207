//! How groups and their bindings lie in memory: a few bytes each in a table, since every decision on a
//! member reads one.

use std::sync::Arc;

use super::AccountIndex;
use super::record::{BindingRecord, Gathered, LooseBinding, Windows};
use crate::domain::ids::{BindingId, GroupId};
use crate::domain::time::Window;

/// A group as the evaluator reads it. Copying one copies pointers.
#[derive(Debug, Clone)]
pub struct GroupRecord {
    pub id: GroupId,
    pub account: AccountIndex,
    bindings: Arc<[BindingRecord]>,
    windows: Arc<Windows>,
}

impl GroupRecord {
    pub(super) fn new(id: GroupId, account: AccountIndex) -> Self {
        Self { id, account, bindings: Arc::default(), windows: Arc::default() }
    }

    /// Its bindings in order of account.
    #[inline]
    #[must_use]
    pub fn bindings(&self) -> &[BindingRecord] {
        &self.bindings
    }

    #[inline]
    #[must_use]
    pub fn binding_window(&self, binding: &BindingRecord) -> Window {
        self.windows.of(binding)
    }

    /// Puts a binding in place of one with the same id, or takes that one away.
    pub(super) fn edit(&mut self, id: BindingId, binding: Option<LooseBinding>) {
        let mut kept: Vec<LooseBinding> = self
            .bindings
            .iter()
            .filter(|own| own.id != id)
            .map(|own| LooseBinding { record: *own, window: self.binding_window(own) })
            .collect();
        kept.extend(binding);
        kept.sort_unstable_by_key(|binding| (binding.record.account, binding.record.id));
        let mut windows = Gathered::default();
        self.bindings = kept.iter().map(|LooseBinding { record, window }| windows.bind(record, *window)).collect();
        self.windows = windows.finish().into();
    }
}
