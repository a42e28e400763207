//! Peers on the wire: new peers. Lists: `list`; the fields of a profile: `profile`; changes: `update`;
//! passwords: [`password`]; photos: [`photo`]; what is answered: `show`.

mod list;
pub mod password;
pub mod photo;
mod profile;
mod show;
mod update;

pub use list::list;
pub use show::{to_pb, write_kind};
pub use update::update;

use profile::profile;

use super::Fields;
use crate::application::peers::{Access, CreatePeer};
use crate::domain::binding::JUSTIFICATION_MAX;
use crate::domain::invalid::Invalid;
use crate::domain::peer::{FIELD_MAX, PeerKind, PeerRef, PeerStatus, Profile, UserName};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::transport::grpc::pb;

/// The most accounts that a new peer is for.
const ACCESS_MAX: usize = 1000;
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
