//! What can go wrong with a database, classified once, so that nobody above looks at driver codes.
//!
//! Not here: what a client is told. Driver text stays in the sources, for the log.

use std::fmt;

use sea_orm::sqlx;
use sea_orm::{DbErr, RuntimeErr};
use thiserror::Error;

/// Why storage could not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Something that must be unique is there already.
    #[error("{constraint} is taken")]
    UniqueViolation { constraint: Constraint },
    /// Another transaction was in the way; the whole transaction may be tried again.
    #[error("another transaction was in the way")]
    Conflict(#[source] Option<DbErr>),
    /// The database cannot be reached, or has no connection to give.
    #[error("the database is unavailable")]
    Unavailable(#[source] DbErr),
    /// The disk or a quota is full.
    #[error("the database is full")]
    Full(#[source] DbErr),
    /// The database takes no writes, as a standby or a write-protected file.
    #[error("the database is read-only")]
    ReadOnly(#[source] DbErr),
    /// A row that this release cannot have written.
    #[error("the row `{key}` of table `{table}` cannot be read")]
    Corrupt { table: &'static str, key: String },
    /// A write met no row where the caller had read one.
    #[error("the row `{key}` of table `{table}` is missing")]
    Missing { table: &'static str, key: String },
    /// An audit event could not be put into its canonical form.
    #[error("an audit event cannot be sealed")]
    Seal(#[from] crate::domain::audit::SealError),
    #[error("the database URL cannot be used: {why}")]
    Url { why: &'static str },
    /// The schema is from a later release that this one cannot live with.
    #[error("the schema needs release {floor} or later")]
    SchemaTooNew { floor: String },
    /// An extension of PostgreSQL that this role may not, or the server cannot, create.
    #[error(
        "the extension `{name}` is missing and could not be created: have a superuser run `CREATE EXTENSION {name}` \
         in this database (its files are in PostgreSQL's contrib package), then migrate again"
    )]
    ExtensionMissing { name: &'static str, source: DbErr },
    #[error("the database failed")]
    Other(#[source] DbErr),
}

/// Which uniqueness was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Constraint {
    UserName,
    AccountId,
    RoleTitle,
    GroupTitle,
    ApiKey,
    Request,
    Bootstrap,
    Other,
}

impl fmt::Display for Constraint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UserName => "the user name",
            Self::AccountId => "the account id",
            Self::RoleTitle => "the title of the role",
            Self::GroupTitle => "the title of the group",
            Self::ApiKey => "the API key",
            Self::Request => "the request id",
            Self::Bootstrap => "the mark of the bootstrap",
            Self::Other => "a key",
        })
    }
}

impl Constraint {
    /// Reads PostgreSQL's constraint name, or SQLite's list of columns.
    fn parse(name: &str) -> Self {
        let is = |postgres: &str, sqlite: &str| name == postgres || name.contains(sqlite);
        if is("peers_user_name_key_key", "peers.user_name_key") {
            Self::UserName
        } else if is("accounts_pkey", "accounts.id") {
            Self::AccountId
        } else if is("roles_owner_id_title_key_key", "roles.title_key") {
            Self::RoleTitle
        } else if is("groups_account_id_title_key_key", "groups.title_key") {
            Self::GroupTitle
        } else if is("api_keys_pkey", "api_keys.id") || is("api_keys_hash_key", "api_keys.hash") {
            Self::ApiKey
        } else if is("requests_pkey", "requests.request_id") {
            Self::Request
        } else if is("bootstrap_pkey", "bootstrap.id") {
            Self::Bootstrap
        } else {
            Self::Other
        }
    }
}

impl StoreError {
    /// Whether the whole transaction may succeed if it is run again at once.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }

    /// The uniqueness that was violated, if that is what happened.
    #[must_use]
    pub const fn constraint(&self) -> Option<Constraint> {
        match self {
            Self::UniqueViolation { constraint } => Some(*constraint),
            Self::Conflict(_)
            | Self::Unavailable(_)
            | Self::Full(_)
            | Self::ReadOnly(_)
            | Self::Corrupt { .. }
            | Self::Missing { .. }
            | Self::Seal(_)
            | Self::Url { .. }
            | Self::SchemaTooNew { .. }
            | Self::ExtensionMissing { .. }
            | Self::Other(_) => None,
        }
    }

    /// What was asked of the database got no answer in the time that there was.
    #[must_use]
    pub fn no_answer() -> Self {
        Self::Unavailable(DbErr::Custom("no answer in time".to_owned()))
    }

    pub(super) fn corrupt(table: &'static str, key: impl fmt::Display) -> Self {
        Self::Corrupt { table, key: key.to_string() }
    }

    pub(super) fn missing(table: &'static str, key: impl fmt::Display) -> Self {
        Self::Missing { table, key: key.to_string() }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match classify(&error) {
            Class::Unique(constraint) => Self::UniqueViolation { constraint },
            Class::Conflict => Self::Conflict(Some(error)),
            Class::Unavailable => Self::Unavailable(error),
            Class::Full => Self::Full(error),
            Class::ReadOnly => Self::ReadOnly(error),
            Class::Other => Self::Other(error),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Unique(Constraint),
    Conflict,
    Unavailable,
    Full,
    ReadOnly,
    Other,
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the error enums of the database crates are not ours and open")]
fn classify(error: &DbErr) -> Class {
    let runtime = match error {
        DbErr::ConnectionAcquire(_) => return Class::Unavailable,
        DbErr::Conn(runtime) | DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
        _ => return Class::Other,
    };
    let RuntimeErr::SqlxError(error) = runtime else { return Class::Other };
    match error.as_ref() {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
                classify_postgres(&code, error.constraint().unwrap_or_default())
            } else {
                classify_sqlite(&code, error.message())
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Class::Unavailable,
        _ => Class::Other,
    }
}

/// By SQLSTATE, PostgreSQL's appendix A.
fn classify_postgres(code: &str, constraint: &str) -> Class {
    match code {
        "23505" => Class::Unique(Constraint::parse(constraint)),
        // Serialization failure, deadlock, lock timeout, statement timeout, transaction left idle.
        "40001" | "40P01" | "55P03" | "57014" | "25P03" => Class::Conflict,
        "53100" => Class::Full,
        "25006" => Class::ReadOnly,
        // Connection exceptions, shortage of resources, shutdown of the server, wrong credentials.
        _ if matches!(code.get(..2), Some("08" | "53" | "57" | "28" | "3D")) => Class::Unavailable,
        _ => Class::Other,
    }
}

/// By extended result code, whose low byte is the primary one (sqlite.org/rescode.html).
fn classify_sqlite(code: &str, message: &str) -> Class {
    let code = code.parse::<u32>().unwrap_or(0);
    match (code, code & 0xff) {
        // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE and _ROWID.
        (1555 | 2067 | 2579, _) => Class::Unique(Constraint::parse(message)),
        // SQLITE_BUSY and SQLITE_LOCKED.
        (_, 5 | 6) => Class::Conflict,
        (_, 8) => Class::ReadOnly,
        (_, 13) => Class::Full,
        // SQLITE_IOERR and SQLITE_CANTOPEN.
        (_, 10 | 14) => Class::Unavailable,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_one_class_each() {
        for (code, class) in [
            ("23505", Class::Unique(Constraint::UserName)),
            ("40001", Class::Conflict),
            ("40P01", Class::Conflict),
            ("53100", Class::Full),
            ("53300", Class::Unavailable),
            ("57P01", Class::Unavailable),
            ("25006", Class::ReadOnly),
            ("23503", Class::Other),
            ("", Class::Other),
        ] {
            assert_eq!(classify_postgres(code, "peers_user_name_key_key"), class, "{code}");
        }
        let message = "UNIQUE constraint failed: roles.owner_id, roles.title_key";
        for (code, class) in [
            ("2067", Class::Unique(Constraint::RoleTitle)),
            ("5", Class::Conflict),
            ("517", Class::Conflict),
            ("13", Class::Full),
            ("1032", Class::ReadOnly),
            ("14", Class::Unavailable),
            ("787", Class::Other),
        ] {
            assert_eq!(classify_sqlite(code, message), class, "{code}");
        }
    }

    #[test]
    fn a_full_pool_is_unavailable() {
        let error = DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout);
        assert!(matches!(StoreError::from(error), StoreError::Unavailable(_)));
    }
}
