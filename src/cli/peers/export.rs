//! `peerage peers export`: peers as a table that `peerage peers import` reads.
//!
//! INVARIANT: what is held in memory is one page, however many peers there are.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::StreamExt as _;
use tonic::{Code, Status};

use super::columns::{self, COLUMNS, Column, Purpose, Wish};
use super::{access, select};
use crate::cli::connection::Connection;
use crate::cli::output::{self, Format};
use crate::cli::page;
use crate::cli::sheet::SheetWriter;
use crate::transport::grpc::pb;

const PAGE_SIZE: i32 = 500;
/// Of how many peers the bindings are asked for side by side.
const LOOKS: usize = 16;

/// Writes peers as a table.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The table has a column for each field that `peerage peers import` reads, but for passwords and\n\
    justifications. `accounts` names the accounts in the listed one where a peer holds its first role. A cell\n\
    that a spreadsheet would take as a formula begins with an apostrophe, which the import takes away. Peers\n\
    that are shown by name, kind and home only are left out."
)]
pub(super) struct Export {
    /// Where the table is written; without it, to standard output
    file: Option<PathBuf>,
    #[command(flatten)]
    selection: select::Selection,
    /// The columns to write, separated by commas
    #[arg(long, value_delimiter = ',', value_parser = column)]
    columns: Vec<&'static str>,
    /// What stands between cells
    #[arg(long, default_value = ",", value_parser = super::delimiter)]
    delimiter: u8,
}

fn column(name: &str) -> Result<&'static str, String> {
    let known = COLUMNS.iter().filter(|column| column.purpose == Purpose::Both);
    let found = known.clone().find(|column| column.name == name);
    let refused = || format!("is none of {}", known.map(|column| column.name).collect::<Vec<_>>().join(", "));
    found.map(|column| column.name).ok_or_else(refused)
}

/// What was written, and what could not be.
#[derive(Debug, Default)]
struct Count {
    written: u64,
    restricted: u64,
    /// Of how many peers some accounts are not in the table.
    elsewhere: u64,
}

pub(super) async fn run(connection: &Connection, arguments: Export, format: Format) -> anyhow::Result<ExitCode> {
    if format == Format::Json {
        bail!("a table has no JSON form: `peerage peers list --output json` writes every field");
    }
    let known = COLUMNS.iter().filter(|column| column.purpose == Purpose::Both);
    let columns: Vec<&Column> = if arguments.columns.is_empty() {
        known.collect()
    } else {
        arguments.columns.iter().filter_map(|name| columns::find(name)).collect()
    };
    let request = arguments.selection.request();
    let count = match &arguments.file {
        // A file that is there is replaced once the new one is whole.
        Some(path) => {
            let shown = path.display();
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let file = tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write `{shown}`"))?;
            let mut sheet = SheetWriter::new(BufWriter::new(file), arguments.delimiter);
            let count = pages(connection, request, &columns, &mut sheet).await?;
            let file = sheet.finish().and_then(|output| output.into_inner().map_err(io::IntoInnerError::into_error));
            let file = file.and_then(|file| file.as_file().sync_all().map(|()| file));
            let kept = file.and_then(|file| file.persist(path).map_err(|error| error.error));
            kept.with_context(|| format!("cannot write `{shown}`"))?;
            count
        }
        None => {
            let mut sheet = SheetWriter::new(Stdout, arguments.delimiter);
            let count = pages(connection, request, &columns, &mut sheet).await?;
            sheet.flush().context("cannot write the table")?;
            count
        }
    };
    output::note(&format!("{} peers written", count.written))?;
    if count.restricted > 0 {
        output::note(&format!("{} peers homed elsewhere were left out: little is shown of them", count.restricted))?;
    }
    if count.elsewhere > 0 {
        let why = "hold roles at accounts that do not stand in the table";
        output::note(&format!("{} peers {why}", count.elsewhere))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Standard output, taken for each write, so that remarks may come between.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}

async fn pages<W: Write>(
    connection: &Connection,
    mut request: pb::ListPeersRequest,
    columns: &[&Column],
    sheet: &mut SheetWriter<W>,
) -> anyhow::Result<Count> {
    sheet.line(columns.iter().map(|column| column.name)).context("cannot write the table")?;
    request.page_size = PAGE_SIZE;
    let progress = page::bytes(None);
    let mut count = Count::default();
    loop {
        let page = connection.peers().list_peers(request.clone()).await?.into_inner();
        let (full, restricted): (Vec<_>, Vec<_>) = page.peers.into_iter().partition(|peer| !peer.user_name.is_empty());
        count.restricted += u64::try_from(restricted.len()).unwrap_or(0);
        let wishes: Vec<_> = full.into_iter().map(|peer| wish(connection, peer, &request.account)).collect();
        let mut wishes = futures_util::stream::iter(wishes).buffered(LOOKS);
        while let Some(found) = wishes.next().await {
            let (wish, is_whole) = found?;
            count.elsewhere += u64::from(!is_whole);
            let cells: Vec<String> = columns.iter().map(|column| (column.show)(&wish)).collect();
            sheet.line(cells.iter().map(String::as_str)).context("cannot write the table")?;
            count.written += 1;
        }
        if page.next_page_token.is_empty() {
            progress.finish_and_clear();
            return Ok(count);
        }
        progress.set_message(format!("{} peers", count.written));
        request.page_token = page.next_page_token;
    }
}

/// A peer as the wish that would make it, and whether that says all of its accounts.
async fn wish(connection: &Connection, mut peer: pb::Peer, account: &str) -> Result<(Wish, bool), Status> {
    let access = match access::below(connection, &peer, account).await {
        Ok(access) => access,
        Err(status) if matches!(status.code(), Code::NotFound | Code::PermissionDenied) => None,
        Err(status) => return Err(status),
    };
    let named = match access.as_ref().and_then(|access| access.scope.as_ref()) {
        Some(pb::peer_access::Scope::Accounts(list)) => list.accounts.len(),
        Some(pb::peer_access::Scope::All(_)) | None => 0,
    };
    let count = peer.tenant_access.as_ref().map_or(0, |access| access.account_count);
    if !peer.person.is_empty() {
        // Its uid would mean nobody where the table is imported into another platform.
        let request = pb::GetPeerRequest { name: peer.person.clone(), read_mask: None };
        if let Ok(found) = connection.peers().get_peer(request).await
            && !found.get_ref().user_name.is_empty()
        {
            peer.person = found.into_inner().user_name;
        }
    }
    Ok((access::wish(peer, access), usize::try_from(count).is_ok_and(|count| count <= named)))
}
