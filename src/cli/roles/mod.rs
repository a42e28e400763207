//! `peerage roles`: what peers may do. Bindings, matrix and catalogue stand in their own files.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::apply::grants;
use super::connection::{Connection, Server};
use super::consent::{Consent, Loss};
use super::output::{self, Format};
use super::preview::{self, DryRun};
use super::{names, page};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::policy_change::Change;

mod bindings;
mod catalogue;

/// What to do with roles.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    peerage roles list --account contoso-msp\n  \
    peerage roles get opspilot365.technician\n  \
    peerage roles matrix opspilot365\n  \
    peerage roles permissions --filter 'feature = \"Devices\"'\n  \
    peerage roles create 'Night shift' --owner contoso-msp --inheritable --grants grants.yaml\n  \
    peerage roles bind mike@contosomsp.com opspilot365.technician contoso-corp --dry-run\n  \
    peerage roles bindings --account contoso-corp\n  \
    peerage roles unbind 0193a7b2-0000-7000-8000-00000000000a\n\n\
    A file of grants is a list, as in `peerage apply`:\n  \
    - { allow: devices.view }\n  \
    - { allow: licenses.order, approval: true }\n  \
    - { deny: devices.delete }\n  \
    - allow: billing.view\n    \
      when:\n      \
        source_networks: [192.0.2.0/24, '2001:db8::/32']\n      \
        weekly_windows: [{ days: [MONDAY, FRIDAY], start_minute: 540, end_minute: 1020, time_zone: Europe/Vienna }]\n      \
        resource_attributes: [{ attribute: tier, any_of: [gold, silver] }, { attribute: seats, range: { end: 50 } }]\n      \
        account_labels: { env: [test] }")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the roles that can be used at an account
    List {
        #[arg(long, default_value = "platform")]
        account: String,
        /// Such as `pack = "opspilot365"` or `built_in = false`
        #[arg(long, default_value = "")]
        filter: String,
        #[command(flatten)]
        limit: page::Limit,
    },
    /// Shows one role with its grants
    #[command(visible_alias = "show")]
    Get {
        /// The role's id, such as `opspilot365.technician`
        role: String,
    },
    /// Creates a custom role
    Create(Create),
    /// Copies a role into a custom one
    Copy {
        /// The role to copy
        role: String,
        /// The account that will own the copy
        #[arg(long, value_name = "ACCOUNT")]
        owner: String,
        #[arg(long)]
        title: String,
        /// Empty keeps the source's
        #[arg(long, default_value = "")]
        description: String,
        /// Accounts below the owner can use it
        #[arg(long)]
        inheritable: bool,
        #[command(flatten)]
        preview: DryRun,
    },
    /// Deletes a custom role that no binding uses
    Delete {
        role: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Shows which roles of a pack may do what, as the server decides it
    Matrix(catalogue::Matrix),
    /// Lists the catalogue of permissions
    Permissions(catalogue::Permissions),
    /// Gives a role to a peer or group on an account
    Bind(bindings::Bind),
    /// Takes a role binding away
    Unbind {
        /// The binding's id, as `roles bindings` shows it
        binding: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Lists the role bindings on an account
    Bindings(bindings::List),
}

#[derive(Debug, Args)]
struct Create {
    /// The title, unique per owner
    title: String,
    /// The account that will own the role
    #[arg(long, value_name = "ACCOUNT")]
    owner: String,
    #[arg(long, default_value = "")]
    description: String,
    /// Accounts below the owner can use it
    #[arg(long)]
    inheritable: bool,
    /// A YAML file with the list of grants
    #[arg(long, value_name = "FILE")]
    grants: PathBuf,
    #[command(flatten)]
    preview: DryRun,
}

pub(crate) async fn run(arguments: Arguments, server: &Server, format: Format) -> anyhow::Result<ExitCode> {
    match arguments.action {
        Action::List { account, filter, limit } => {
            list(&Connection::open(server).await?, &names::account(&account), &filter, limit.count, format).await?;
        }
        Action::Get { role } => {
            let request = pb::GetRoleRequest { name: names::role(&role), read_mask: None };
            let role = Connection::open(server).await?.roles().get_role(request).await?;
            output::one(format, role.get_ref())?;
        }
        Action::Create(arguments) => {
            // The file is read before the server is asked for anything.
            let is_dry_run = arguments.preview.dry_run;
            let request = create(arguments)?;
            let connection = Connection::open(server).await?;
            if is_dry_run {
                preview::show(&connection, Change::CreateRole(request), format).await?;
                return Ok(ExitCode::SUCCESS);
            }
            let role = connection.roles().create_role(request).await?;
            output::one(format, role.get_ref())?;
        }
        Action::Copy { role, owner, title, description, inheritable, preview } => {
            let request = pb::CopyRoleRequest {
                name: names::role(&role),
                owner_account: names::account(&owner),
                title,
                description,
                inheritable,
                validate_only: preview.dry_run,
                ..Default::default()
            };
            let role = Connection::open(server).await?.roles().copy_role(request).await?;
            if preview.dry_run {
                copied(role.get_ref(), format)?;
                return Ok(ExitCode::SUCCESS);
            }
            output::one(format, role.get_ref())?;
        }
        Action::Delete { role, consent } => {
            consent.check()?;
            let connection = Connection::open(server).await?;
            let name = names::role(&role);
            if consent.given(format, async || loss(&connection, &name, format).await).await? {
                let text = format!("deleted {name}");
                connection.roles().delete_role(pb::DeleteRoleRequest { name, ..Default::default() }).await?;
                output::done(format, &text)?;
            }
        }
        Action::Matrix(arguments) => catalogue::matrix(&Connection::open(server).await?, arguments, format).await?,
        Action::Permissions(arguments) => {
            catalogue::permissions(&Connection::open(server).await?, arguments, format).await?;
        }
        Action::Bind(arguments) => bindings::bind(&Connection::open(server).await?, arguments, format).await?,
        Action::Unbind { binding, consent } => {
            consent.check()?;
            bindings::unbind(&Connection::open(server).await?, &binding, consent, format).await?;
        }
        Action::Bindings(arguments) => bindings::list(&Connection::open(server).await?, arguments, format).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a deletion would take, once the server has found nothing against it.
async fn loss(connection: &Connection, name: &str, format: Format) -> anyhow::Result<Loss> {
    let mut client = connection.roles();
    let role = client.get_role(pb::GetRoleRequest { name: name.to_owned(), read_mask: None }).await?.into_inner();
    let deletion = pb::DeleteRoleRequest { name: name.to_owned(), ..Default::default() };
    let rights = preview::rights(connection, Change::DeleteRole(deletion), format).await?;
    let id = names::short(&role.name).to_owned();
    let owner = names::short(&role.owner_account).to_owned();
    let details = vec![("title", role.title), ("owner", owner), ("grants", role.grants.len().to_string())];
    Ok(Loss { what: format!("deletes role {id} for good"), name: id, details, rights: Some(rights) })
}

async fn list(
    connection: &Connection,
    account: &str,
    filter: &str,
    limit: Option<usize>,
    format: Format,
) -> anyhow::Result<()> {
    let mut client = connection.roles();
    let roles = page::follow(limit, async |page_size, page_token| {
        let request = pb::ListRolesRequest {
            account: account.to_owned(),
            page_size,
            page_token,
            filter: filter.to_owned(),
            ..Default::default()
        };
        let page = client.list_roles(request).await?.into_inner();
        Ok((page.roles, page.next_page_token))
    })
    .await?;
    let header = ["ROLE", "TITLE", "FROM", "GRANTS", "HOLDERS"];
    output::list(format, &roles, &header, |role| {
        let from = if role.built_in { &role.pack } else { names::short(&role.owner_account) };
        vec![
            names::short(&role.name).to_owned(),
            role.title.clone(),
            from.to_owned(),
            role.grants.len().to_string(),
            role.holder_count.to_string(),
        ]
    })
}

/// Shows a copy that would be made.
fn copied(role: &pb::Role, format: Format) -> anyhow::Result<()> {
    let (owner, grants) = (names::short(&role.owner_account), role.grants.len());
    let says = format!(
        "It would make role `{}` of {owner}, with {grants} grants. Nobody gains or loses anything by it: a new role \
         gives nothing until somebody is bound to it, which `peerage roles bind --dry-run` shows.",
        role.title
    );
    preview::show_made(("role", role), &says, format)
}

fn create(arguments: Create) -> anyhow::Result<pb::CreateRoleRequest> {
    let path = arguments.grants.display();
    let text = std::fs::read_to_string(&arguments.grants).with_context(|| format!("cannot read `{path}`"))?;
    let grants =
        grants::parse_file(&text).map_err(|problems| anyhow::anyhow!("{}", problems.show(&path.to_string())))?;
    let role = pb::Role {
        title: arguments.title,
        description: arguments.description,
        owner_account: names::account(&arguments.owner),
        inheritable: arguments.inheritable,
        grants,
        ..Default::default()
    };
    Ok(pb::CreateRoleRequest { role: Some(role), ..Default::default() })
}
