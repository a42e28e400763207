//! `peerage accounts create`: an account, with its first peer if one is named.

use std::process::ExitCode;

use clap::Args;

use super::{Settings, label, settings};
use crate::cli::connection::Connection;
use crate::cli::names;
use crate::cli::output::{self, Format};
use crate::cli::preview::{self, DryRun};
use crate::cli::words::{AccountKind, Word as _};
use crate::transport::grpc::pb;

#[derive(Debug, Args)]
pub(super) struct Create {
    /// The id, never changed or used again: lower-case letters, digits and hyphens
    account: String,
    #[arg(long, value_enum, ignore_case = true)]
    kind: AccountKind,
    /// The account above
    #[arg(long, value_name = "ACCOUNT")]
    parent: String,
    #[arg(long)]
    title: String,
    /// A label; repeat for more
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    settings: Settings,
    /// The pack whose account template applies, where several have one
    #[arg(long, default_value = "", value_name = "PACK")]
    template: String,
    /// The user name of a person to create as the account's first peer
    #[arg(long, value_name = "USER_NAME")]
    first_peer: Option<String>,
    /// The first peer's name
    #[arg(long, default_value = "", requires = "first_peer", value_name = "NAME")]
    first_peer_name: String,
    /// The first peer's e-mail address
    #[arg(long, default_value = "", requires = "first_peer", value_name = "ADDRESS")]
    first_peer_email: String,
    /// The first peer's role; without it, the account template's
    #[arg(long, default_value = "", requires = "first_peer", value_name = "ROLE")]
    first_peer_role: String,
    /// Why the first peer needs its role, where the role asks for it
    #[arg(long, default_value = "", requires = "first_peer")]
    justification: String,
    #[command(flatten)]
    preview: DryRun,
}

pub(super) async fn run(connection: &Connection, arguments: Create, format: Format) -> anyhow::Result<ExitCode> {
    let is_dry_run = arguments.preview.dry_run;
    let request = create(arguments);
    let call = pb::CreateAccountRequest { validate_only: is_dry_run, ..request.clone() };
    let account = connection.accounts().create_account(call).await?.into_inner();
    if is_dry_run {
        preview::show_made(("account", &account), &gains(&account, &request), format)?;
    } else {
        output::one(format, &account)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Who would have rights on a new account, and that nobody has more or less on others by it.
fn gains(account: &pb::Account, request: &pb::CreateAccountRequest) -> String {
    let (id, parent) = (names::short(&account.name), names::short(&account.parent_account));
    let first = request.first_peer.as_ref().and_then(|first| Some((first.peer.as_ref()?, &first.role)));
    let first = first.map_or_else(String::new, |(peer, role)| {
        let role = if role.is_empty() { "the role of the account template" } else { names::short(role) };
        format!(" Its first peer {} gains {role} there.", peer.user_name)
    });
    let access = account.settings.as_ref().map(pb::AccountSettings::partner_access).unwrap_or_default();
    let limit = match access {
        pb::PartnerAccessMode::Unspecified | pb::PartnerAccessMode::Allowed => String::new(),
        mode @ (pb::PartnerAccessMode::SessionOnly
        | pb::PartnerAccessMode::ByApproval
        | pb::PartnerAccessMode::Blocked) => format!(
            ", those homed elsewhere as far as its partner access, {}, lets them",
            pb::PartnerAccessMode::word(mode)
        ),
    };
    format!(
        "It would make {} {id} in {parent}. Whoever holds rights on {parent} or above, with everything below, holds \
         them on {id} too{limit}.{first} On accounts that are there nobody gains or loses anything by it.",
        pb::AccountKind::of(account.kind),
    )
}

fn create(arguments: Create) -> pb::CreateAccountRequest {
    let first_peer = arguments.first_peer.map(|user_name| pb::FirstPeer {
        peer: Some(pb::Peer {
            user_name,
            kind: pb::PeerKind::Person.into(),
            display_name: arguments.first_peer_name,
            email: arguments.first_peer_email,
            ..Default::default()
        }),
        role: names::role(&arguments.first_peer_role),
        justification: arguments.justification,
    });
    let account = pb::Account {
        parent_account: names::account(&arguments.parent),
        kind: arguments.kind.number(),
        title: arguments.title,
        labels: arguments.labels.into_iter().collect(),
        settings: settings(&arguments.settings),
        ..Default::default()
    };
    let account_id = names::short(&arguments.account).to_owned();
    let template = arguments.template;
    pb::CreateAccountRequest { account_id, account: Some(account), first_peer, template, ..Default::default() }
}
