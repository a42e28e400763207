//! How long it takes to import peers with roles from a table, over the wire and with everything that a
//! call does, against bare inserts of the same rows in equal batches.
//!
//! ```text
//! tests/bench/bulk                       100,000 peers, on SQLite and PostgreSQL
//! tests/bench/bulk --peers 10000         fewer; --batch N peers in a call
//! ```
//!
//! The import is the program's own, in a process of its own, against a server in another: their memory
//! is the most that either held. The bare inserts go to a second database with the same schema, in
//! transactions of as many peers: once the rows of peers and bindings alone, and once all that the
//! import left behind, the change feed and the audit log too.

mod bare;
mod processes;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use processes::Program;

const PEERS: usize = 100_000;
const BATCH: usize = 500;
/// The customers that the peers are homed in.
const CUSTOMERS: usize = 100;

struct Arguments {
    peers: usize,
    batch: usize,
    url: String,
    bare_url: String,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let folder = tempfile::tempdir()?;
    let program = Program::new(folder.path(), &arguments.url);
    program.run(&["migrate", "--database", &arguments.url])?;
    program.run(&["bootstrap", "--database", &arguments.url, "--key-file", "operator.key"])?;
    let server = program.serve()?;
    accounts(&program)?;
    let table = folder.path().join("peers.csv");
    write_table(&table, arguments.peers)?;

    let size = arguments.batch.to_string();
    let start = Instant::now();
    let client = program.run(&["peers", "import", "peers.csv", "--batch-size", &size])?;
    let imported = start.elapsed();
    ensure!(client.told.contains(&format!("{} peers created", arguments.peers)), "{}", client.told);
    let start = Instant::now();
    let again = program.run(&["peers", "import", "peers.csv", "--batch-size", &size])?;
    let resumed = start.elapsed();
    ensure!(again.told.contains(&format!("{} were there already", arguments.peers)), "{}", again.told);
    let start = Instant::now();
    program.run(&["peers", "export", "out.csv", "--account", "import-msp"])?;
    let exported = start.elapsed();
    let server_peak = server.stop()?;

    program.run(&["migrate", "--database", &arguments.bare_url])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bare = runtime.block_on(bare::run(&arguments.url, &arguments.bare_url))?;

    let count = arguments.peers as f64;
    let rate = |seconds: f64| count / seconds;
    let mut said = String::new();
    writeln!(said, "{} peers with a role each, {} in a call", arguments.peers, arguments.batch)?;
    writeln!(said, "import             {:8.1} s {:8.0} peers/s", imported.as_secs_f64(), rate(imported.as_secs_f64()))?;
    for (name, took) in [("bare, two tables", bare.two_tables), ("bare, all rows", bare.all_rows)] {
        let (took, ratio) = (took.as_secs_f64(), took.as_secs_f64() / imported.as_secs_f64());
        writeln!(said, "{name:18} {took:8.1} s {:8.0} peers/s, the import has {ratio:.2} of it", rate(took))?;
    }
    writeln!(said, "started once more  {:8.1} s {:8.0} peers/s", resumed.as_secs_f64(), rate(resumed.as_secs_f64()))?;
    writeln!(said, "export             {:8.1} s {:8.0} peers/s", exported.as_secs_f64(), rate(exported.as_secs_f64()))?;
    writeln!(said, "memory at most     server {server_peak} MB, client {} MB", client.peak_megabytes)?;
    std::io::stdout().lock().write_all(said.as_bytes())?;
    Ok(())
}

fn arguments() -> Result<Arguments> {
    let mut given = std::env::args().skip(1);
    let (mut peers, mut batch, mut url, mut bare_url) = (PEERS, BATCH, None, None);
    while let Some(argument) = given.next() {
        let mut value = || given.next().with_context(|| format!("`{argument}` needs a value"));
        match argument.as_str() {
            "--peers" => peers = value()?.parse().context("`--peers` takes a number")?,
            "--batch" => batch = value()?.parse().context("`--batch` takes a number")?,
            "--url" => url = Some(value()?),
            "--bare-url" => bare_url = Some(value()?),
            // cargo tells every bench that it is one.
            "--bench" => {}
            other => bail!("`{other}` is not one of --peers N, --batch N, --url URL, --bare-url URL"),
        }
    }
    let url = url.context("`--url` names an empty database")?;
    let bare_url = bare_url.context("`--bare-url` names another")?;
    Ok(Arguments { peers, batch, url, bare_url })
}

/// A partner with its customers.
fn accounts(program: &Program) -> Result<()> {
    let mut world = String::from(
        "accounts:\n- { id: import-msp, kind: PARTNER, parent: platform, title: Import MSP, settings: { role_packs: [mspcontrol] } }\n",
    );
    for number in 0..CUSTOMERS {
        writeln!(world, "- {{ id: customer-{number}, kind: CUSTOMER, parent: import-msp, title: Customer {number} }}")?;
    }
    program.write("world.yaml", &world)?;
    program.run(&["apply", "-f", "world.yaml"]).map(drop)
}

/// Peers as a directory would give them: two of three hold their role at home, the others at two customers.
fn write_table(path: &Path, peers: usize) -> Result<()> {
    let mut table = std::io::BufWriter::new(std::fs::File::create(path)?);
    let header = "user_name,home_account,role,accounts,first_name,last_name,display_name,company_name,email,phone_number,\
        city,country,two_factor_provider";
    writeln!(table, "{header}\r")?;
    for number in 0..peers {
        let (home, other) = (number % CUSTOMERS, (number + 1) % CUSTOMERS);
        let accounts = if number % 3 == 0 { format!("customer-{home} customer-{other}") } else { "all".to_owned() };
        let digits = 4_000_000 + number % 1_000_000;
        writeln!(
            table,
            "peer-{number}@customer-{home}.example,customer-{home},mspcontrol.read_only,{accounts},First{number},\
             Last{number},First{number} Last{number},\"Customer {home}, Ltd\",peer-{number}@customer-{home}.example,\
             +4144{digits},Bern,CH,TOTP\r"
        )?;
    }
    Ok(table.flush()?)
}
