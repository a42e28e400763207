//! What a world file says, once it is read: valid in itself, not yet compared with any server.
//!
//! What the file leaves out is `None` and is left alone on the server.

use std::collections::BTreeMap;

use prost_types::Timestamp;

use super::declared::Declared;
use super::problems::At;
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::peer::UserName;
use crate::domain::text;
use crate::transport::grpc::pb;

/// A whole file.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// What the file has, be it right or wrong.
    pub(crate) declared: Declared,
    /// Parents come before their children.
    pub(crate) accounts: Vec<Account>,
    pub(crate) roles: Vec<Role>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) groups: Vec<Group>,
    pub(crate) bindings: Vec<Binding>,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) line: u64,
    pub(crate) id: AccountId,
    pub(crate) kind: pb::AccountKind,
    pub(crate) parent: At<AccountId>,
    pub(crate) title: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) role_packs: Option<Vec<At<String>>>,
    pub(crate) partner_access: Option<pb::PartnerAccessMode>,
    /// The pack whose account template applies at creation.
    pub(crate) template: Option<At<String>>,
    /// One of the peers, made together with the account.
    pub(crate) first_peer: Option<At<UserName>>,
}

/// A custom role; owner and title are its key.
#[derive(Debug)]
pub(crate) struct Role {
    pub(crate) line: u64,
    pub(crate) key: Titled,
    pub(crate) description: Option<String>,
    pub(crate) inheritable: Option<bool>,
    pub(crate) grants: Vec<pb::Grant>,
    pub(crate) rules: Option<pb::RoleRules>,
}

/// A peer; the user name is its key.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) line: u64,
    pub(crate) user_name: UserName,
    pub(crate) kind: pb::PeerKind,
    pub(crate) home: At<AccountId>,
    /// The profile fields that the file names, by their path, and their values.
    pub(crate) profile: pb::Peer,
    pub(crate) profile_paths: Vec<&'static str>,
    pub(crate) role: Option<At<RoleRef>>,
    pub(crate) access: Option<Access>,
    pub(crate) justification: String,
    pub(crate) disabled: Option<bool>,
}

/// Where a peer holds its role.
#[derive(Debug)]
pub(crate) enum Access {
    /// At home and everywhere below.
    All,
    Accounts(Vec<At<AccountId>>),
}

/// A privilege group; account and title are its key.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) line: u64,
    pub(crate) key: Titled,
    pub(crate) description: Option<String>,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) peer: At<UserName>,
    pub(crate) mode: pb::BindingMode,
    pub(crate) start: Option<Timestamp>,
    pub(crate) expire: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) line: u64,
    pub(crate) principal: At<Principal>,
    pub(crate) role: At<RoleRef>,
    pub(crate) account: At<AccountId>,
    pub(crate) reach: pb::Reach,
    pub(crate) mode: pb::BindingMode,
    pub(crate) start: Option<Timestamp>,
    pub(crate) expire: Option<Timestamp>,
    pub(crate) justification: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Principal {
    Peer(UserName),
    Group(Titled),
}

/// What has no id before the server made it: an owner account and a title, written `owner/title`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Titled {
    pub(crate) account: AccountId,
    pub(crate) title: String,
}

impl Titled {
    /// Reads `owner/title`.
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        let (account, title) = written.split_once('/').ok_or("must look like `account/title`")?;
        Ok(Self {
            account: AccountId::parse(account).map_err(|error| error.to_string())?,
            title: text::line(title, crate::domain::role::TITLE_MAX).map_err(|error| error.to_string())?,
        })
    }

    /// The form in which titles are compared.
    pub(crate) fn folded(&self) -> (String, String) {
        (self.account.to_string(), text::fold(&self.title))
    }

    pub(crate) fn show(&self) -> String {
        format!("{}/{}", self.account, self.title)
    }
}

/// A role: a built-in one by its id, a custom one by owner and title.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RoleRef {
    Id(RoleId),
    Titled(Titled),
}

impl RoleRef {
    /// Reads `pack.role`, the id of a custom role, or `owner/title`.
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        let id = written.strip_prefix("roles/").unwrap_or(written);
        match RoleId::parse(id) {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => Titled::parse(written)
                .map(Self::Titled)
                .map_err(|_| "must look like `pack.role`, or `account/title` for a custom role".to_owned()),
        }
    }

    pub(crate) fn show(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Titled(titled) => titled.show(),
        }
    }
}
