//! Columns and keys as every table of this schema writes them.
//!
//! Times are BIGINT microseconds, ids UUID or text, structures TEXT holding JSON. Text that is
//! compared or sorted is in byte order on both databases: PostgreSQL would otherwise sort by the
//! locale of its cluster, and a range over paths would miss rows.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Which database the columns are written for.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    backend: DbBackend,
}

impl Columns {
    pub(crate) fn new(manager: &SchemaManager<'_>) -> Self {
        Self { backend: manager.get_database_backend() }
    }

    /// Text in byte order: an id, a path, a folded name.
    pub(crate) fn key(self, name: &'static str) -> ColumnDef {
        self.bytewise(ColumnDef::new(name).text().not_null().take())
    }

    pub(crate) fn key_null(self, name: &'static str) -> ColumnDef {
        self.bytewise(ColumnDef::new(name).text().null().take())
    }

    fn bytewise(self, mut column: ColumnDef) -> ColumnDef {
        if self.backend == DbBackend::Postgres {
            column.extra(r#"COLLATE "C""#);
        }
        column
    }
}

pub(crate) fn text(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().not_null().take()
}

pub(crate) fn text_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).text().null().take()
}

pub(crate) fn uuid(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().take()
}

pub(crate) fn uuid_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().null().take()
}

/// A number, or a time in microseconds.
pub(crate) fn number(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

pub(crate) fn number_null(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().null().take()
}

pub(crate) fn flag(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}

pub(crate) fn bytes(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).blob().not_null().take()
}

/// A table of these columns, the first `keys` of which are its primary key.
pub(crate) fn table<const N: usize>(
    name: &'static str,
    keys: &[&'static str],
    columns: [ColumnDef; N],
) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name);
    for column in columns {
        table.col(column);
    }
    let mut primary = Index::create();
    primary.primary();
    for key in keys {
        primary.col(*key);
    }
    table.primary_key(&mut primary);
    table
}

/// A reference to the single-column key of another table.
pub(crate) fn reference(
    table: &'static str,
    column: &'static str,
    to: (&'static str, &'static str),
) -> ForeignKeyCreateStatement {
    ForeignKey::create().name(format!("{table}_{column}_fkey")).from(table, column).to(to.0, to.1).take()
}

/// An index named after its table and columns.
pub(crate) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("{table}_{}_idx", columns.join("_"))).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

/// As [`index`], and no two rows are alike in it.
pub(crate) fn unique(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("{table}_{}_key", columns.join("_"))).table(table).unique();
    for column in columns {
        index.col(*column);
    }
    index
}
