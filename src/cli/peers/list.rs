//! `peerage peers list`: the page of peers that a portal shows, in a terminal.

use clap::{Args, ValueEnum};
use prost_types::FieldMask;

use super::super::connection::Connection;
use super::super::output::{self, Format};
use super::super::words::Word as _;
use super::super::{names, page, time};
use super::select::Selection;
use crate::transport::grpc::pb;

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    selection: Selection,
    /// The columns to show, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', ignore_case = true, default_values_t = Column::USUAL)]
    columns: Vec<Column>,
    /// Lists deleted peers too
    #[arg(long)]
    show_deleted: bool,
    /// Says on stderr how many peers the whole list has
    #[arg(long = "count")]
    total: bool,
    #[command(flatten)]
    limit: page::Limit,
}

/// What a list can show of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Column {
    Uid,
    UserName,
    FullName,
    Email,
    Role,
    Access,
    LastLogin,
    LastActive,
    State,
    TwoFactor,
    OrgUser,
    MsAccount,
    PamPim,
    Kind,
    Home,
    Created,
    Expires,
    Actions,
}

impl Column {
    const USUAL: [Self; 12] = [
        Self::UserName,
        Self::FullName,
        Self::Email,
        Self::Role,
        Self::Access,
        Self::LastLogin,
        Self::State,
        Self::TwoFactor,
        Self::OrgUser,
        Self::MsAccount,
        Self::Kind,
        Self::Home,
    ];

    const fn header(self) -> &'static str {
        match self {
            Self::Uid => "UID",
            Self::UserName => "USER NAME",
            Self::FullName => "FULL NAME",
            Self::Email => "E-MAIL",
            Self::Role => "ROLE",
            Self::Access => "ACCESS",
            Self::LastLogin => "LAST LOGIN",
            Self::LastActive => "LAST ACTIVE",
            Self::State => "STATUS",
            Self::TwoFactor => "TWO FACTOR",
            Self::OrgUser => "ORG USER",
            Self::MsAccount => "MS ACCOUNT",
            Self::PamPim => "PAM/PIM",
            Self::Kind => "KIND",
            Self::Home => "HOME",
            Self::Created => "CREATED",
            Self::Expires => "EXPIRES",
            Self::Actions => "ACTIONS",
        }
    }

    /// The field of a peer that the column shows.
    const fn field(self) -> &'static str {
        match self {
            Self::Uid => "uid",
            Self::UserName => "user_name",
            Self::FullName => "full_name",
            Self::Email => "email",
            Self::Role => "default_role",
            Self::Access => "tenant_access",
            Self::LastLogin => "last_login_time",
            Self::LastActive => "last_active_time",
            Self::State => "state",
            Self::TwoFactor => "two_factor_provider",
            Self::OrgUser => "org_user",
            Self::MsAccount => "microsoft_account_status",
            Self::PamPim => "privileged_access",
            Self::Kind => "kind",
            Self::Home => "home_account",
            Self::Created => "create_time",
            Self::Expires => "expire_time",
            Self::Actions => "allowed_actions",
        }
    }

    fn cell(self, peer: &pb::Peer) -> String {
        match self {
            Self::Uid => peer.uid.clone(),
            // Of a restricted peer there is only its id.
            Self::UserName if peer.user_name.is_empty() => names::short(&peer.name).to_owned(),
            Self::UserName => peer.user_name.clone(),
            Self::FullName => peer.full_name.clone(),
            Self::Email => peer.email.clone(),
            Self::Role => names::short(&peer.default_role).to_owned(),
            Self::Access => access(peer),
            Self::LastLogin => time::show(peer.last_login_time.as_ref()),
            Self::LastActive => time::show(peer.last_active_time.as_ref()),
            Self::State => pb::PeerState::of(peer.state),
            Self::TwoFactor => match pb::TwoFactorProvider::of(peer.two_factor_provider) {
                word if word == "NONE" => "<None>".to_owned(),
                word => word,
            },
            Self::OrgUser => peer.org_user.clone(),
            Self::MsAccount => pb::MicrosoftAccountStatus::of(peer.microsoft_account_status),
            Self::PamPim => peer.privileged_access.map_or_else(String::new, |access| {
                let eligible = access.eligible_role_binding_count + access.eligible_membership_count;
                format!("{eligible} eligible, {} active", access.active_elevation_count)
            }),
            Self::Kind => pb::PeerKind::of(peer.kind),
            Self::Home => names::short(&peer.home_account).to_owned(),
            Self::Created => time::show(peer.create_time.as_ref()),
            Self::Expires => time::show(peer.expire_time.as_ref()),
            Self::Actions => peer.allowed_actions.join(", "),
        }
    }
}

pub(super) async fn run(connection: &Connection, arguments: List, format: Format) -> anyhow::Result<()> {
    // JSON is for scripts, which get every field.
    let fields = arguments.columns.iter().map(|column| column.field()).chain(["name"]);
    let read_mask = (format == Format::Table).then(|| FieldMask { paths: fields.map(str::to_owned).collect() });
    let request =
        pb::ListPeersRequest { show_deleted: arguments.show_deleted, read_mask, ..arguments.selection.request() };
    let mut client = connection.peers();
    let mut total = None;
    let peers = page::follow(arguments.limit.count, async |page_size, page_token: String| {
        // One count is enough, and it is made with the first page.
        let count_total = arguments.total && page_token.is_empty();
        let request = pb::ListPeersRequest { page_size, page_token, count_total, ..request.clone() };
        let page = client.list_peers(request).await?.into_inner();
        if count_total {
            total = Some(page.total_size);
        }
        Ok((page.peers, page.next_page_token))
    })
    .await?;
    let header: Vec<&str> = arguments.columns.iter().map(|column| column.header()).collect();
    output::list(format, &peers, &header, |peer| arguments.columns.iter().map(|column| column.cell(peer)).collect())?;
    if let Some(total) = total {
        output::note(&format!("{total} peers in all"))?;
    }
    Ok(())
}

/// `all`, or how many accounts.
fn access(peer: &pb::Peer) -> String {
    match &peer.tenant_access {
        Some(access) if access.all => "all".to_owned(),
        Some(access) => access.account_count.to_string(),
        None => String::new(),
    }
}
