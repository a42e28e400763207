//! The columns of a table of peers: each is a field of a peer, named as in the contract, or what a new
//! peer comes with. Import reads them, export writes them, and both know a peer by the same wish.

use crate::cli::words::Word;
use crate::cli::{names, time};
use crate::domain::binding::JUSTIFICATION_MAX;
use crate::domain::contact::{self, POSTAL_CODE_MAX};
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::password::Password;
use crate::domain::peer::{EMAIL_MAX, FIELD_MAX, NAME_MAX, PeerRef, UserName};
use crate::domain::text;
use crate::domain::time::Timestamp as Micros;
use crate::transport::grpc::pb;

/// A peer as a line of a table says it.
pub(super) type Wish = pb::CreatePeerRequest;

type Read = fn(&str, &mut Wish) -> Result<(), String>;
type Show = fn(&Wish) -> String;

/// One column.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Puts a cell into a wish, in the form in which the server keeps it.
    pub(super) read: Read,
    /// The cell of a wish.
    pub(super) show: Show,
    pub(super) purpose: Purpose,
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It is read and written.
    Both,
    /// It is read only: nothing that was stored shows it.
    Import,
    /// It is passed over: what a file of refused lines has more.
    Remark,
}

fn peer(wish: &mut Wish) -> &mut pb::Peer {
    wish.peer.get_or_insert_default()
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

macro_rules! text {
    ($name:ident, $parse:expr) => {
        Column {
            name: stringify!($name),
            read: |cell, wish| {
                peer(wish).$name = if cell.is_empty() { String::new() } else { ($parse)(cell).map_err(said)? };
                Ok(())
            },
            show: |wish| wish.peer.as_ref().map(|peer| peer.$name.clone()).unwrap_or_default(),
            purpose: Purpose::Both,
        }
    };
}

macro_rules! address {
    ($name:ident, $parse:expr) => {
        Column {
            name: stringify!($name),
            read: |cell, wish| {
                if !cell.is_empty() {
                    peer(wish).address.get_or_insert_default().$name = ($parse)(cell).map_err(said)?;
                }
                Ok(())
            },
            show: |wish| {
                let address = wish.peer.as_ref().and_then(|peer| peer.address.as_ref());
                address.map(|address| address.$name.clone()).unwrap_or_default()
            },
            purpose: Purpose::Both,
        }
    };
}

macro_rules! word {
    ($name:ident, $kind:ident, $choices:literal, $empty:expr) => {
        Column {
            name: stringify!($name),
            read: |cell, wish| {
                let cell = if cell.is_empty() { $empty } else { cell };
                let known = <pb::$kind as Word>::parse(cell).filter(|value| i32::from(*value) != 0);
                peer(wish).$name = known.ok_or($choices)?.into();
                Ok(())
            },
            show: |wish| match wish.peer.as_ref().map(|peer| peer.$name) {
                None | Some(0) => String::new(),
                Some(number) => pb::$kind::of(number),
            },
            purpose: Purpose::Both,
        }
    };
}

macro_rules! flag {
    ($name:ident) => {
        Column {
            name: stringify!($name),
            read: |cell, wish| {
                peer(wish).$name = match cell.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "1" => true,
                    "false" | "no" | "0" | "" => false,
                    _ => return Err("is not one of true, false".to_owned()),
                };
                Ok(())
            },
            show: |wish| wish.peer.as_ref().is_some_and(|peer| peer.$name).to_string(),
            purpose: Purpose::Both,
        }
    };
}

fn line(max: usize) -> impl Fn(&str) -> Result<String, crate::domain::invalid::Invalid> {
    move |cell| text::optional_line(cell, max)
}

fn email(cell: &str) -> Result<String, crate::domain::invalid::Invalid> {
    contact::email(cell, EMAIL_MAX)
}

/// Every column, in the order in which they are written.
pub(super) const COLUMNS: &[Column] = &[
    Column {
        name: "user_name",
        read: |cell, wish| {
            if cell.is_empty() {
                return Err("must be set".to_owned());
            }
            peer(wish).user_name = UserName::parse(cell).map_err(said)?.as_str().to_owned();
            Ok(())
        },
        show: |wish| wish.peer.as_ref().map(|peer| peer.user_name.clone()).unwrap_or_default(),
        purpose: Purpose::Both,
    },
    word!(kind, PeerKind, "is not one of PERSON, DEVICE, INTEGRATION", "PERSON"),
    Column {
        name: "home_account",
        read: |cell, wish| {
            peer(wish).home_account = account(cell)?;
            Ok(())
        },
        show: |wish| wish.peer.as_ref().map(|peer| names::short(&peer.home_account).to_owned()).unwrap_or_default(),
        purpose: Purpose::Both,
    },
    Column {
        name: "role",
        read: |cell, wish| {
            let name = if cell.is_empty() { return Err("must be set".to_owned()) } else { names::role(cell) };
            RoleId::parse(names::short(&name)).map_err(said)?;
            wish.role = name;
            Ok(())
        },
        show: |wish| names::short(&wish.role).to_owned(),
        purpose: Purpose::Both,
    },
    Column { name: "accounts", read: read_accounts, show: show_accounts, purpose: Purpose::Both },
    Column {
        name: "state",
        read: |cell, wish| {
            wish.disabled = match cell.to_ascii_uppercase().as_str() {
                "ENABLED" | "" => false,
                "DISABLED" => true,
                _ => return Err("is not one of ENABLED, DISABLED".to_owned()),
            };
            Ok(())
        },
        show: |wish| if wish.disabled { "DISABLED" } else { "ENABLED" }.to_owned(),
        purpose: Purpose::Both,
    },
    text!(first_name, line(NAME_MAX)),
    text!(last_name, line(NAME_MAX)),
    text!(display_name, line(NAME_MAX)),
    text!(company_name, line(NAME_MAX)),
    text!(email, email),
    text!(secondary_email, email),
    word!(mail_format, MailFormat, "is not one of HTML, PLAIN_TEXT", "HTML"),
    word!(two_factor_provider, TwoFactorProvider, "is not one of NONE, EMAIL, TOTP", "NONE"),
    flag!(require_external_login),
    flag!(password_never_expires),
    text!(org_user, line(FIELD_MAX)),
    text!(person, |cell: &str| {
        let name = names::peer(cell);
        PeerRef::parse(&name).map(|_| name)
    }),
    address!(street_address, line(FIELD_MAX)),
    address!(city, line(NAME_MAX)),
    address!(country, contact::country),
    address!(region, contact::region),
    address!(postal_code, line(POSTAL_CODE_MAX)),
    text!(phone_number, contact::phone),
    text!(mobile_phone, contact::phone),
    text!(fax, contact::phone),
    text!(language, contact::language),
    text!(time_zone, contact::time_zone),
    Column {
        name: "expire_time",
        read: |cell, wish| {
            peer(wish).expire_time = if cell.is_empty() { None } else { Some(time::parse(cell)?) };
            Ok(())
        },
        show: |wish| {
            let end = wish.peer.as_ref().and_then(|peer| peer.expire_time.as_ref());
            let micros =
                end.map(|end| end.seconds.saturating_mul(1_000_000).saturating_add(i64::from(end.nanos) / 1000));
            micros.map(|micros| Micros::from_micros(micros).to_rfc3339()).unwrap_or_default()
        },
        purpose: Purpose::Both,
    },
    Column {
        name: "justification",
        read: |cell, wish| {
            wish.justification = text::paragraph(cell, JUSTIFICATION_MAX).map_err(said)?;
            Ok(())
        },
        show: |wish| wish.justification.clone(),
        purpose: Purpose::Import,
    },
    Column {
        name: "password",
        read: |cell, wish| {
            if !cell.is_empty() {
                Password::parse(cell).map_err(said)?;
            }
            wish.password = cell.to_owned();
            wish.confirm_password = cell.to_owned();
            Ok(())
        },
        show: |_| String::new(),
        purpose: Purpose::Import,
    },
    Column { name: LINE, read: |_, _| Ok(()), show: |_| String::new(), purpose: Purpose::Remark },
    Column { name: ERROR, read: |_, _| Ok(()), show: |_| String::new(), purpose: Purpose::Remark },
];

/// The columns that a file of refused lines has more.
pub(super) const LINE: &str = "line";
pub(super) const ERROR: &str = "error";
/// What the column `accounts` says of a peer that holds its role at home and everywhere below.
pub(super) const ALL: &str = "all";
/// The most accounts of a peer.
const ACCOUNTS_MAX: usize = 1000;

/// The column of a name.
pub(super) fn find(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.name == name)
}

/// The column that a field of a refused request came from.
pub(super) fn of_field(field: &str) -> &str {
    let field = field.strip_prefix("peer.").unwrap_or(field);
    let field = field.strip_prefix("address.").unwrap_or(field);
    match field {
        "confirm_password" => "password",
        access if access.starts_with("access") => "accounts",
        other => other,
    }
}

fn account(cell: &str) -> Result<String, String> {
    if cell.is_empty() {
        return Err("must be set".to_owned());
    }
    let name = names::account(cell);
    AccountId::parse(names::short(&name)).map_err(said)?;
    Ok(name)
}

/// Reads `all`, or accounts with blanks, line ends or semicolons between them.
fn read_accounts(cell: &str, wish: &mut Wish) -> Result<(), String> {
    let listed = cell.split(|sign: char| sign.is_whitespace() || sign == ';').filter(|name| !name.is_empty());
    let scope = if cell.eq_ignore_ascii_case(ALL) {
        pb::peer_access::Scope::All(true)
    } else {
        let mut accounts = listed.map(account).collect::<Result<Vec<_>, _>>()?;
        if accounts.is_empty() {
            return Err("must be set: `all`, or accounts with blanks between them".to_owned());
        }
        if accounts.len() > ACCOUNTS_MAX {
            return Err(format!("must be at most {ACCOUNTS_MAX} items long"));
        }
        accounts.sort();
        if let Some([twice, _]) = accounts.array_windows().find(|[left, right]| left == right) {
            return Err(format!("contains `{twice}` more than once"));
        }
        pb::peer_access::Scope::Accounts(pb::AccountList { accounts })
    };
    wish.access = Some(pb::PeerAccess { scope: Some(scope) });
    Ok(())
}

fn show_accounts(wish: &Wish) -> String {
    let home: Vec<&String> = wish.peer.iter().map(|peer| &peer.home_account).collect();
    match wish.access.as_ref().and_then(|access| access.scope.as_ref()) {
        Some(pb::peer_access::Scope::All(_)) => ALL.to_owned(),
        // To hold a role at home alone is the same.
        Some(pb::peer_access::Scope::Accounts(list)) if list.accounts.iter().eq(home) => ALL.to_owned(),
        Some(pb::peer_access::Scope::Accounts(list)) => {
            list.accounts.iter().map(|account| names::short(account)).collect::<Vec<_>>().join(" ")
        }
        None => String::new(),
    }
}
