//! `peerage access`: where somebody may do something, who may do it there, and what somebody may do
//! there. The lists are complete, and equal to what `peerage authorize` answers one by one.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::connection::{Connection, Server};
use super::output::{self, Format};
use super::words::{Decision, Word as _};
use super::{names, page};
use crate::transport::grpc::pb;

/// What is asked about access.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    peerage access accounts emily@contosomsp.com users.reset_password\n  \
    peerage access accounts me licenses.order --under contoso-msp --decision REQUIRES_APPROVAL\n  \
    peerage access peers contoso-corp licenses.order\n  \
    peerage access peers contoso-corp users.view --filter 'home_account = accounts/contoso-msp' -o json\n  \
    peerage access permissions emily@contosomsp.com contoso-corp --filter 'privileged = true'\n\n\
    What is not listed is DENY; `peerage authorize` says why. Asking about others needs `access.check`\n\
    on the account: of another peer you see the accounts on which you hold it.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Lists the accounts on which a peer may do something
    Accounts {
        /// Who would act: a user name, a uid, or `me`
        peer: String,
        /// What they would do, as `resource.action`
        permission: String,
        /// Lists this account and what is below it alone
        #[arg(long, value_name = "ACCOUNT")]
        under: Option<String>,
        /// Such as `kind = CUSTOMER`
        #[arg(long, default_value = "")]
        filter: String,
        #[command(flatten)]
        options: Options,
    },
    /// Lists the peers that may do something on an account
    Peers {
        /// The account they would do it on
        account: String,
        /// What they would do, as `resource.action`
        permission: String,
        /// Such as `kind = PERSON AND home_account = accounts/contoso-msp`
        #[arg(long, default_value = "")]
        filter: String,
        #[command(flatten)]
        options: Options,
    },
    /// Lists what a peer may do on an account, and by which role
    Permissions {
        /// Who would act: a user name, a uid, or `me`
        peer: String,
        /// The account they would act on
        account: String,
        /// Such as `resource = licenses`, `feature = "License management"` or `privileged = true`
        #[arg(long, default_value = "")]
        filter: String,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(Debug, Args)]
struct Options {
    /// Lists what is answered so alone; without it, everything but DENY
    #[arg(long, value_enum, ignore_case = true)]
    decision: Option<Decision>,
    /// Waits for the newest policy, as after a change on another server
    #[arg(long)]
    latest: bool,
    #[command(flatten)]
    limit: page::Limit,
}

impl Options {
    fn consistency(&self) -> Option<pb::Consistency> {
        let latest = pb::consistency::Requirement::Latest(true);
        self.latest.then_some(pb::Consistency { requirement: Some(latest) })
    }

    fn filter(&self, typed: &str) -> String {
        let decision = self.decision.map(|decision| format!("decision = {}", pb::Decision::of(decision.number())));
        // Comparisons are joined by AND alone, so that none has to be put in parentheses.
        let parts = Some(typed.to_owned()).filter(|typed| !typed.is_empty()).into_iter().chain(decision);
        parts.collect::<Vec<_>>().join(" AND ")
    }
}

pub(crate) async fn run(arguments: Arguments, server: &Server, format: Format) -> anyhow::Result<ExitCode> {
    let connection = Connection::open(server).await?;
    match arguments.question {
        Question::Accounts { peer, permission, under, filter, options } => {
            let request = pb::ListAccessibleAccountsRequest {
                peer: names::peer(&peer),
                permission,
                root_account: under.as_deref().map(names::account).unwrap_or_default(),
                filter: options.filter(&filter),
                consistency: options.consistency(),
                ..Default::default()
            };
            accounts(&connection, request, options.limit, format).await?;
        }
        Question::Peers { account, permission, filter, options } => {
            let request = pb::ListAuthorizedPeersRequest {
                account: names::account(&account),
                permission,
                filter: options.filter(&filter),
                consistency: options.consistency(),
                ..Default::default()
            };
            peers(&connection, request, options.limit, format).await?;
        }
        Question::Permissions { peer, account, filter, options } => {
            let request = pb::ListEffectivePermissionsRequest {
                peer: names::peer(&peer),
                account: names::account(&account),
                filter: options.filter(&filter),
                consistency: options.consistency(),
                ..Default::default()
            };
            permissions(&connection, request, options.limit, format).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn accounts(
    connection: &Connection,
    query: pb::ListAccessibleAccountsRequest,
    limit: page::Limit,
    format: Format,
) -> anyhow::Result<()> {
    let mut client = connection.access();
    let rows = page::follow(limit.count, async |page_size, page_token| {
        let request = pb::ListAccessibleAccountsRequest { page_size, page_token, ..query.clone() };
        let page = client.list_accessible_accounts(request).await?.into_inner();
        Ok((page.accounts, page.next_page_token))
    })
    .await?;
    output::list(format, &rows, &["ACCOUNT", "KIND", "TITLE", "DECISION", "BINDING"], |row| {
        vec![
            names::short(&row.account).to_owned(),
            pb::AccountKind::of(row.kind),
            row.title.clone(),
            pb::Decision::of(row.decision),
            names::short(&row.role_binding).to_owned(),
        ]
    })
}

async fn peers(
    connection: &Connection,
    query: pb::ListAuthorizedPeersRequest,
    limit: page::Limit,
    format: Format,
) -> anyhow::Result<()> {
    let mut client = connection.access();
    let rows = page::follow(limit.count, async |page_size, page_token| {
        let request = pb::ListAuthorizedPeersRequest { page_size, page_token, ..query.clone() };
        let page = client.list_authorized_peers(request).await?.into_inner();
        Ok((page.peers, page.next_page_token))
    })
    .await?;
    output::list(format, &rows, &["PEER", "USER NAME", "KIND", "HOME", "DECISION", "BINDING"], |row| {
        vec![
            names::short(&row.peer).to_owned(),
            row.user_name.clone(),
            pb::PeerKind::of(row.kind),
            names::short(&row.home_account).to_owned(),
            pb::Decision::of(row.decision),
            names::short(&row.role_binding).to_owned(),
        ]
    })
}

async fn permissions(
    connection: &Connection,
    query: pb::ListEffectivePermissionsRequest,
    limit: page::Limit,
    format: Format,
) -> anyhow::Result<()> {
    let mut client = connection.access();
    let rows = page::follow(limit.count, async |page_size, page_token| {
        let request = pb::ListEffectivePermissionsRequest { page_size, page_token, ..query.clone() };
        let page = client.list_effective_permissions(request).await?.into_inner();
        Ok((page.permissions, page.next_page_token))
    })
    .await?;
    output::list(format, &rows, &["PERMISSION", "DECISION", "ROLE", "BINDING"], |row| {
        vec![
            row.permission.clone(),
            pb::Decision::of(row.decision),
            names::short(&row.role).to_owned(),
            names::short(&row.role_binding).to_owned(),
        ]
    })
}
