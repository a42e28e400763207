//! Which permission each method needs: the first gate, as data.
//!
//! A method without a row is denied. The contract test holds this slice to the descriptor, to each
//! method's `Required permission:` comment, and, for mutating methods, to the test that proves that
//! nobody escalates through it. What a method costs, and how large its request may be, follows from
//! its row and from its name, whose first word says what it does (AIP-130).

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::telemetry::metrics::Work;

/// Who may call a method at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, without a credential: health.
    Public,
    /// Anyone with a credential.
    Authenticated,
    /// Anyone with a credential about themselves; about others, holders of this permission, which the
    /// use case checks.
    Oneself(&'static str),
    /// Callers who hold one of these permissions somewhere.
    Permission(&'static [&'static str]),
}

/// What a method does to the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// Nothing, unless it is refused.
    Read,
    /// An event in the same transaction. With the test that proves that it gives nobody more than
    /// the caller holds, or why it cannot.
    Mutation(Escalation),
}

/// How a mutating method is kept from giving more than the caller holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escalation {
    /// The test that tries.
    Test(&'static str),
    /// Why there is nothing to try.
    None(&'static str),
    /// The method is not built yet.
    NotBuilt,
}

/// One method.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The full path, such as `/peerage.v1.PeerService/CreatePeer`.
    pub method: &'static str,
    pub access: Access,
    pub audit: Audit,
}

impl Rule {
    /// The permission that the method needs, the first where several will do.
    #[must_use]
    pub fn permission(&self) -> Option<&'static str> {
        match self.access {
            Access::Public | Access::Authenticated => None,
            Access::Oneself(permission) => Some(permission),
            Access::Permission(permissions) => permissions.first().copied(),
        }
    }

    /// Whether the fields of a request say which of several permissions it needs, so that a refusal of
    /// one who holds none of them has to wait for the message.
    #[must_use]
    pub fn depends_on_fields(&self) -> bool {
        self.access == Access::Permission(UPDATE_ACCOUNT)
    }
}

const fn read(method: &'static str, permissions: &'static [&'static str]) -> Rule {
    Rule { method, access: Access::Permission(permissions), audit: Audit::Read }
}

const fn own(method: &'static str) -> Rule {
    Rule { method, access: Access::Authenticated, audit: Audit::Read }
}

const fn oneself(method: &'static str, permission: &'static str) -> Rule {
    Rule { method, access: Access::Oneself(permission), audit: Audit::Read }
}

const fn public(method: &'static str) -> Rule {
    Rule { method, access: Access::Public, audit: Audit::Read }
}

const fn mutation(method: &'static str, permissions: &'static [&'static str], test: &'static str) -> Rule {
    Rule { method, access: Access::Permission(permissions), audit: Audit::Mutation(Escalation::Test(test)) }
}

const fn harmless(method: &'static str, permissions: &'static [&'static str], why: &'static str) -> Rule {
    Rule { method, access: Access::Permission(permissions), audit: Audit::Mutation(Escalation::None(why)) }
}

const fn later(method: &'static str, permissions: &'static [&'static str]) -> Rule {
    Rule { method, access: Access::Permission(permissions), audit: Audit::Mutation(Escalation::NotBuilt) }
}

const CREATE_ACCOUNT: &[&str] = &["accounts.create_customer", "accounts.create_partner", "accounts.create_department"];
const UPDATE_ACCOUNT: &[&str] =
    &["accounts.update", "accounts.update_labels", "accounts.update_settings", "accounts.update_partner_access"];

/// Every method of every service.
pub const RULES: &[Rule] = &[
    public("/grpc.health.v1.Health/Check"),
    public("/grpc.health.v1.Health/Watch"),
    public("/grpc.health.v1.Health/List"),
    own("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    own("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
    oneself("/peerage.v1.AccountAccessService/Authorize", "access.check"),
    oneself("/peerage.v1.AccountAccessService/BatchAuthorize", "access.check"),
    oneself("/peerage.v1.AccountAccessService/ExplainAuthorization", "access.check"),
    oneself("/peerage.v1.AccountAccessService/ListAccessibleAccounts", "access.check"),
    read("/peerage.v1.AccountAccessService/ListAuthorizedPeers", &["access.check"]),
    oneself("/peerage.v1.AccountAccessService/ListEffectivePermissions", "access.check"),
    later("/peerage.v1.AccountAccessService/OpenAccountSession", &["account_sessions.open"]),
    read("/peerage.v1.AccountAccessService/ListAccountSessions", &["account_sessions.view"]),
    later("/peerage.v1.AccountAccessService/CloseAccountSession", &["account_sessions.close"]),
    mutation("/peerage.v1.PeerService/CreatePeer", &["peers.create"], "nobody_creates_a_peer_above_themselves"),
    mutation(
        "/peerage.v1.PeerService/BatchCreatePeers",
        &["peers.create"],
        "nobody_creates_a_peer_above_themselves_in_bulk",
    ),
    oneself("/peerage.v1.PeerService/GetPeer", "peers.view"),
    read("/peerage.v1.PeerService/ListPeers", &["peers.view"]),
    mutation("/peerage.v1.PeerService/UpdatePeer", &["peers.update"], "nobody_redirects_the_mail_of_a_stronger_peer"),
    harmless("/peerage.v1.PeerService/DeletePeer", &["peers.delete"], "it takes every right away"),
    mutation("/peerage.v1.PeerService/UndeletePeer", &["peers.undelete"], "nobody_restores_a_stronger_peer"),
    mutation("/peerage.v1.PeerService/EnablePeer", &["peers.enable"], "nobody_enables_a_stronger_peer"),
    harmless("/peerage.v1.PeerService/DisablePeer", &["peers.disable"], "it takes every right away"),
    later("/peerage.v1.PeerService/UnlockPeer", &["peers.unlock"]),
    own("/peerage.v1.PeerService/GeneratePassword"),
    mutation(
        "/peerage.v1.PeerService/SetPassword",
        &["peers.reset_password"],
        "nobody_sets_the_password_of_a_stronger_peer",
    ),
    later("/peerage.v1.PeerService/SendInvitation", &["peers.invite"]),
    later("/peerage.v1.PeerService/RevokeInvitation", &["peers.invite"]),
    read("/peerage.v1.PeerService/ListInvitations", &["peers.view"]),
    harmless("/peerage.v1.PeerService/SetPhoto", &["peers.update"], "a photo carries no rights"),
    oneself("/peerage.v1.PeerService/GetPhoto", "peers.view"),
    read("/peerage.v1.PeerService/ListFactors", &["peers.view"]),
    later("/peerage.v1.PeerService/RemoveFactor", &["peers.reset_factors"]),
    later("/peerage.v1.PeerService/ResetTwoFactor", &["peers.reset_factors"]),
    later("/peerage.v1.PeerService/LinkExternalIdentity", &["peers.reset_factors"]),
    later("/peerage.v1.PeerService/UnlinkExternalIdentity", &["peers.reset_factors"]),
    later("/peerage.v1.PeerService/CreateCertificateMapping", &["peers.reset_factors"]),
    read("/peerage.v1.PeerService/ListCertificateMappings", &["peers.view"]),
    later("/peerage.v1.PeerService/DeleteCertificateMapping", &["peers.reset_factors"]),
    read("/peerage.v1.PeerService/ListFindings", &["peers.view"]),
    later("/peerage.v1.PeerService/ErasePersonalData", &["peers.delete"]),
    mutation("/peerage.v1.RoleService/CreateRole", &["roles.create"], "nobody_makes_a_role_above_themselves"),
    read("/peerage.v1.RoleService/GetRole", &["roles.view"]),
    read("/peerage.v1.RoleService/ListRoles", &["roles.view"]),
    mutation("/peerage.v1.RoleService/UpdateRole", &["roles.update"], "nobody_widens_a_role_beyond_themselves"),
    harmless("/peerage.v1.RoleService/DeleteRole", &["roles.delete"], "a role that is bound cannot be deleted"),
    mutation("/peerage.v1.RoleService/CopyRole", &["roles.create"], "nobody_copies_a_role_above_themselves"),
    read("/peerage.v1.RoleService/ListPermissions", &["roles.view"]),
    mutation(
        "/peerage.v1.RoleService/RegisterPermissions",
        &["permissions.register"],
        "registering_a_permission_reports_who_gains_it",
    ),
    read("/peerage.v1.RoleService/GetPermissionMatrix", &["roles.view"]),
    mutation(
        "/peerage.v1.RoleService/CreateRoleBinding",
        &["role_bindings.create"],
        "nobody_binds_a_role_above_themselves",
    ),
    mutation(
        "/peerage.v1.RoleService/BatchCreateRoleBindings",
        &["role_bindings.create"],
        "nobody_binds_a_role_above_themselves_in_bulk",
    ),
    read("/peerage.v1.RoleService/GetRoleBinding", &["role_bindings.view"]),
    read("/peerage.v1.RoleService/ListRoleBindings", &["role_bindings.view"]),
    mutation(
        "/peerage.v1.RoleService/UpdateRoleBinding",
        &["role_bindings.update"],
        "nobody_prolongs_a_binding_beyond_their_own",
    ),
    mutation(
        "/peerage.v1.RoleService/DeleteRoleBinding",
        &["role_bindings.delete"],
        "nobody_lifts_a_deny_that_binds_them",
    ),
    read("/peerage.v1.RoleService/PreviewChange", &["policy.preview"]),
    read("/peerage.v1.RoleService/ExportPolicy", &["policy.export"]),
    mutation("/peerage.v1.RoleService/ImportPolicy", &["policy.import"], "nobody_imports_a_policy_above_themselves"),
    harmless("/peerage.v1.RoleService/CreateGroup", &["groups.create"], "a new group holds nothing"),
    read("/peerage.v1.RoleService/GetGroup", &["groups.view"]),
    read("/peerage.v1.RoleService/ListGroups", &["groups.view"]),
    harmless("/peerage.v1.RoleService/UpdateGroup", &["groups.update"], "titles carry no rights"),
    mutation("/peerage.v1.RoleService/DeleteGroup", &["groups.delete"], "nobody_deletes_a_group_to_lift_its_deny"),
    mutation(
        "/peerage.v1.RoleService/AddGroupMember",
        &["groups.update_members"],
        "nobody_joins_a_group_above_themselves",
    ),
    mutation(
        "/peerage.v1.RoleService/RemoveGroupMember",
        &["groups.update_members"],
        "nobody_leaves_a_group_to_lift_its_deny",
    ),
    read("/peerage.v1.RoleService/ListGroupMembers", &["groups.view"]),
    mutation(
        "/peerage.v1.AccountService/CreateAccount",
        CREATE_ACCOUNT,
        "nobody_creates_a_first_peer_above_themselves",
    ),
    read("/peerage.v1.AccountService/GetAccount", &["accounts.view"]),
    read("/peerage.v1.AccountService/ListAccounts", &["accounts.view"]),
    mutation("/peerage.v1.AccountService/UpdateAccount", UPDATE_ACCOUNT, "nobody_relabels_an_account_into_more_rights"),
    mutation("/peerage.v1.AccountService/MoveAccount", &["accounts.move"], "nobody_moves_an_account_under_themselves"),
    harmless("/peerage.v1.AccountService/SuspendAccount", &["accounts.suspend"], "it only limits"),
    harmless(
        "/peerage.v1.AccountService/ResumeAccount",
        &["accounts.resume"],
        "suspension limits the use of rights, not the rights, and only the parent's administrators lift it",
    ),
    harmless("/peerage.v1.AccountService/DeleteAccount", &["accounts.delete"], "it takes every right away"),
    harmless(
        "/peerage.v1.AccountService/RequestOwnershipTransfer",
        &["accounts.request_ownership_transfer"],
        "a request changes nothing until the operator completes it",
    ),
    mutation(
        "/peerage.v1.AccountService/TransferOwnership",
        &["accounts.transfer_ownership"],
        "only_the_operator_transfers_ownership",
    ),
    later("/peerage.v1.AccountService/CreateIdentityProvider", &["identity_providers.create"]),
    read("/peerage.v1.AccountService/GetIdentityProvider", &["identity_providers.view"]),
    read("/peerage.v1.AccountService/ListIdentityProviders", &["identity_providers.view"]),
    later("/peerage.v1.AccountService/UpdateIdentityProvider", &["identity_providers.update"]),
    later("/peerage.v1.AccountService/DeleteIdentityProvider", &["identity_providers.delete"]),
    mutation(
        "/peerage.v1.AuthenticationService/CreateApiKey",
        &["api_keys.create"],
        "nobody_makes_a_key_of_a_stronger_peer",
    ),
    read("/peerage.v1.AuthenticationService/ListApiKeys", &["api_keys.view"]),
    harmless("/peerage.v1.AuthenticationService/RevokeApiKey", &["api_keys.revoke"], "it takes a credential away"),
    read("/peerage.v1.AuditService/ListAuditEvents", &["audit.view"]),
    read("/peerage.v1.AuditService/WatchAuditEvents", &["audit.view"]),
    harmless(
        "/peerage.v1.AuditService/RecordEvents",
        &["audit.record"],
        "it records what was done elsewhere and changes no right",
    ),
];

/// How large a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Decisions,
    Calls,
    Bulk,
}

impl Rule {
    /// What kind of work a call is; `None` is answered whatever else goes on.
    fn work(&self) -> Option<Work> {
        let name = self.name();
        let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
        if self.access == Access::Public {
            None
        } else if DECISIONS.contains(&name) {
            Some(Work::Decisions)
        } else if HASHING.contains(&name) {
            Some(Work::Hashing)
        } else if STREAMS.contains(&name) {
            Some(Work::Streams)
        } else if begins(&["List", "Explain", "PreviewChange"]) {
            Some(Work::Lists)
        } else {
            match self.audit {
                Audit::Read => Some(Work::Reads),
                Audit::Mutation(_) => Some(Work::Writes),
            }
        }
    }

    /// How large a request may be.
    fn size(&self) -> Size {
        let name = self.name();
        if self.method.starts_with("/peerage.v1.AccountAccessService/") {
            Size::Decisions
        } else if name.starts_with("Batch") || BULK.contains(&name) {
            Size::Bulk
        } else {
            Size::Calls
        }
    }

    fn name(&self) -> &'static str {
        self.method.rsplit('/').next().unwrap_or_default()
    }
}

/// Methods that answer from the snapshot alone.
const DECISIONS: &[&str] = &["Authorize", "BatchAuthorize"];
/// Methods that hash a password, or compare one.
const HASHING: &[&str] = &[
    "SetPassword",
    "ChangePassword",
    "ResetPassword",
    "AcceptInvitation",
    "SignIn",
    "CompleteSignIn",
    "Reauthenticate",
];
/// Methods that answer for as long as the caller listens.
const STREAMS: &[&str] = &["ServerReflectionInfo", "WatchAuditEvents", "ExportAuditEvents", "ExportPolicy"];
/// Methods whose requests carry a picture or a whole file.
const BULK: &[&str] = &["SetPhoto", "ImportPolicy", "PreviewChange", "RecordEvents"];

/// A method's rule, and what follows from it.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    pub rule: &'static Rule,
    /// Where the rule stands in [`RULES`].
    pub place: usize,
    /// What kind of work a call is; `None` is answered whatever else goes on.
    pub work: Option<Work>,
    pub size: Size,
}

/// Every rule by its method, so that a call finds its own in one step.
static FOUND: LazyLock<HashMap<&'static str, Found, foldhash::fast::RandomState>> = LazyLock::new(|| {
    let found = |(place, rule): (usize, &'static Rule)| Found { rule, place, work: rule.work(), size: rule.size() };
    RULES.iter().enumerate().map(found).map(|found| (found.rule.method, found)).collect()
});

/// The rule of a method.
#[must_use]
pub fn find(method: &str) -> Option<&'static Found> {
    FOUND.get(method)
}
