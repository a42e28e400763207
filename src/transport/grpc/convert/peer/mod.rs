//! Peers on the wire: new peers and lists. The fields of a profile: `profile`; changes: `update`;
//! passwords: [`password`]; photos: [`photo`]; what is answered: `show`.

pub mod password;
pub mod photo;
mod profile;
mod show;
mod update;

pub use show::to_pb;
pub use update::update;

use profile::profile;

use super::{Fields, filter};
use crate::application::peers::{Access, CreatePeer, ListPeers, ListView};
use crate::domain::binding::JUSTIFICATION_MAX;
use crate::domain::invalid::Invalid;
use crate::domain::peer::{FIELD_MAX, PeerKind, PeerRef, PeerStatus, Profile, UserName};
use crate::domain::time::Timestamp;
use crate::domain::{page, text};
use crate::transport::grpc::pb;

/// The most accounts that a new peer is for.
const ACCESS_MAX: usize = 1000;
/// What a list of peers can be filtered by one day, and now.
const FILTERS: &[&str] = &[
    "kind",
    "state",
    "home_account",
    "default_role",
    "administrator",
    "two_factor_provider",
    "microsoft_account_status",
    "mail_format",
    "require_external_login",
    "org_user",
    "last_login_time",
    "last_active_time",
    "create_time",
    "expire_time",
];
const FILTERS_BUILT: &[&str] = &["kind", "state"];

/// What every new peer comes with, whichever method makes it.
#[derive(Debug)]
pub struct PeerInput {
    pub user_name: UserName,
    pub kind: PeerKind,
    pub profile: Profile,
    pub expire_time: Option<Timestamp>,
    pub person: Option<PeerRef>,
}

/// Reads a new peer, all but its home; `at` is the path of the message.
pub fn input(fields: &mut Fields, at: &str, peer: &pb::Peer, now: Timestamp) -> Option<PeerInput> {
    let user_name = fields.required(format!("{at}.user_name"), &peer.user_name, UserName::parse);
    let kind = fields.take(format!("{at}.kind"), kind(peer.kind));
    let profile = profile(fields, at, peer, |_| true);
    let expire_time = fields.time(format!("{at}.expire_time"), peer.expire_time.as_ref());
    if let Some(Some(end)) = expire_time
        && end <= now
    {
        fields.refuse(format!("{at}.expire_time"), Invalid::Order { other: "the current time" });
    }
    let person = fields.optional(format!("{at}.person"), &peer.person, super::peer_name);
    Some(PeerInput { user_name: user_name?, kind: kind?, profile, expire_time: expire_time?, person: person? })
}

/// Reads a wish for a peer.
pub fn create(fields: &mut Fields, request: &pb::CreatePeerRequest, now: Timestamp) -> Option<CreatePeer> {
    let home_and_input = match &request.peer {
        Some(peer) => {
            let home = fields.required("peer.home_account", &peer.home_account, super::account_name);
            home.zip(input(fields, "peer", peer, now))
        }
        None => {
            fields.refuse("peer", Invalid::Missing);
            None
        }
    };
    let role = fields.required("role", &request.role, super::role_name);
    let access = access(fields, request.access.as_ref());
    let justification = fields.take("justification", text::paragraph(&request.justification, JUSTIFICATION_MAX));
    fields.unsupported("send_invitation", request.send_invitation);
    let password = password::first(fields, request);
    let (home, input) = home_and_input?;
    Some(CreatePeer {
        user_name: input.user_name,
        kind: input.kind,
        home,
        profile: input.profile,
        expire_time: input.expire_time,
        person: input.person,
        status: if request.disabled { PeerStatus::Disabled } else { PeerStatus::Enabled },
        role: role?,
        access: access?,
        justification: justification?,
        password: password?,
    })
}

fn access(fields: &mut Fields, access: Option<&pb::PeerAccess>) -> Option<Access> {
    let list = match access.and_then(|access| access.scope.as_ref()) {
        Some(pb::peer_access::Scope::All(true)) => return Some(Access::All),
        Some(pb::peer_access::Scope::All(false)) => {
            fields.refuse("access.all", Invalid::NotAllowed { why: "it is true, or left out" });
            return None;
        }
        Some(pb::peer_access::Scope::Accounts(list)) => &list.accounts,
        None => {
            fields.refuse("access", Invalid::Missing);
            return None;
        }
    };
    if list.is_empty() {
        fields.refuse("access.accounts.accounts", Invalid::Empty);
        return None;
    }
    if list.len() > ACCESS_MAX {
        fields.refuse("access.accounts.accounts", Invalid::TooMany { max: ACCESS_MAX });
        return None;
    }
    let mut accounts = Vec::with_capacity(list.len());
    let mut known = std::collections::BTreeSet::new();
    for (place, name) in list.iter().enumerate() {
        let path = format!("access.accounts.accounts[{place}]");
        if !known.insert(name) {
            fields.refuse(path, Invalid::Duplicate { value: name.chars().take(FIELD_MAX).collect() });
            continue;
        }
        accounts.extend(fields.required(path, name, super::account_name));
    }
    (accounts.len() == list.len()).then_some(Access::Accounts(accounts))
}

fn kind(kind: i32) -> Result<PeerKind, Invalid> {
    match pb::PeerKind::try_from(kind) {
        Ok(pb::PeerKind::Person) => Ok(PeerKind::Person),
        Ok(pb::PeerKind::Device) => Ok(PeerKind::Device),
        Ok(pb::PeerKind::Integration) => Ok(PeerKind::Integration),
        Ok(pb::PeerKind::Unspecified) => Err(Invalid::Missing),
        Err(_) => Err(Invalid::Unknown { choices: "PERSON, DEVICE, INTEGRATION" }),
    }
}

/// Reads a list of peers, all but its page token.
pub fn list(fields: &mut Fields, request: &pb::ListPeersRequest) -> Option<ListPeers> {
    let account = fields.required("account", &request.account, super::account_name);
    let view = match pb::PeerListView::try_from(request.view) {
        Ok(pb::PeerListView::Unspecified | pb::PeerListView::HomeSubtree) => Some(ListView::HomeSubtree),
        Ok(pb::PeerListView::WithAccess) => Some(ListView::WithAccess),
        Err(_) => fields.take("view", Err(Invalid::Unknown { choices: "HOME_SUBTREE, WITH_ACCESS" })),
    };
    let limit = fields.take("page_size", page::size(request.page_size));
    let filter = filter::filter(fields, &request.filter, FILTERS);
    let is_later = |filter: &filter::Filter| {
        FILTERS.iter().any(|field| filter.get(field).is_some() && !FILTERS_BUILT.contains(field))
    };
    fields.unsupported("filter", filter.as_ref().is_some_and(is_later));
    let filter = filter.unwrap_or_default();
    let kind = filter.read(fields, "kind", kind_word);
    let status = filter.read(fields, "state", state_word);
    fields.unsupported("order_by", !request.order_by.is_empty());
    fields.unsupported("read_mask", is_masked(request.read_mask.as_ref()));
    fields.unsupported("query", !request.query.is_empty());
    fields.unsupported("count_total", request.count_total);
    Some(ListPeers {
        account: account?,
        view: view?,
        kind: kind?,
        status: status?,
        show_deleted: request.show_deleted,
        after: None,
        limit: usize::try_from(limit?).unwrap_or(usize::MAX),
    })
}

/// Whether a mask asks for some fields only.
#[must_use]
pub fn is_masked(mask: Option<&prost_types::FieldMask>) -> bool {
    mask.is_some_and(|mask| !mask.paths.is_empty() && mask.paths != ["*"])
}

fn kind_word(word: &str) -> Result<PeerKind, Invalid> {
    match word.strip_prefix("PEER_KIND_").unwrap_or(word) {
        "PERSON" => Ok(PeerKind::Person),
        "DEVICE" => Ok(PeerKind::Device),
        "INTEGRATION" => Ok(PeerKind::Integration),
        _ => Err(Invalid::Unknown { choices: "PERSON, DEVICE, INTEGRATION" }),
    }
}

fn state_word(word: &str) -> Result<PeerStatus, Invalid> {
    match word.strip_prefix("PEER_STATE_").unwrap_or(word) {
        "ENABLED" => Ok(PeerStatus::Enabled),
        "DISABLED" => Ok(PeerStatus::Disabled),
        "DELETED" => Ok(PeerStatus::Deleted),
        _ => Err(Invalid::Unknown { choices: "ENABLED, DISABLED, DELETED" }),
    }
}
