//! `peerage accounts`: the tree of partners, customers and departments.

mod create;
mod moved;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use prost_types::FieldMask;
use tonic::Status;

use super::connection::{Connection, Server};
use super::consent::{self, Consent, Loss};
use super::output::{self, Format};
use super::preview::{self, DryRun};
use super::words::{PartnerAccessMode, SuspensionScope, Word as _};
use super::{names, page};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::policy_change::Change;

/// What to do with accounts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    peerage accounts list --under contoso-msp\n  \
    peerage accounts get contoso-corp\n  \
    peerage accounts create northwind --kind CUSTOMER --parent contoso-msp --title 'Northwind' --label env=test\n  \
    peerage accounts update northwind --title 'Northwind Traders'\n  \
    peerage accounts move northwind --to fabrikam-msp --dry-run\n  \
    peerage accounts suspend northwind --scope SUBTREE --reason 'unpaid since March'\n  \
    peerage accounts delete northwind --cascade --dry-run\n\n\
    An account may be named `northwind` or `accounts/northwind`.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists accounts that you may view
    List(List),
    /// Shows one account
    #[command(visible_alias = "show")]
    Get { account: String },
    /// Creates an account, with its first peer if one is named
    Create(create::Create),
    /// Changes an account's title, labels or settings
    Update(Update),
    /// Moves an account, with everything below it, to another parent
    Move {
        account: String,
        /// The account that will be above it
        #[arg(long, value_name = "ACCOUNT")]
        to: String,
        #[command(flatten)]
        preview: DryRun,
    },
    /// Suspends an account
    Suspend {
        account: String,
        /// What stops: everything below too, or only the peers homed in this very account
        #[arg(long, value_enum, ignore_case = true)]
        scope: SuspensionScope,
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        preview: DryRun,
    },
    /// Ends an account's own suspension
    Resume {
        account: String,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        preview: DryRun,
    },
    /// Deletes an account for good; its id is never used again
    Delete {
        account: String,
        /// Deletes everything in and below it too: accounts, peers, roles, bindings and groups
        #[arg(long)]
        cascade: bool,
        #[command(flatten)]
        consent: Consent,
    },
}

#[derive(Debug, Args)]
struct List {
    /// Lists what is below this account; without it, every account that you may view
    #[arg(long, value_name = "ACCOUNT")]
    under: Option<String>,
    /// Lists the children of `--under` alone, not everything below
    #[arg(long, requires = "under")]
    children: bool,
    /// Such as `kind = "CUSTOMER" AND labels.env = "test"`
    #[arg(long, default_value = "")]
    filter: String,
    /// Such as `title` or `create_time desc`
    #[arg(long, default_value = "")]
    order_by: String,
    #[command(flatten)]
    limit: page::Limit,
}

#[derive(Debug, Args)]
struct Settings {
    /// A pack whose roles can be assigned below; on partners alone; repeat for more
    #[arg(long = "role-pack", value_name = "PACK")]
    role_packs: Vec<String>,
    /// How far peers homed elsewhere may act
    #[arg(long, value_enum, ignore_case = true)]
    partner_access: Option<PartnerAccessMode>,
}

#[derive(Debug, Args)]
struct Update {
    account: String,
    #[arg(long)]
    title: Option<String>,
    /// A label to set; repeat for more
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// A label to remove; repeat for more
    #[arg(long = "remove-label", value_name = "KEY")]
    remove_labels: Vec<String>,
    #[command(flatten)]
    settings: Settings,
    /// Why partner access changes; asked of the operator alone
    #[arg(long, default_value = "")]
    justification: String,
    #[command(flatten)]
    preview: DryRun,
}

/// Reads `key=value`.
fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must look like `key=value`")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) async fn run(arguments: Arguments, server: &Server, format: Format) -> anyhow::Result<ExitCode> {
    if let Action::Delete { consent, .. } = &arguments.action {
        consent.check()?;
    }
    let connection = Connection::open(server).await?;
    let mut client = connection.accounts();
    let account = match arguments.action {
        Action::List(arguments) => return list(&connection, arguments, format).await,
        Action::Get { account } => {
            client.get_account(pb::GetAccountRequest { name: names::account(&account), read_mask: None }).await?
        }
        Action::Create(arguments) => return create::run(&connection, arguments, format).await,
        Action::Update(arguments) => {
            let dry_run = arguments.preview.dry_run;
            let request = update(&connection, arguments).await?;
            if dry_run {
                return look(&connection, Change::UpdateAccount(request), format).await;
            }
            client.update_account(request).await?
        }
        Action::Move { account, to, preview } => {
            let request = pb::MoveAccountRequest {
                name: names::account(&account),
                destination_parent: names::account(&to),
                ..Default::default()
            };
            if preview.dry_run {
                return look(&connection, Change::MoveAccount(request), format).await;
            }
            let moved = client.move_account(request).await?.into_inner();
            output::one(format, &moved)?;
            moved::warn_of_outsiders(&connection, &moved).await;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Suspend { account, scope, reason, preview } => {
            let name = names::account(&account);
            let request = pb::SuspendAccountRequest { name, scope: scope.number(), reason, ..Default::default() };
            if preview.dry_run {
                return look(&connection, Change::SuspendAccount(request), format).await;
            }
            client.suspend_account(request).await?
        }
        Action::Resume { account, reason, preview } => {
            let request = pb::ResumeAccountRequest { name: names::account(&account), reason, ..Default::default() };
            if preview.dry_run {
                return look(&connection, Change::ResumeAccount(request), format).await;
            }
            client.resume_account(request).await?
        }
        Action::Delete { account, cascade, consent } => {
            let name = names::account(&account);
            if consent.given(format, async || loss(&connection, (&name, cascade), format).await).await? {
                let text = format!("deleted {name}");
                client.delete_account(pb::DeleteAccountRequest { name, cascade, ..Default::default() }).await?;
                output::done(format, &text)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    output::one(format, account.get_ref())?;
    Ok(ExitCode::SUCCESS)
}

/// Shows who would gain and lose by a change, and makes none.
async fn look(connection: &Connection, change: Change, format: Format) -> anyhow::Result<ExitCode> {
    preview::show(connection, change, format).await?;
    Ok(ExitCode::SUCCESS)
}

async fn list(connection: &Connection, arguments: List, format: Format) -> anyhow::Result<ExitCode> {
    let parent = arguments.under.as_deref().map(names::account).unwrap_or_default();
    let mut client = connection.accounts();
    let accounts = page::follow(arguments.limit.count, async |page_size, page_token| {
        let request = pb::ListAccountsRequest {
            parent_account: parent.clone(),
            include_descendants: !arguments.children && !parent.is_empty(),
            page_size,
            page_token,
            filter: arguments.filter.clone(),
            order_by: arguments.order_by.clone(),
            read_mask: None,
        };
        let page = client.list_accounts(request).await?.into_inner();
        Ok((page.accounts, page.next_page_token))
    })
    .await?;
    let header = ["ACCOUNT", "KIND", "PARENT", "STATE", "TITLE", "LABELS"];
    output::list(format, &accounts, &header, |account| {
        let mut labels: Vec<_> = account.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        labels.sort();
        vec![
            names::short(&account.name).to_owned(),
            pb::AccountKind::of(account.kind),
            names::short(&account.parent_account).to_owned(),
            pb::AccountState::of(account.state),
            account.title.clone(),
            labels.join(" "),
        ]
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What a deletion would take, once the server has found nothing against it.
async fn loss(connection: &Connection, (name, cascade): (&str, bool), format: Format) -> anyhow::Result<Loss> {
    let mut client = connection.accounts();
    let account = client.get_account(pb::GetAccountRequest { name: name.to_owned(), read_mask: None }).await?;
    let account = account.into_inner();
    let deletion = pb::DeleteAccountRequest { name: name.to_owned(), cascade, ..Default::default() };
    let rights = preview::rights(connection, Change::DeleteAccount(deletion), format).await?;
    let id = names::short(&account.name).to_owned();
    let mut details = vec![("title", account.title), ("kind", pb::AccountKind::of(account.kind))];
    if cascade {
        details.push(("accounts below", consent::count(accounts_below(connection, name).await)?));
        details.push(("peers", consent::count(peers_below(connection, name).await)?));
        details.push(("role bindings", consent::count(bindings_below(connection, name).await)?));
    }
    let all = if cascade { ", with everything in and below it" } else { "" };
    let what = format!("deletes account {id} for good{all}; its id is never used again");
    Ok(Loss { what, name: id, details, rights: Some(rights) })
}

async fn accounts_below(connection: &Connection, name: &str) -> Result<Vec<pb::Account>, Status> {
    let mut client = connection.accounts();
    page::follow(None, async |page_size, page_token| {
        let parent_account = name.to_owned();
        let include_descendants = true;
        let request = pb::ListAccountsRequest {
            parent_account,
            include_descendants,
            page_size,
            page_token,
            ..Default::default()
        };
        client
            .list_accounts(request)
            .await
            .map(|page| page.into_inner())
            .map(|page| (page.accounts, page.next_page_token))
    })
    .await
}

async fn peers_below(connection: &Connection, name: &str) -> Result<Vec<pb::Peer>, Status> {
    let mut client = connection.peers();
    page::follow(None, async |page_size, page_token| {
        let (account, view) = (name.to_owned(), pb::PeerListView::HomeSubtree.into());
        let request = pb::ListPeersRequest { account, view, page_size, page_token, ..Default::default() };
        client.list_peers(request).await.map(|page| page.into_inner()).map(|page| (page.peers, page.next_page_token))
    })
    .await
}

async fn bindings_below(connection: &Connection, name: &str) -> Result<Vec<pb::RoleBinding>, Status> {
    let mut client = connection.roles();
    page::follow(None, async |page_size, page_token| {
        let account = name.to_owned();
        let include_descendants = true;
        let request =
            pb::ListRoleBindingsRequest { account, include_descendants, page_size, page_token, ..Default::default() };
        let page = client.list_role_bindings(request).await?.into_inner();
        Ok((page.role_bindings, page.next_page_token))
    })
    .await
}

fn settings(arguments: &Settings) -> Option<pb::AccountSettings> {
    if arguments.role_packs.is_empty() && arguments.partner_access.is_none() {
        return None;
    }
    Some(pb::AccountSettings {
        role_packs: arguments.role_packs.clone(),
        partner_access: arguments.partner_access.map_or(0, PartnerAccessMode::number),
        ..Default::default()
    })
}

/// Labels are one field of the account, so single ones are changed in what the server has now; the
/// etag keeps somebody else's change in between.
async fn update(connection: &Connection, arguments: Update) -> anyhow::Result<pb::UpdateAccountRequest> {
    let name = names::account(&arguments.account);
    let mut account = pb::Account { name: name.clone(), settings: settings(&arguments.settings), ..Default::default() };
    let mut paths = Vec::new();
    if let Some(title) = arguments.title {
        account.title = title;
        paths.push("title");
    }
    if !arguments.labels.is_empty() || !arguments.remove_labels.is_empty() {
        let current = connection.accounts().get_account(pb::GetAccountRequest { name, read_mask: None }).await?;
        let current = current.into_inner();
        let mut labels = current.labels;
        for key in &arguments.remove_labels {
            labels.remove(key).with_context(|| format!("the account has no label `{key}` of its own"))?;
        }
        labels.extend(arguments.labels);
        account.labels = labels;
        account.etag = current.etag;
        paths.push("labels");
    }
    if !arguments.settings.role_packs.is_empty() {
        paths.push("settings.role_packs");
    }
    if arguments.settings.partner_access.is_some() {
        paths.push("settings.partner_access");
    }
    anyhow::ensure!(!paths.is_empty(), "nothing to change: name a title, a label or a setting");
    Ok(pb::UpdateAccountRequest {
        account: Some(account),
        update_mask: Some(FieldMask { paths: paths.into_iter().map(str::to_owned).collect() }),
        justification: arguments.justification,
        ..Default::default()
    })
}
