//! The second gate: may this caller do this on this very account?
//!
//! A caller who may not even view a thing learns nothing about it: missing and forbidden are the
//! same NOT_FOUND. Mutating functions demand a [`Permit`], which only this module makes, so that an
//! unchecked path does not compile.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::context::Caller;
use super::error::{Error, Precondition, Result, Unauthenticated};
use crate::decision::evaluate::{Decision, Outcome, Query, Reason, evaluate, evaluate_unsuspended, subject_fault};
use crate::decision::holdings::Holdings;
use crate::decision::{AccountIndex, PeerIndex, PermissionIndex, Snapshot};
use crate::domain::context::Context;
use crate::domain::ids::AccountId;
use crate::domain::peer::{PeerRef, user_name_hash};
use crate::domain::role::Requirements;
use crate::domain::time::Timestamp;

/// Proof that the caller may do what `permission` names on `account`.
#[derive(Debug, Clone)]
pub struct Permit {
    permission: &'static str,
    account: AccountIndex,
}

impl Permit {
    #[must_use]
    pub const fn permission(&self) -> &'static str {
        self.permission
    }

    #[must_use]
    pub const fn account(&self) -> AccountIndex {
        self.account
    }
}

/// What a caller sees, at one revision and one time.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub snapshot: &'a Snapshot,
    pub actor: PeerIndex,
    /// Where the caller acts from.
    pub source: Option<IpAddr>,
    pub now: Timestamp,
}

impl<'a> View<'a> {
    /// The view of a caller whose key counts and who can act at all. Whoever looks at the policy anew,
    /// after a wait or under the lock, asks this again: the key may be revoked by then.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where the key is gone or expired, or its peer is gone, disabled,
    /// expired or its home suspended.
    pub fn of_caller(snapshot: &'a Snapshot, caller: &Caller, now: Timestamp) -> Result<Self> {
        let (view, found) = Self::of_key(snapshot, caller.key_hash, caller.source_address, now)?;
        if found == *caller { Ok(view) } else { Err(Error::Unauthenticated(Unauthenticated::CredentialUnknown)) }
    }

    /// The view of whoever presents a key, by its hash, from an address.
    ///
    /// # Errors
    /// As [`View::of_caller`].
    pub fn of_key(
        snapshot: &'a Snapshot,
        key_hash: [u8; 32],
        source_address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(Self, Caller)> {
        let unknown = || Error::Unauthenticated(Unauthenticated::CredentialUnknown);
        let key = snapshot.find_api_key(&key_hash).ok_or_else(unknown)?;
        if key.expire_time.is_some_and(|end| end <= now) {
            return Err(Error::Unauthenticated(Unauthenticated::CredentialExpired));
        }
        let peer = snapshot.peer_id(key.peer).ok_or_else(unknown)?;
        let view = Self { snapshot, actor: key.peer, source: source_address, now };
        view.check_actor()?;
        Ok((view, Caller { peer, api_key: key.id, key_hash, source_address }))
    }

    fn check_actor(&self) -> Result<()> {
        let peer = self.snapshot.peer(self.actor);
        let fault = match peer {
            Some(peer) => subject_fault(self.snapshot, &peer, self.now),
            None => Some(Reason::SubjectUnknown),
        };
        match fault {
            None => Ok(()),
            Some(Reason::SubjectDisabled) => Err(Error::Unauthenticated(Unauthenticated::PeerDisabled)),
            Some(Reason::SubjectExpired) => Err(Error::Unauthenticated(Unauthenticated::PeerExpired)),
            Some(Reason::SubjectHomeSuspended) => Err(Error::Unauthenticated(Unauthenticated::HomeSuspended)),
            Some(
                Reason::SubjectUnknown
                | Reason::SubjectSessionEnded
                | Reason::Allowed
                | Reason::StepUpRequired
                | Reason::ApprovalRequired
                | Reason::AccountSuspended
                | Reason::DenyGrant
                | Reason::PartnerAccessSessionRequired
                | Reason::PartnerAccessBlocked
                | Reason::EligibleNotActive
                | Reason::MissingAttribute
                | Reason::NoMatchingGrant,
            ) => Err(Error::Unauthenticated(Unauthenticated::CredentialUnknown)),
        }
    }

    /// What is known of the caller's own circumstances. Administration has no resource with attributes.
    const fn context(&self) -> Context {
        Context { attributes: BTreeMap::new(), source_address: self.source }
    }

    const fn query<'c>(&self, permission: PermissionIndex, account: AccountIndex, context: &'c Context) -> Query<'c> {
        Query { peer: Some(self.actor), permission, account, now: self.now, context }
    }

    /// What Authorize would answer to the caller about itself; `None` for an unknown permission.
    #[must_use]
    pub fn decide(&self, permission: &str, account: AccountIndex) -> Option<Decision> {
        let permission = self.snapshot.find_permission(permission)?;
        Some(evaluate(self.snapshot, &self.query(permission, account, &self.context())))
    }

    /// Whether the caller holds the permission here, with or without more to do, and only suspension
    /// keeps it from use.
    #[must_use]
    fn is_held_up_by_suspension(&self, permission: &str, account: AccountIndex) -> bool {
        let Some(permission) = self.snapshot.find_permission(permission) else { return false };
        let context = self.context();
        let query = self.query(permission, account, &context);
        evaluate(self.snapshot, &query).reason == Reason::AccountSuspended
            && evaluate_unsuspended(self.snapshot, &query).outcome != Outcome::Deny
    }

    /// Whether the caller may, without more.
    #[must_use]
    pub fn may(&self, permission: &str, account: AccountIndex) -> bool {
        self.decide(permission, account).is_some_and(|decision| decision.is_allowed())
    }

    /// Whether the caller may, without more, if no suspension of the account stood in the way.
    #[must_use]
    pub fn may_unsuspended(&self, permission: &str, account: AccountIndex) -> bool {
        let Some(permission) = self.snapshot.find_permission(permission) else { return false };
        evaluate_unsuspended(self.snapshot, &self.query(permission, account, &self.context())).is_allowed()
    }

    /// Whether the caller may do something anywhere: the first gate, before anything is looked up.
    ///
    /// It asks about the accounts where the caller holds bindings, which is where a right starts.
    #[must_use]
    pub fn may_anywhere(&self, permission: &str) -> bool {
        let Some(index) = self.snapshot.find_permission(permission) else { return false };
        self.snapshot
            .held(self.actor)
            .filter_map(|held| self.snapshot.role(held.binding.role))
            .any(|role| role.compiled.names(index))
    }

    /// The caller may do this here, and may know that "here" exists.
    ///
    /// # Errors
    /// [`Error::NotFound`] of `(kind, name)` where the caller may not `view`; [`Error::Denied`] where
    /// it may view and not do; [`Precondition::AccountSuspended`] where nothing but suspension, which
    /// the caller may know of, stands in the way: that is a state and no lack of rights.
    pub fn admit(
        &self,
        view: &'static str,
        permission: &'static str,
        account: AccountIndex,
        (kind, name): (&'static str, &str),
    ) -> Result<Permit> {
        let decision = self.decide(permission, account);
        if decision.is_some_and(|decision| decision.is_allowed()) {
            return Ok(Permit { permission, account });
        }
        let id = self.snapshot.account_id(account);
        if let Some(id) = id
            && self.is_held_up_by_suspension(permission, account)
            && self.may("accounts.view", account)
        {
            return Err(Error::precondition(Precondition::AccountSuspended, format!("accounts/{id}")));
        }
        match (self.may(view, account), id) {
            (true, Some(id)) => Err(Error::Denied {
                permission,
                account: id.clone(),
                unmet: decision.map_or_else(Requirements::default, |decision| match decision.outcome {
                    Outcome::RequiresStepUp | Outcome::RequiresApproval => decision.unmet,
                    Outcome::Allow | Outcome::Deny => Requirements::default(),
                }),
            }),
            _ => Err(Error::not_found(kind, name)),
        }
    }

    /// The account of an id, if the caller may view it or do `permission` there.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is missing or not to be seen; [`Error::Denied`] as
    /// [`View::admit`].
    pub fn admit_at(&self, permission: &'static str, id: &AccountId) -> Result<Permit> {
        let name = format!("accounts/{id}");
        let account = self.snapshot.find_account(id.as_str()).ok_or_else(|| Error::not_found("account", &*name))?;
        self.admit("accounts.view", permission, account, ("account", &name))
    }

    /// The peer that a request names, whether or not the caller may see it.
    #[must_use]
    pub fn find_peer(&self, peer: &PeerRef) -> Option<PeerIndex> {
        match peer {
            PeerRef::Id(id) => self.snapshot.find_peer(*id),
            PeerRef::Me => Some(self.actor),
            PeerRef::UserName(name) => self.snapshot.find_user_name(user_name_hash(&name.key())),
        }
    }

    /// The caller may do this to a peer, judged at the peer's home.
    ///
    /// # Errors
    /// As [`View::admit`].
    pub fn admit_peer(&self, permission: &'static str, peer: &PeerRef) -> Result<(PeerIndex, Permit)> {
        let name = peer_name(peer);
        let missing = || Error::not_found("peer", &*name);
        let index = self.find_peer(peer).ok_or_else(missing)?;
        let home = self.snapshot.peer(index).ok_or_else(missing)?.home();
        let permit = self.admit("peers.view", permission, home, ("peer", &name))?;
        Ok((index, permit))
    }

    /// Whether the caller operates the platform: it may hand ownership from one peer to another.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        let root = self.snapshot.find_account(AccountId::platform().as_str());
        root.is_some_and(|root| self.may("accounts.transfer_ownership", root))
    }

    /// What the caller holds, to be compared with what it would give by changes that lead to `after`.
    #[must_use]
    pub fn holdings(&self, after: &'a Snapshot) -> Holdings<'a> {
        Holdings::of(self.snapshot, after, self.actor, self.now)
    }
}

/// How a request spelled a peer, for messages about it.
#[must_use]
pub fn peer_name(peer: &PeerRef) -> String {
    match peer {
        PeerRef::Id(id) => format!("peers/{id}"),
        PeerRef::Me => "peers/me".to_owned(),
        PeerRef::UserName(name) => format!("peers/@{}", name.as_str()),
    }
}
