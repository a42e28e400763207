//! Which peers a list or an export is of.

use clap::Args;

use crate::cli::names;
use crate::cli::words::{PeerKind, PeerState, Word as _};
use crate::transport::grpc::pb;

#[derive(Debug, Args)]
pub(super) struct Selection {
    /// The account whose peers are listed
    #[arg(long, default_value = "platform")]
    account: String,
    /// Lists everybody with access to the account, not those homed in it or below
    #[arg(long)]
    with_access: bool,
    #[arg(long, value_enum, ignore_case = true)]
    kind: Option<PeerKind>,
    #[arg(long, value_enum, ignore_case = true)]
    state: Option<PeerState>,
    /// Lists only peers that administer an account
    #[arg(long)]
    administrators: bool,
    /// More to filter by, such as `NOT last_login_time:* OR last_login_time < "2026-01-01T00:00:00Z"`
    #[arg(long)]
    filter: Option<String>,
    /// Lists only peers with this text in user name, full name or e-mail address
    #[arg(long, default_value = "")]
    query: String,
    /// Such as `user_name` or `last_login_time desc`
    #[arg(long, default_value = "")]
    order_by: String,
}

impl Selection {
    /// The request for the first page, with every field.
    pub(super) fn request(&self) -> pb::ListPeersRequest {
        let view = if self.with_access { pb::PeerListView::WithAccess } else { pb::PeerListView::HomeSubtree };
        pb::ListPeersRequest {
            account: names::account(&self.account),
            view: view.into(),
            filter: self.filter(),
            order_by: self.order_by.clone(),
            query: self.query.clone(),
            ..Default::default()
        }
    }

    fn filter(&self) -> String {
        let kind = self.kind.and_then(|kind| pb::PeerKind::try_from(kind.number()).ok());
        let state = self.state.and_then(|state| pb::PeerState::try_from(state.number()).ok());
        let parts = [
            kind.map(|kind| format!("kind = \"{}\"", kind.word())),
            state.map(|state| format!("state = \"{}\"", state.word())),
            self.administrators.then(|| "administrator = true".to_owned()),
            // `AND` binds loosest, so that no parentheses are needed around what was typed.
            self.filter.clone(),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" AND ")
    }
}
