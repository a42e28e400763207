//! Role bindings: who holds which role, where, how far down and for how long.

use clap::Args;
use prost_types::Timestamp;

use crate::cli::connection::Connection;
use crate::cli::consent::{Consent, Loss};
use crate::cli::output::{self, Format};
use crate::cli::preview::{self, DryRun};
use crate::cli::words::{BindingMode, Reach, Word as _};
use crate::cli::{names, page, time};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::policy_change::Change;

#[derive(Debug, Args)]
pub(super) struct Bind {
    /// Who gets the role: a user name, a uid or `me`; a group as `groups/{id}`
    principal: String,
    /// The role's id, such as `opspilot365.technician`
    role: String,
    /// The account it is held on
    account: String,
    /// Whether it counts on the account alone, or everywhere below too
    #[arg(long, value_enum, ignore_case = true, default_value = "SUBTREE")]
    reach: Reach,
    /// Whether it counts by itself, or only while an elevation raises it
    #[arg(long, value_enum, ignore_case = true, default_value = "ACTIVE")]
    mode: BindingMode,
    /// When it begins, as `2026-12-01T00:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    starts: Option<Timestamp>,
    /// When it ends
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    expires: Option<Timestamp>,
    /// Why it is needed, where the role asks for it
    #[arg(long, default_value = "")]
    justification: String,
    #[command(flatten)]
    preview: DryRun,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// The account whose bindings are listed
    #[arg(long, default_value = "platform")]
    account: String,
    /// Lists the bindings on accounts below it too
    #[arg(long)]
    descendants: bool,
    /// Lists those of this peer alone
    #[arg(long)]
    peer: Option<String>,
    /// Lists those of this role alone
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    limit: page::Limit,
}

pub(super) async fn bind(connection: &Connection, arguments: Bind, format: Format) -> anyhow::Result<()> {
    let principal = if arguments.principal.starts_with("groups/") {
        pb::role_binding::Principal::Group(names::group(&arguments.principal))
    } else {
        pb::role_binding::Principal::Peer(names::peer(&arguments.principal))
    };
    let binding = pb::RoleBinding {
        principal: Some(principal),
        role: names::role(&arguments.role),
        account: names::account(&arguments.account),
        reach: arguments.reach.number(),
        mode: arguments.mode.number(),
        start_time: arguments.starts,
        expire_time: arguments.expires,
        justification: arguments.justification,
        ..Default::default()
    };
    let request = pb::CreateRoleBindingRequest { role_binding: Some(binding), ..Default::default() };
    if arguments.preview.dry_run {
        return preview::show(connection, Change::CreateRoleBinding(request), format).await;
    }
    let binding = connection.roles().create_role_binding(request).await?;
    output::one(format, binding.get_ref())
}

pub(super) async fn unbind(
    connection: &Connection,
    binding: &str,
    consent: Consent,
    format: Format,
) -> anyhow::Result<()> {
    let name = names::role_binding(binding);
    if !consent.given(format, async || loss(connection, &name, format).await).await? {
        return Ok(());
    }
    let text = format!("deleted {name}");
    let request = pb::DeleteRoleBindingRequest { name, ..Default::default() };
    connection.roles().delete_role_binding(request).await?;
    output::done(format, &text)
}

/// What a deletion would take, once the server has found nothing against it.
async fn loss(connection: &Connection, name: &str, format: Format) -> anyhow::Result<Loss> {
    let mut client = connection.roles();
    let get = pb::GetRoleBindingRequest { name: name.to_owned(), read_mask: None };
    let binding = client.get_role_binding(get).await?.into_inner();
    let deletion = pb::DeleteRoleBindingRequest { name: name.to_owned(), ..Default::default() };
    let rights = preview::rights(connection, Change::DeleteRoleBinding(deletion), format).await?;
    let details = vec![
        ("holder", holder(&binding).to_owned()),
        ("role", names::short(&binding.role).to_owned()),
        ("account", names::short(&binding.account).to_owned()),
    ];
    let id = names::short(&binding.name).to_owned();
    Ok(Loss { what: format!("takes role binding {id} away"), name: id, details, rights: Some(rights) })
}

pub(super) async fn list(connection: &Connection, arguments: List, format: Format) -> anyhow::Result<()> {
    let filter = filter(&arguments);
    let account = names::account(&arguments.account);
    let mut client = connection.roles();
    let bindings = page::follow(arguments.limit.count, async |page_size, page_token| {
        let request = pb::ListRoleBindingsRequest {
            account: account.clone(),
            include_descendants: arguments.descendants,
            page_size,
            page_token,
            filter: filter.clone(),
            ..Default::default()
        };
        let page = client.list_role_bindings(request).await?.into_inner();
        Ok((page.role_bindings, page.next_page_token))
    })
    .await?;
    let header = ["BINDING", "HOLDER", "ROLE", "ACCOUNT", "REACH", "MODE", "WINDOW"];
    output::list(format, &bindings, &header, |binding| {
        vec![
            names::short(&binding.name).to_owned(),
            holder(binding).to_owned(),
            names::short(&binding.role).to_owned(),
            names::short(&binding.account).to_owned(),
            pb::Reach::of(binding.reach),
            pb::BindingMode::of(binding.mode),
            time::window(binding.start_time.as_ref(), binding.expire_time.as_ref()),
        ]
    })
}

fn filter(arguments: &List) -> String {
    let parts = [
        arguments.peer.as_deref().map(|peer| format!("peer = \"{}\"", names::peer(peer))),
        arguments.role.as_deref().map(|role| format!("role = \"{}\"", names::role(role))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" AND ")
}

fn holder(binding: &pb::RoleBinding) -> &str {
    use pb::role_binding::Principal;

    match &binding.principal {
        Some(Principal::Peer(name) | Principal::Group(name)) => name,
        None => "",
    }
}
