//! `peerage peers`: who can act.

mod access;
mod columns;
mod export;
mod import;
mod list;
mod select;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use prost_types::{FieldMask, Timestamp};

pub(super) use import::check;

use super::connection::{Connection, Server};
use super::consent::{Consent, Loss};
use super::output::{self, Format};
use super::preview::{self, DryRun};
use super::words::{MailFormat, PeerKind, TwoFactorProvider, Word as _};
use super::{names, time};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::policy_change::Change;

/// What to do with peers.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    peerage peers list --account contoso-msp\n  \
    peerage peers list --account contoso-corp --with-access --state ENABLED\n  \
    peerage peers list --query wilson --order-by 'last_login_time desc' --columns user-name,last-login\n  \
    peerage peers get emily@contosomsp.com\n  \
    peerage peers create ana@contosomsp.com --home contoso-msp --display-name 'Ana Lima' \\\n    \
    --role opspilot365.technician --access contoso-corp\n  \
    peerage peers update ana@contosomsp.com --display-name 'Ana Lima' --two-factor TOTP\n  \
    peerage peers disable ana@contosomsp.com\n  \
    peerage peers export peers.csv --account contoso-msp\n  \
    peerage peers import peers.csv --dry-run\n\n\
    A peer may be named by user name (`ana@contosomsp.com`), by uid, or as `me`.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the peers of an account
    List(list::List),
    /// Shows one peer
    #[command(visible_alias = "show")]
    Get { peer: String },
    /// Creates a peer with a role at the accounts it is for
    Create(Box<Create>),
    /// Changes a peer's profile, user name or expiry
    Update(Box<Update>),
    /// Lets a disabled peer act again
    Enable {
        peer: String,
        #[command(flatten)]
        preview: DryRun,
    },
    /// Stops a peer; its sessions and API keys end
    Disable {
        peer: String,
        #[command(flatten)]
        preview: DryRun,
    },
    /// Deletes a peer; it can be brought back for 30 days, its API keys cannot
    Delete {
        peer: String,
        #[command(flatten)]
        consent: Consent,
    },
    /// Brings a deleted peer back, disabled
    Undelete {
        peer: String,
        #[command(flatten)]
        preview: DryRun,
    },
    /// Creates the peers of a CSV table; started again, it goes on where it was stopped
    Import(Box<import::Import>),
    /// Writes peers as a CSV table
    Export(export::Export),
}

#[derive(Debug, Args)]
struct Create {
    /// What the peer signs in with
    user_name: String,
    /// The account whose administrators manage the peer
    #[arg(long, value_name = "ACCOUNT")]
    home: String,
    #[arg(long, value_enum, ignore_case = true, default_value = "PERSON")]
    kind: PeerKind,
    /// The role it starts with
    #[arg(long)]
    role: String,
    /// An account where it holds the role, with everything below; repeat for more
    #[arg(long, value_name = "ACCOUNT", required_unless_present = "all", conflicts_with = "all")]
    access: Vec<String>,
    /// It holds the role in its home account and everywhere below
    #[arg(long)]
    all: bool,
    /// Why it needs the role, where the role asks for it
    #[arg(long, default_value = "")]
    justification: String,
    /// Creates it disabled
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    profile: Profile,
    #[command(flatten)]
    preview: DryRun,
}

#[derive(Debug, Args)]
struct Update {
    peer: String,
    /// Another user name
    #[arg(long)]
    user_name: Option<String>,
    #[command(flatten)]
    profile: Profile,
    #[command(flatten)]
    preview: DryRun,
}

macro_rules! profile {
    ($($(#[$attribute:meta])* $field:ident;)*) => {
        /// What people type in about a peer; what is not given stays as it is.
        #[derive(Debug, Args)]
        #[command(next_help_heading = "Profile")]
        struct Profile {
            $($(#[$attribute])* #[arg(long, hide_short_help = true)] $field: Option<String>,)*
            /// The second factor that the peer must use
            #[arg(long, value_enum, ignore_case = true)]
            two_factor: Option<TwoFactorProvider>,
            /// The format of mail to the peer
            #[arg(long, value_enum, ignore_case = true, hide_short_help = true)]
            mail_format: Option<MailFormat>,
            /// When the peer can no longer act, as `2027-01-01T00:00:00Z`
            #[arg(long, value_name = "TIME", value_parser = time::parse)]
            expires: Option<Timestamp>,
        }

        impl Profile {
            /// Puts what is given into a peer, and returns the paths of an update.
            fn put_into(self, peer: &mut pb::Peer) -> Vec<&'static str> {
                let mut paths = Vec::new();
                $(if let Some(value) = self.$field {
                    peer.$field = value;
                    paths.push(stringify!($field));
                })*
                if let Some(value) = self.two_factor {
                    peer.two_factor_provider = value.number();
                    paths.push("two_factor_provider");
                }
                if let Some(value) = self.mail_format {
                    peer.mail_format = value.number();
                    paths.push("mail_format");
                }
                if let Some(value) = self.expires {
                    peer.expire_time = Some(value);
                    paths.push("expire_time");
                }
                paths
            }
        }
    };
}

profile! {
    /// The name to show, or the service label of a device or integration
    display_name;
    first_name;
    last_name;
    company_name;
    /// The primary e-mail address
    email;
    /// A second e-mail address
    secondary_email;
    phone_number;
    mobile_phone;
    fax;
    /// The user of the tenant's directory that the peer is bound to
    org_user;
    /// A BCP 47 tag, such as `de-AT`
    language;
    /// Such as `Europe/Vienna`
    time_zone;
}

pub(crate) async fn run(arguments: Arguments, server: &Server, format: Format) -> anyhow::Result<ExitCode> {
    if let Action::Delete { consent, .. } = &arguments.action {
        consent.check()?;
    }
    let connection = Connection::open(server).await?;
    let mut client = connection.peers();
    let peer = match arguments.action {
        Action::List(arguments) => {
            list::run(&connection, arguments, format).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Import(arguments) => return import::run(&connection, *arguments, format).await,
        Action::Export(arguments) => return export::run(&connection, arguments, format).await,
        Action::Get { peer } => {
            client.get_peer(pb::GetPeerRequest { name: names::peer(&peer), read_mask: None }).await?
        }
        Action::Create(arguments) => {
            let is_dry_run = arguments.preview.dry_run;
            let request = create(*arguments);
            if is_dry_run {
                let call = pb::CreatePeerRequest { validate_only: true, ..request.clone() };
                let peer = client.create_peer(call).await?.into_inner();
                preview::show_made(("peer", &peer), &gains(&peer, &request), format)?;
                return Ok(ExitCode::SUCCESS);
            }
            client.create_peer(request).await?
        }
        Action::Update(arguments) => {
            let dry_run = arguments.preview.dry_run;
            let request = update(*arguments)?;
            if dry_run {
                return look(&connection, Change::UpdatePeer(request), format).await;
            }
            client.update_peer(request).await?
        }
        Action::Enable { peer, preview } => {
            let request = pb::EnablePeerRequest { name: names::peer(&peer), ..Default::default() };
            if preview.dry_run {
                return look(&connection, Change::EnablePeer(request), format).await;
            }
            client.enable_peer(request).await?
        }
        Action::Disable { peer, preview } => {
            let request = pb::DisablePeerRequest { name: names::peer(&peer), ..Default::default() };
            if preview.dry_run {
                return look(&connection, Change::DisablePeer(request), format).await;
            }
            client.disable_peer(request).await?
        }
        Action::Delete { peer, consent } => {
            let request = pb::DeletePeerRequest { name: names::peer(&peer), ..Default::default() };
            if !consent.given(format, async || loss(&connection, request.clone(), format).await).await? {
                return Ok(ExitCode::SUCCESS);
            }
            client.delete_peer(request).await?
        }
        Action::Undelete { peer, preview } => {
            let request = pb::UndeletePeerRequest { name: names::peer(&peer), ..Default::default() };
            if preview.dry_run {
                return look(&connection, Change::UndeletePeer(request), format).await;
            }
            client.undelete_peer(request).await?
        }
    };
    output::one(format, peer.get_ref())?;
    Ok(ExitCode::SUCCESS)
}

/// Shows who would gain and lose by a change, and makes none.
async fn look(connection: &Connection, change: Change, format: Format) -> anyhow::Result<ExitCode> {
    preview::show(connection, change, format).await?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the sign between the cells of a table: `,` and the like, or `\\t` for a tab.
fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [sign] if sign.is_ascii() && !matches!(sign, b'"' | b'\'' | b'\n' | b'\r') => Ok(*sign),
        _ => Err("must be one sign, such as `,` or `;`, or `\\t` for a tab".to_owned()),
    }
}

/// What a deletion would take, once the server has found nothing against it.
async fn loss(connection: &Connection, request: pb::DeletePeerRequest, format: Format) -> anyhow::Result<Loss> {
    let rights = preview::rights(connection, Change::DeletePeer(request.clone()), format).await?;
    let rehearsal = pb::DeletePeerRequest { validate_only: true, ..request };
    let peer = connection.peers().delete_peer(rehearsal).await?.into_inner();
    let what = format!(
        "deletes peer {}: its API keys end for good, and it is gone unless `peerage peers undelete` brings it back \
         within 30 days",
        peer.user_name
    );
    let details = vec![
        ("name", peer.full_name),
        ("kind", pb::PeerKind::of(peer.kind)),
        ("home", names::short(&peer.home_account).to_owned()),
        ("uid", peer.uid),
    ];
    Ok(Loss { name: peer.user_name, what, details, rights: Some(rights) })
}

/// What a new peer would have, and that nobody else has more or less by it.
fn gains(peer: &pb::Peer, request: &pb::CreatePeerRequest) -> String {
    let home = names::short(&peer.home_account);
    let places = match request.access.as_ref().and_then(|access| access.scope.as_ref()) {
        Some(pb::peer_access::Scope::Accounts(list)) => {
            list.accounts.iter().map(|account| names::short(account)).collect::<Vec<_>>().join(", ")
        }
        Some(pb::peer_access::Scope::All(_)) | None => home.to_owned(),
    };
    let disabled = if request.disabled { ", disabled, so that it can use none of that yet" } else { "" };
    format!(
        "It would make {} {} of {home}{disabled}. The peer gains role {} on {places}, with everything below; nobody \
         else gains or loses anything by it.",
        pb::PeerKind::of(peer.kind),
        peer.user_name,
        names::short(&request.role),
    )
}

fn create(arguments: Create) -> pb::CreatePeerRequest {
    let mut peer = pb::Peer {
        user_name: arguments.user_name,
        kind: arguments.kind.number(),
        home_account: names::account(&arguments.home),
        ..Default::default()
    };
    arguments.profile.put_into(&mut peer);
    let scope = if arguments.all {
        pb::peer_access::Scope::All(true)
    } else {
        let accounts = arguments.access.iter().map(|account| names::account(account)).collect();
        pb::peer_access::Scope::Accounts(pb::AccountList { accounts })
    };
    pb::CreatePeerRequest {
        peer: Some(peer),
        role: names::role(&arguments.role),
        access: Some(pb::PeerAccess { scope: Some(scope) }),
        justification: arguments.justification,
        disabled: arguments.disabled,
        ..Default::default()
    }
}

fn update(arguments: Update) -> anyhow::Result<pb::UpdatePeerRequest> {
    let mut peer = pb::Peer { name: names::peer(&arguments.peer), ..Default::default() };
    let mut paths = arguments.profile.put_into(&mut peer);
    if let Some(user_name) = arguments.user_name {
        peer.user_name = user_name;
        paths.push("user_name");
    }
    anyhow::ensure!(!paths.is_empty(), "nothing to change: name a field, such as `--display-name`");
    let update_mask = Some(FieldMask { paths: paths.into_iter().map(str::to_owned).collect() });
    Ok(pb::UpdatePeerRequest { peer: Some(peer), update_mask, ..Default::default() })
}
