//! `peerage peers import`: peers from a table, many in a call.
//!
//! Lines go to the server in batches, one after the other, so that a line may rest on an earlier one.
//! A batch that got no answer is sent again under its request id, which makes nothing twice. An import
//! that was cut off is started anew: a line whose peer is there already, and is as the line says, is
//! passed over. No state is kept beside the file.
//!
//! INVARIANT: what is held in memory is one batch, however large the file is.

mod report;
mod send;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use prost::Message as _;

use super::columns::{self, COLUMNS, Column, Purpose, Wish};
use crate::cli::connection::Connection;
use crate::cli::output::Format;
use crate::cli::page;
use crate::cli::sheet::{Line, Sheet};
use report::Report;

/// The most passwords of a batch: hashing one takes a moment of the server's.
const PASSWORDS_MAX: usize = 50;
/// The most bytes of a batch, well below what the server takes.
const BYTES_MAX: usize = 4 << 20;

/// Makes peers as a table says.
#[derive(Debug, Args)]
#[command(after_long_help = "The first line of FILE names the columns, which are fields of a peer:\n  \
    user_name, kind, home_account, role, accounts, state, first_name, last_name, display_name, company_name,\n  \
    email, secondary_email, mail_format, two_factor_provider, require_external_login, password_never_expires,\n  \
    org_user, person, street_address, city, country, region, postal_code, phone_number, mobile_phone, fax,\n  \
    language, time_zone, expire_time, justification, password\n\n\
    `person`, another peer of the same human, stands in an earlier line or is there already.\n\
    `accounts` is `all` for the home account with everything below, or accounts with blanks between them.\n\
    Cells are UTF-8, in quotes where they hold commas, quotes or line ends. An apostrophe before `=`, `+`,\n\
    `-` or `@` at the beginning of a cell keeps spreadsheets from taking it as a formula, and is taken away.\n\n\
    Exit codes: 0 every peer is there, 1 lines were refused or the import was stopped in the middle,\n\
    2 nothing was begun. With `--output json` every refused line is a JSON object on a line of its own,\n\
    and so is the summary after them.")]
pub(super) struct Import {
    /// The table, as CSV; `-` reads standard input
    file: PathBuf,
    /// Has the server run every check, and changes nothing; a line that rests on one of an earlier batch
    /// is refused
    #[arg(long)]
    dry_run: bool,
    /// Writes the lines that were refused to this new file, with the reasons, to be mended and imported
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// The home account of lines that name none
    #[arg(long, value_name = "ACCOUNT")]
    home: Option<String>,
    /// The role of lines that name none
    #[arg(long)]
    role: Option<String>,
    /// The accounts of lines that name none, or `all`
    #[arg(long, value_name = "ACCOUNTS")]
    accounts: Option<String>,
    /// Why the peers need their roles, where a line does not say
    #[arg(long)]
    justification: Option<String>,
    /// What stands between cells
    #[arg(long, default_value = ",", value_parser = super::delimiter)]
    delimiter: u8,
    /// How many peers go in one call, from 1 to 1000
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch_size: u16,
}

/// A line with the peer that it wishes for, unless it is wrong by itself.
struct Row {
    line: Line,
    wish: Result<Wish, Vec<Fault>>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    /// The column, or nothing where it is the whole line.
    column: String,
    why: String,
    /// The server's reason, where it was the server that refused it.
    reason: String,
}

impl Fault {
    fn here(column: &str, why: impl Into<String>) -> Self {
        Self { column: column.to_owned(), why: why.into(), reason: String::new() }
    }
}

pub(super) async fn run(connection: &Connection, arguments: Import, format: Format) -> anyhow::Result<ExitCode> {
    let (input, length): (Box<dyn Read>, Option<u64>) = if arguments.file.as_os_str() == "-" {
        (Box::new(io::stdin().lock()), None)
    } else {
        let shown = arguments.file.display();
        let file = File::open(&arguments.file).with_context(|| format!("cannot read `{shown}`"))?;
        let length = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|known| known.len());
        (Box::new(file), length)
    };
    let mut sheet = Sheet::open(input, arguments.delimiter)?;
    let reader = Reader::new(sheet.header(), &arguments)?;
    let mut report = Report::begin(format, &arguments, sheet.header(), page::bytes(length))?;
    let batch_size = usize::from(arguments.batch_size);
    loop {
        let rows = gather(&mut sheet, &reader, batch_size);
        // What was read before the file broke off is good.
        let (rows, broken) = match rows {
            Ok(rows) => (rows, None),
            Err((rows, error)) => (rows, Some(error)),
        };
        if rows.is_empty() && broken.is_none() {
            return report.end();
        }
        if let Err(status) = send::send(connection, &reader, rows, arguments.dry_run, &mut report).await {
            return report.stopped(&anyhow::Error::new(status), "");
        }
        report.at(sheet.position())?;
        if let Some(error) = broken {
            return report.stopped(&error, "once the file is mended, ");
        }
    }
}

/// Reads a whole table: how many lines are right, or what is wrong.
pub(in crate::cli) fn check(table: &[u8]) -> Result<usize, String> {
    let arguments = Import {
        file: PathBuf::new(),
        dry_run: true,
        errors: None,
        home: Some("platform".to_owned()),
        role: Some("core.auditor".to_owned()),
        accounts: Some(columns::ALL.to_owned()),
        justification: None,
        delimiter: b',',
        batch_size: 1,
    };
    let mut sheet = Sheet::open(table, arguments.delimiter).map_err(|error| error.to_string())?;
    let reader = Reader::new(sheet.header(), &arguments).map_err(|error| error.to_string())?;
    let (mut right, mut problems) = (0, String::new());
    while let Some(line) = sheet.next_line().map_err(|error| error.to_string())? {
        let row = reader.row(line);
        match row.wish {
            Ok(_) => right += 1,
            Err(faults) => {
                for Fault { column, why, .. } in faults {
                    problems.push_str(&format!("line {}: {column}: {why}\n", row.line.number));
                }
            }
        }
    }
    if problems.is_empty() { Ok(right) } else { Err(problems) }
}

/// Reads lines until a batch is full.
fn gather(
    sheet: &mut Sheet<Box<dyn Read>>,
    reader: &Reader,
    size: usize,
) -> Result<Vec<Row>, (Vec<Row>, anyhow::Error)> {
    let (mut rows, mut wishes, mut passwords, mut bytes) = (Vec::new(), 0, 0, 0);
    // Lines that are wrong by themselves count too, so that a file of nothing else is not held whole.
    while rows.len() < size && wishes < size && passwords < PASSWORDS_MAX && bytes < BYTES_MAX {
        match sheet.next_line() {
            Ok(Some(line)) => {
                let row = reader.row(line);
                if let Ok(wish) = &row.wish {
                    wishes += 1;
                    passwords += usize::from(!wish.password.is_empty());
                    bytes += wish.encoded_len();
                }
                bytes += row.line.cells.iter().map(String::len).sum::<usize>();
                rows.push(row);
            }
            Ok(None) => break,
            Err(error) => return Err((rows, error.into())),
        }
    }
    Ok(rows)
}

/// Knows what each cell of a line is.
struct Reader {
    columns: Vec<&'static Column>,
    /// What stands for an empty cell, or for one of a column that is not there.
    instead: Vec<(&'static Column, String)>,
}

impl Reader {
    fn new(header: &[String], arguments: &Import) -> anyhow::Result<Self> {
        let mut columns: Vec<&'static Column> = Vec::new();
        for name in header {
            let column = columns::find(name).with_context(|| unknown(name))?;
            ensure!(!columns.iter().any(|known| known.name == column.name), "two columns are named `{name}`");
            columns.push(column);
        }
        let given = [
            ("kind", &Some(String::new())),
            ("home_account", &arguments.home),
            ("role", &arguments.role),
            ("accounts", &arguments.accounts),
            ("justification", &arguments.justification),
        ];
        let mut instead = Vec::new();
        for (name, value) in given {
            let Some(column) = columns::find(name) else { continue };
            instead.extend(value.clone().map(|value| (column, value)));
        }
        for name in ["user_name", "home_account", "role", "accounts"] {
            let is_there = columns.iter().any(|column| column.name == name);
            if !is_there && !instead.iter().any(|(column, _)| column.name == name) {
                let flag = match name {
                    "user_name" => "",
                    "home_account" => ", and there is no `--home`",
                    "role" => ", and there is no `--role`",
                    _ => ", and there is no `--accounts`",
                };
                bail!("the header has no column `{name}`{flag}");
            }
        }
        Ok(Self { columns, instead })
    }

    /// Reads a line with all that is wrong with it.
    fn row(&self, line: Line) -> Row {
        if let Some(fault) = &line.fault {
            let wish = Err(vec![Fault::here("", fault.clone())]);
            return Row { line, wish };
        }
        let (mut wish, mut faults) = (Wish::default(), Vec::new());
        let instead = |column: &Column| self.instead.iter().find(|(known, _)| known.name == column.name);
        let mut read = |column: &Column, cell: &str| {
            if let Err(why) = (column.read)(cell, &mut wish) {
                faults.push(Fault::here(column.name, why));
            }
        };
        for (column, cell) in self.columns.iter().zip(&line.cells) {
            let cell = if column.name == "password" { cell } else { cell.trim() };
            let usual = instead(column).filter(|_| cell.is_empty()).map(|(_, value)| value.as_str());
            read(column, usual.unwrap_or(cell));
        }
        for (column, value) in &self.instead {
            if !self.columns.iter().any(|known| known.name == column.name) {
                read(column, value);
            }
        }
        let wish = if faults.is_empty() { Ok(wish) } else { Err(faults) };
        Row { line, wish }
    }

    /// The columns in which two wishes for a peer differ, of those that the table has.
    fn differences(&self, wish: &Wish, other: &Wish) -> Vec<&'static str> {
        let given = self.instead.iter().map(|(column, _)| *column);
        let compared = COLUMNS.iter().filter(|column| {
            let is_given = || given.clone().any(|known| known.name == column.name);
            let is_there = self.columns.iter().any(|known| known.name == column.name);
            column.purpose == Purpose::Both && (is_there || is_given())
        });
        compared.filter(|column| (column.show)(wish) != (column.show)(other)).map(|column| column.name).collect()
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<&str> =
        COLUMNS.iter().filter(|column| column.purpose != Purpose::Remark).map(|one| one.name).collect();
    let hint =
        if name.contains([';', '\t']) { "; another sign than `,` between cells is given by `--delimiter`" } else { "" };
    format!("the header has a column `{name}`, which is none of {}{hint}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        import: Import,
    }

    fn arguments(given: &[&str]) -> Import {
        Cli::try_parse_from(["import", "peers.csv"].iter().chain(given)).unwrap().import
    }

    fn row(header: &str, cells: &[&str]) -> Row {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        let reader = Reader::new(&header, &arguments(&[])).unwrap();
        reader.row(Line { number: 2, cells: cells.iter().map(|cell| (*cell).to_owned()).collect(), fault: None })
    }

    #[test]
    fn every_wrong_cell_of_a_line_is_named() {
        let header = "user_name,kind,home_account,role,accounts,email,country,expire_time,state,require_external_login";
        let cells = ["a b", "ROBOT", "Contoso", "", "a-1;a-1", "none", "Helvetia", "tomorrow", "DELETED", "perhaps"];
        let faults = row(header, &cells).wish.unwrap_err();
        let named: Vec<&str> = faults.iter().map(|fault| fault.column.as_str()).collect();
        assert_eq!(named, header.split(',').collect::<Vec<_>>());
    }

    #[test]
    fn cells_are_kept_as_the_server_keeps_them() {
        let header = "user_name,home_account,role,accounts,phone_number,language,mail_format,password";
        let cells = [" emily ", "contoso", "core.auditor", "b-2 a-1", "+41 44 123 45 67", "DE-ch", "plain-text", " p "];
        let wish = row(header, &cells).wish.unwrap();
        let shown = |name: &str| (columns::find(name).unwrap().show)(&wish);
        assert_eq!(shown("user_name"), "emily");
        assert_eq!(shown("kind"), "PERSON");
        assert_eq!(shown("accounts"), "a-1 b-2");
        assert_eq!(shown("phone_number"), "+41441234567");
        assert_eq!(shown("language"), "de-CH");
        assert_eq!(shown("mail_format"), "PLAIN_TEXT");
        assert_eq!(wish.password, " p ", "nothing of a password is trimmed");
        assert_eq!(wish.role, "roles/core.auditor");
    }

    #[test]
    fn a_header_names_every_column_once() {
        let refuse = |header: &[&str], given: &[&str]| {
            let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
            Reader::new(&header, &arguments(given)).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let all = ["--home", "contoso", "--role", "core.auditor", "--accounts", "all"];
        assert!(refuse(&["name"], &all).contains("`name`"));
        assert!(refuse(&["user_name;email"], &all).contains("--delimiter"));
        assert!(refuse(&["user_name", "user_name"], &all).contains("two columns"));
        assert!(refuse(&["user_name", "role", "accounts"], &[]).contains("`--home`"));
        assert_eq!(refuse(&["user_name", "line", "error"], &all), "");
    }
}
