//! Lists of what Authorize would answer, on the wire.

use super::access::{consistency, context, outcome, owed, reason};
use super::{Fields, account, account_name, filter, page, peer, peer_name};
use crate::application::access_lists::{
    AccessibleAccount, Asked, AuthorizedPeer, EffectivePermission, ListAccessibleAccounts, ListAuthorizedPeers,
    ListEffectivePermissions, Verdict,
};
use crate::application::page::Tokens;
use crate::decision::Outcome;
use crate::domain::account::AccountKind;
use crate::domain::ids::{AccountId, is_segment};
use crate::domain::invalid::Invalid;
use crate::domain::page::size;
use crate::domain::peer::PeerKind;
use crate::domain::permission::{PermissionName, TITLE_MAX};
use crate::domain::text;
use crate::transport::grpc::pb;

/// Reads the fields that all three requests have; of a filter that cannot be read, nothing is read.
macro_rules! asked {
    ($fields:ident, $tokens:ident, $request:ident, $known:expr) => {{
        let context = context($fields, "context", $request.context.as_ref());
        let consistency = consistency($fields, $request.consistency.as_ref());
        let limit = $fields.take("page_size", size($request.page_size));
        let after = page::after($fields, $tokens, &$request.page_token);
        let read = filter::filter($fields, &$request.filter, $known);
        let is_read = read.is_some();
        let filter = read.unwrap_or_default();
        let outcome = filter.read($fields, "decision", outcome_word).filter(|_| is_read);
        let asked = || {
            let limit = usize::try_from(limit?).unwrap_or(usize::MAX);
            Some(Asked { context: context?, consistency: consistency?, outcome: outcome?, after: after?, limit })
        };
        (asked(), filter)
    }};
}

/// Reads where a peer may do something.
pub fn accounts(
    fields: &mut Fields,
    tokens: &Tokens,
    request: &pb::ListAccessibleAccountsRequest,
) -> Option<ListAccessibleAccounts> {
    let peer = fields.optional("peer", &request.peer, peer_name);
    let permission = fields.required("permission", &request.permission, PermissionName::parse);
    let root = fields.optional("root_account", &request.root_account, account_name);
    let (asked, filter) = asked!(fields, tokens, request, &["kind", "decision"]);
    let kind =
        filter.read(fields, "kind", |word| AccountKind::parse(word.strip_prefix("ACCOUNT_KIND_").unwrap_or(word)));
    Some(ListAccessibleAccounts { peer: peer?, permission: permission?, root: root?, kind: kind?, asked: asked? })
}

/// Reads who may do something on an account.
pub fn peers(
    fields: &mut Fields,
    tokens: &Tokens,
    request: &pb::ListAuthorizedPeersRequest,
) -> Option<ListAuthorizedPeers> {
    let account = fields.required("account", &request.account, account_name);
    let permission = fields.required("permission", &request.permission, PermissionName::parse);
    let (asked, filter) = asked!(fields, tokens, request, &["kind", "home_account", "decision"]);
    let kind = filter.read(fields, "kind", |word| PeerKind::parse(word.strip_prefix("PEER_KIND_").unwrap_or(word)));
    let home = filter.read(fields, "home_account", account_name);
    Some(ListAuthorizedPeers { account: account?, permission: permission?, kind: kind?, home: home?, asked: asked? })
}

/// Reads what a peer may do on an account.
pub fn permissions(
    fields: &mut Fields,
    tokens: &Tokens,
    request: &pb::ListEffectivePermissionsRequest,
) -> Option<ListEffectivePermissions> {
    let peer = fields.optional("peer", &request.peer, peer_name);
    let account = fields.required("account", &request.account, account_name);
    let (asked, filter) = asked!(fields, tokens, request, &["resource", "feature", "privileged", "decision"]);
    let resource = filter.read(fields, "resource", |resource| {
        let form = Invalid::Form { form: "the first half of a permission" };
        if is_segment(resource) { Ok(resource.to_owned()) } else { Err(form) }
    });
    let feature = filter.read(fields, "feature", |feature| text::line(feature, TITLE_MAX));
    let privileged = filter.read(fields, "privileged", filter::truth);
    Some(ListEffectivePermissions {
        peer: peer?,
        account: account?,
        resource: resource?,
        feature: feature?,
        privileged: privileged?,
        asked: asked?,
    })
}

/// Reads an answer that can stand in a list.
fn outcome_word(word: &str) -> Result<Outcome, Invalid> {
    match word.strip_prefix("DECISION_").unwrap_or(word) {
        "ALLOW" => Ok(Outcome::Allow),
        "REQUIRES_STEP_UP" => Ok(Outcome::RequiresStepUp),
        "REQUIRES_APPROVAL" => Ok(Outcome::RequiresApproval),
        _ => Err(Invalid::Unknown { choices: "ALLOW, REQUIRES_STEP_UP, REQUIRES_APPROVAL" }),
    }
}

fn binding(verdict: &Verdict) -> String {
    verdict.binding.map(|binding| format!("roleBindings/{binding}")).unwrap_or_default()
}

/// Writes an account on which a peer may act.
#[must_use]
pub fn account_to_pb(row: AccessibleAccount) -> pb::AccessibleAccount {
    pb::AccessibleAccount {
        account: format!("accounts/{}", row.account),
        title: row.title,
        kind: account::kind_to_pb(row.kind).into(),
        decision: outcome(row.verdict.decision.outcome).into(),
        reason: reason(row.verdict.decision.reason).into(),
        role_binding: binding(&row.verdict),
    }
}

/// Writes a peer that may act.
#[must_use]
pub fn peer_to_pb(row: AuthorizedPeer) -> pb::AuthorizedPeer {
    pb::AuthorizedPeer {
        peer: format!("peers/{}", row.peer),
        kind: peer::write_kind(row.kind).into(),
        home_account: row.home.as_ref().map(|home| format!("accounts/{home}")).unwrap_or_default(),
        decision: outcome(row.verdict.decision.outcome).into(),
        reason: reason(row.verdict.decision.reason).into(),
        role_binding: binding(&row.verdict),
        user_name: row.user_name,
    }
}

/// Writes what a peer may do on an account.
#[must_use]
pub fn permission_to_pb(row: &EffectivePermission, account: &AccountId) -> pb::EffectivePermission {
    pb::EffectivePermission {
        permission: row.permission.to_string(),
        decision: outcome(row.verdict.decision.outcome).into(),
        reason: reason(row.verdict.decision.reason).into(),
        role_binding: binding(&row.verdict),
        role: row.verdict.role.as_ref().map(|role| format!("roles/{role}")).unwrap_or_default(),
        obligations: owed(row.verdict.decision.unmet, &row.permission, account),
    }
}
