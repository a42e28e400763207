//! `peerage apply`: makes a server's accounts, peers, roles, groups and bindings as a file says.
//!
//! INVARIANT: nothing is changed before the whole file is found right and every step is known; nothing
//! is ever deleted; applying twice changes nothing the second time.
//!
//! `yaml` reads the file into a tree, `declared`, `read` and `references` check it, `state` asks the server,
//! `plan` compares, `rehearse` has the server check new accounts, `execute` calls.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::connection::{Connection, Server};
use super::failure;
use super::output::{self, Format, clean};
use super::preview::Rights;

pub(crate) mod condition;
mod declared;
mod execute;
pub(crate) mod grants;
mod plan;
mod preview;
pub(crate) mod problems;
pub(crate) mod read;
mod references;
mod rehearse;
pub(crate) mod state;
pub(crate) mod world;
pub(crate) mod yaml;

pub(crate) use execute::{Outcome, execute};
pub(crate) use plan::{Action, Plan, Step};
pub(crate) use problems::Problems;
pub(crate) use world::World;

/// The server refused a step; those before it are done.
const STOPPED: u8 = 1;

/// What is applied.
#[derive(Debug, Args)]
#[command(after_help = "A file has up to five sections. Whatever it leaves out stays as it is:\n\n  \
    accounts:\n    \
    - { id: contoso-msp, kind: PARTNER, parent: platform, title: Contoso MSP,\n        \
    settings: { role_packs: [opspilot365] }, template: opspilot365, first_peer: john@contosomsp.com }\n    \
    - { id: contoso-corp, kind: CUSTOMER, parent: contoso-msp, title: Contoso Corp, labels: { env: prod } }\n  \
    roles:\n    \
    - { owner: contoso-msp, title: Night shift, inheritable: true, grants: [{ allow: devices.view }] }\n  \
    peers:\n    \
    - { user_name: john@contosomsp.com, home: contoso-msp, display_name: John Smith }\n    \
    - { user_name: emily@contosomsp.com, home: contoso-msp, display_name: Emily Clark,\n        \
    role: opspilot365.technician, access: [contoso-corp] }\n  \
    groups:\n    \
    - { account: contoso-msp, title: On call, members: [emily@contosomsp.com] }\n  \
    bindings:\n    \
    - { group: contoso-msp/On call, role: contoso-msp/Night shift, account: contoso-corp }\n\n\
    A custom role or group is named `account/title`. A peer that is not there yet needs `role` and `access`,\n\
    unless it is a first peer. Grants are written as for `peerage roles create`.\n\
    `given` and `tests` are for `peerage test`, and passed by.\n\n\
    Examples:\n  \
    peerage apply -f world.yaml --dry-run\n  \
    peerage apply -f world.yaml\n\n\
    Nothing is ever deleted: a binding that a peer of the file has and the file does not name stays, and a\n\
    line says so. Applying the same file again changes nothing; after a refusal it goes on.\n\
    What hangs on an account where you may not look is unknown: entries that would need it are left alone and named.\n\n\
    Exit codes: 0 the server is as the file says, as far as it can be read, or the dry run ended; 1 the server refused a step, and\n\
    those before it are done; 2 the file is wrong or the server cannot be asked, and nothing was changed.")]
pub(crate) struct Arguments {
    /// The file, or `-` for stdin
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Says what would change, and who would gain and lose by it, and changes nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(arguments: Arguments, server: &Server, format: Format) -> anyhow::Result<ExitCode> {
    let name = arguments.file.display().to_string();
    let source =
        if name == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(&arguments.file) };
    let source = source.with_context(|| format!("cannot read `{name}`"))?;
    let (world, problems) = read::world(&source).map_err(|problems| wrong(&name, &problems))?;
    if !problems.is_empty() {
        return Err(all_wrong(&name, server, &world, problems).await);
    }
    let connection = Connection::open(server).await?;
    let plan = plan(&connection, &world).await?.map_err(|problems| wrong(&name, &problems))?;
    if format == Format::Table {
        output::write(&show_plan(&plan))?;
    }
    for text in unread_accounts(&plan) {
        failure::hint(&text);
    }
    if arguments.dry_run {
        let rights = preview::rights(&connection, &plan, format).await;
        match format {
            Format::Table => {
                let text = rights.as_ref().map(Rights::text).unwrap_or_default();
                output::write(&format!("{text}A dry run: nothing was changed.\n"))?;
            }
            Format::Json => output::write(&json(&plan, 0, rights.as_ref(), true)?)?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = execute(&connection, &plan).await;
    if format == Format::Json {
        output::write(&json(&plan, outcome.done, None, false)?)?;
    }
    let Some(refusal) = outcome.refusal else {
        if format == Format::Table && outcome.done > 0 {
            output::write(&format!("Done: {} of {}.\n", outcome.done, plan.steps.len()))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let what = plan.steps.get(outcome.done).map(Step::show).unwrap_or_default();
    failure::report(&anyhow::Error::new(refusal).context(format!("stopped at `{what}`")));
    if format == Format::Table {
        output::write(&show_stop(&plan, outcome.done))?;
    }
    Ok(ExitCode::from(STOPPED))
}

/// Reads and checks a file.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read(source: &str) -> Result<World, Problems> {
    let (world, problems) = read::world(source)?;
    problems.into_result(world)
}

/// All that keeps a world from becoming true on a server, as far as what the server has tells.
pub(crate) fn obstacles(world: &World, state: &state::State) -> Problems {
    plan::plan(world, state).1
}

/// Compares a world with a server. The inner error is the file's fault, the outer one is not.
pub(crate) async fn plan(connection: &Connection, world: &World) -> Result<Result<Plan, Problems>, tonic::Status> {
    let state = state::State::load(connection, world).await?;
    let (plan, mut problems) = plan::plan(world, &state);
    rehearse::accounts(connection, (world, &state), &plan, &mut problems).await?;
    Ok(problems.into_result(plan))
}

/// All that is wrong with a file, with what the server knows of those parts that can be read. What is
/// wrong in itself is wrong without the server too.
async fn all_wrong(name: &str, server: &Server, world: &World, mut problems: Problems) -> anyhow::Error {
    let asked = async { anyhow::Ok(plan(&Connection::open(server).await?, world).await?) };
    match asked.await {
        Ok(Ok(_)) => wrong(name, &problems),
        Ok(Err(more)) => {
            problems.extend(more);
            wrong(name, &problems)
        }
        Err(error) => {
            let (shown, why) = (problems.show(name), error.downcast_ref::<tonic::Status>());
            let why = why.map_or_else(|| format!("{error:#}"), |status| status.message().to_owned());
            anyhow::anyhow!("{shown}\n  the server was not asked whether it has what the file names: {why}")
        }
    }
}

fn wrong(name: &str, problems: &Problems) -> anyhow::Error {
    anyhow::anyhow!("{}", problems.show(name))
}

fn counts(plan: &Plan) -> (usize, usize) {
    let creates = plan.steps.iter().filter(|step| step.action == Action::Create).count();
    (creates, plan.steps.len() - creates)
}

/// The accounts on which something could not be looked at, once each.
fn unread_accounts(plan: &Plan) -> Vec<String> {
    let said = plan.unknown.iter().map(|one| {
        let line = one.account_line.map(|line| format!(" (line {line})")).unwrap_or_default();
        format!("what is on account `{}`{line} cannot be read, and was left alone: {}", one.account, one.why)
    });
    let mut said: Vec<String> = said.collect();
    said.sort();
    said.dedup();
    said
}

fn show_plan(plan: &Plan) -> String {
    let (creates, updates) = counts(plan);
    let mut text: String = plan.steps.iter().map(|step| format!("{}\n", clean(&step.show()))).collect();
    text.extend(plan.stays.iter().map(|stay| format!("stays: {} ({})\n", clean(&stay.what), stay.name)));
    let unknown = plan.unknown.iter().map(|one| format!("unknown: {} (line {})\n", clean(&one.what), one.line));
    text.extend(unknown);
    text.push_str(&format!("{creates} to create, {updates} to update, {} unchanged.\n", plan.unchanged));
    text
}

fn show_stop(plan: &Plan, done: usize) -> String {
    let mut text =
        format!("Stopped: {done} of {} done. Once the cause is mended, apply the file again.\n", plan.steps.len());
    for (index, step) in plan.steps.iter().enumerate() {
        let word = if index < done { "done  " } else { "undone" };
        text.push_str(&format!("{word}  {}\n", clean(&step.show())));
    }
    text
}

fn json(plan: &Plan, done: usize, rights: Option<&Rights>, is_dry_run: bool) -> anyhow::Result<String> {
    let steps: Vec<_> = plan
        .steps
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let action = match step.action {
                Action::Create => "create",
                Action::Update => "update",
            };
            serde_json::json!({ "action": action, "what": step.what, "detail": step.detail, "done": index < done })
        })
        .collect();
    let stays: Vec<_> =
        plan.stays.iter().map(|stay| serde_json::json!({ "what": stay.what, "name": stay.name })).collect();
    let unknown = plan
        .unknown
        .iter()
        .map(|one| serde_json::json!({ "line": one.line, "what": one.what, "account": one.account, "why": one.why }));
    let unknown: Vec<_> = unknown.collect();
    let mut value =
        serde_json::json!({ "steps": steps, "unchanged": plan.unchanged, "stays": stays, "unknown": unknown });
    if let Some(object) = value.as_object_mut() {
        if is_dry_run {
            object.insert("dryRun".to_owned(), true.into());
        }
        if let Some(rights) = rights {
            rights.put_into(object)?;
        }
    }
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}
