//! The command line: `serve`, `bootstrap`, `migrate`, `generate` and `config` run on the server's machine,
//! `test` needs no server; every
//! other command is a gRPC client and can do what its API key may do, nothing more.
//!
//! Exit codes: 0 is success, 2 a wrong command line or a failure; 1 is an answer that is not "yes"
//! (`authorize`), work that was stopped in the middle (`apply`), a difference (`demo --check`), or a test
//! that does not hold (`test`).
//! Results go to stdout, everything else to stderr.

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

mod access;
mod accounts;
mod apply;
mod audit;
mod authorize;
mod bootstrap;
mod circumstances;
mod config;
mod connection;
mod consent;
pub(crate) mod demo;
mod failure;
mod generate;
mod keys;
mod migrate;
mod names;
mod output;
mod page;
mod peers;
mod policy;
mod preview;
mod replay;
mod roles;
mod serve;
pub mod sheet;
mod test;
mod time;
mod words;

use output::Format;

/// A failure, of the command line or of the work.
pub(crate) const FAILED: u8 = 2;

#[derive(Debug, Parser)]
#[command(
    name = "peerage",
    version,
    about = "Answers whether a peer may do something on an account now, and keeps what the answer rests on",
    after_help = "Begin with:\n  \
        peerage demo                  a server with a built-in world, to look around in\n  \
        peerage authorize emily@contosomsp.com users.reset_password contoso-corp\n\n\
        Clients find the server by PEERAGE_ADDRESS and prove who they are by PEERAGE_API_KEY, or by the\n\
        file that PEERAGE_API_KEY_FILE names. `peerage help COMMAND` shows examples of a command.\n\n\
        Exit codes: 0 success, 1 an answer that is not yes, work that was stopped in the middle or a test that\n\
        does not hold, 2 a wrong command line or a failure.",
    max_term_width = 110
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// A command that is a client, with the flags that all of them take and no other does.
#[derive(Debug, Args)]
struct Client<T: Args> {
    #[command(flatten)]
    arguments: T,

    #[command(flatten)]
    server: connection::Server,

    /// How results are written
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server
    Serve(serve::Arguments),
    /// Holds what you expect of a policy against what the engine answers, without a server
    Test(test::Arguments),
    /// Runs a server on a built-in world in a temporary folder, and asks it about every permission matrix
    Demo(demo::Arguments),
    /// Makes the operator, once, and writes its API key to a file
    Bootstrap(bootstrap::Arguments),
    /// Brings the database's schema to this release
    Migrate(migrate::Arguments),
    /// Checks the configuration
    Config(config::Arguments),
    /// Fills an empty database with a large world, for measuring
    #[command(hide = true)]
    Generate(generate::Arguments),
    /// Asks whether a peer may do something on an account now
    Authorize(Client<authorize::Arguments>),
    /// Lists where a peer may do something, who may do it somewhere, and what somebody may do there
    Access(Client<access::Arguments>),
    /// Makes the server's accounts, peers, roles and bindings as a file says
    Apply(Client<apply::Arguments>),
    /// Lists, shows and changes accounts
    Accounts(Client<accounts::Arguments>),
    /// Lists, shows and changes peers
    Peers(Client<peers::Arguments>),
    /// Lists, shows and changes roles, permissions and role bindings
    Roles(Client<roles::Arguments>),
    /// Exports the policy of an account as casbin of any language reads it, and imports one
    Policy(Client<policy::Arguments>),
    /// Creates, lists and revokes API keys
    Keys(Client<keys::Arguments>),
    /// Shows what was done, and follows what is being done
    Audit(Client<audit::Arguments>),
}

impl Command {
    /// Whether a server runs in this process, which wants every core.
    const fn serves(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Demo(_))
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with exit code 0.
            let _ = error.print();
            return u8::try_from(error.exit_code()).map_or(ExitCode::from(FAILED), ExitCode::from);
        }
    };
    let mut builder = if cli.command.serves() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let outcome = match builder.enable_all().build() {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the runtime")),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            failure::report(&error);
            ExitCode::from(FAILED)
        }
    }
}

/// Reads and checks a file of `peerage apply` as that does, without a server to compare it with.
///
/// # Errors
/// Everything that is wrong with it, by its lines, as people are shown it.
pub fn check_world(name: &str, source: &str) -> Result<(), String> {
    apply::read(source).map(drop).map_err(|problems| problems.show(name))
}

/// Reads and checks a table of `peerage peers import` as that does, without a server to send it to.
/// Returns how many lines are right.
///
/// # Errors
/// Everything that is wrong with it, by its lines, as people are shown it.
pub fn check_peers(table: &[u8]) -> Result<usize, String> {
    peers::check(table)
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments, crate::app::start_demo).await,
        Command::Test(arguments) => test::run(&arguments),
        Command::Bootstrap(arguments) => bootstrap::run(arguments).await,
        Command::Migrate(arguments) => migrate::run(arguments).await,
        Command::Config(arguments) => config::run(&arguments),
        Command::Generate(arguments) => generate::run(arguments).await,
        Command::Authorize(client) => authorize::run(client.arguments, &client.server.settled(), client.output).await,
        Command::Access(client) => access::run(client.arguments, &client.server.settled(), client.output).await,
        Command::Apply(client) => apply::run(client.arguments, &client.server.settled(), client.output).await,
        Command::Accounts(client) => accounts::run(client.arguments, &client.server.settled(), client.output).await,
        Command::Peers(client) => peers::run(client.arguments, &client.server.settled(), client.output).await,
        Command::Roles(client) => roles::run(client.arguments, &client.server.settled(), client.output).await,
        Command::Policy(client) => policy::run(client.arguments, &client.server.settled(), client.output).await,
        Command::Keys(client) => keys::run(client.arguments, &client.server.settled(), client.output).await,
        Command::Audit(client) => audit::run(client.arguments, &client.server.settled(), client.output).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_flags_of_clients_stand_on_either_side_of_what_a_command_does() {
        for line in [
            &["peerage", "accounts", "--output", "json", "--address", "peerage:1", "list"][..],
            &["peerage", "accounts", "list", "--output", "json", "--address", "peerage:1"],
        ] {
            let Command::Accounts(client) = Cli::try_parse_from(line).unwrap().command else { panic!("{line:?}") };
            assert_eq!((client.output, &*client.server.address), (Format::Json, "peerage:1"));
        }
    }

    #[test]
    fn the_flags_of_clients_are_no_flags_of_a_server() {
        for command in
            [&["serve"][..], &["migrate"], &["bootstrap", "--key-file", "k"], &["config", "check"], &["demo"]]
        {
            assert!(Cli::try_parse_from([&["peerage"], command].concat()).is_ok(), "{command:?}");
            for flag in ["--address=a:1", "--api-key-file=k", "--ca-file=c", "--timeout=5", "--output=json"] {
                let error = Cli::try_parse_from([&["peerage"], command, &[flag]].concat()).unwrap_err();
                assert_eq!(error.kind(), clap::error::ErrorKind::UnknownArgument, "{command:?} {flag}");
            }
        }
    }

    #[test]
    fn a_secret_is_no_flag() {
        assert!(Cli::try_parse_from(["peerage", "--api-key", "prg_x", "accounts", "list"]).is_err());
    }
}
