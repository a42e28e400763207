//! Accounts as answers: what the caller sees of them, and of that the fields it asks for.

use prost_types::FieldMask;

use super::password_policy;
use crate::application::accounts::{AccountView, Detail};
use crate::domain::account::{AccountKind, PartnerAccess, Settings, SuspensionScope};
use crate::domain::invalid::Invalid;
use crate::transport::grpc::convert::{Fields, etag_to_pb, mask, time};
use crate::transport::grpc::pb;

/// What can be asked for of an account.
const FIELDS: &[&str] = &[
    "name",
    "uid",
    "parent_account",
    "kind",
    "title",
    "labels",
    "effective_labels",
    "state",
    "suspension",
    "settings",
    "effective_settings",
    "first_peer",
    "ownership_transfer",
    "create_time",
    "update_time",
    "etag",
    "update_revision",
];
/// Reads the fields that a caller asks for: `Some(None)` stands for all, `None` for a mask that cannot be
/// read.
pub fn read_mask(fields: &mut Fields, wanted: Option<&FieldMask>) -> Option<Option<Vec<String>>> {
    let paths = wanted.map(|mask| mask.paths.as_slice()).unwrap_or_default();
    if paths.len() > mask::PATHS_MAX {
        fields.refuse("read_mask", Invalid::TooMany { max: mask::PATHS_MAX });
        return None;
    }
    if paths.is_empty() || paths == ["*"] {
        return Some(None);
    }
    if let Some(paths) = mask::unknown(paths, |path| FIELDS.contains(&path)) {
        fields.refuse("read_mask", Invalid::Paths { paths, choices: "the fields of an account" });
        return None;
    }
    Some(Some(paths.to_vec()))
}

/// Writes an account as far as the caller sees it, and of that the fields asked for.
#[must_use]
pub fn to_pb(shown: &AccountView, mask: Option<&[String]>) -> pb::Account {
    let all = match shown.detail {
        Detail::Full => full(shown),
        Detail::Outside => outside(shown),
    };
    let Some(mask) = mask else { return all };
    let mut masked = pb::Account::default();
    for path in mask {
        match path.as_str() {
            "name" => masked.name.clone_from(&all.name),
            "uid" => masked.uid.clone_from(&all.uid),
            "parent_account" => masked.parent_account.clone_from(&all.parent_account),
            "kind" => masked.kind = all.kind,
            "title" => masked.title.clone_from(&all.title),
            "labels" => masked.labels.clone_from(&all.labels),
            "effective_labels" => masked.effective_labels.clone_from(&all.effective_labels),
            "state" => masked.state = all.state,
            "suspension" => masked.suspension.clone_from(&all.suspension),
            "settings" => masked.settings.clone_from(&all.settings),
            "effective_settings" => masked.effective_settings.clone_from(&all.effective_settings),
            "first_peer" => masked.first_peer.clone_from(&all.first_peer),
            "ownership_transfer" => masked.ownership_transfer.clone_from(&all.ownership_transfer),
            "create_time" => masked.create_time = all.create_time,
            "update_time" => masked.update_time = all.update_time,
            "etag" => masked.etag.clone_from(&all.etag),
            "update_revision" => masked.update_revision = all.update_revision,
            // Read masks hold known fields only.
            _ => {}
        }
    }
    masked
}

fn outside(shown: &AccountView) -> pb::Account {
    let account = &shown.account;
    let state = if shown.suspension.is_some() { pb::AccountState::Suspended } else { pb::AccountState::Active };
    pb::Account {
        name: format!("accounts/{}", account.id),
        uid: account.id.to_string(),
        // Who sees an account from outside sees it from its parent.
        parent_account: account.parent.as_ref().map(|parent| format!("accounts/{parent}")).unwrap_or_default(),
        kind: kind_to_pb(account.kind).into(),
        title: account.title.clone(),
        state: state.into(),
        ..pb::Account::default()
    }
}

fn full(shown: &AccountView) -> pb::Account {
    let account = &shown.account;
    let suspension = shown.suspension.as_ref().map(|found| pb::Suspension {
        scope: match found.suspension.scope {
            SuspensionScope::Subtree => pb::SuspensionScope::Subtree,
            SuspensionScope::OwnPeers => pb::SuspensionScope::OwnPeers,
        }
        .into(),
        reason: found.suspension.reason.clone(),
        suspend_time: Some(time(found.suspension.suspend_time)),
        inherited: found.source != account.id,
        source_account: format!("accounts/{}", found.source),
    });
    let ownership_transfer = account.ownership_request.as_ref().map(|request| pb::OwnershipTransfer {
        new_owner: format!("peers/{}", request.new_owner),
        requester: format!("peers/{}", request.requester),
        reason: request.reason.clone(),
        request_time: Some(time(request.request_time)),
    });
    pb::Account {
        labels: account.labels.clone().into_iter().collect(),
        effective_labels: shown.effective_labels.clone().into_iter().collect(),
        suspension,
        settings: Some(settings_to_pb(&account.settings)),
        effective_settings: Some(settings_to_pb(&shown.effective_settings)),
        first_peer: account.first_peer.map(|peer| format!("peers/{peer}")).unwrap_or_default(),
        ownership_transfer,
        create_time: Some(time(account.create_time)),
        update_time: Some(time(account.update_time)),
        etag: etag_to_pb(account.version),
        update_revision: account.update_revision,
        ..outside(shown)
    }
}

/// Writes what an account is.
#[must_use]
pub const fn kind_to_pb(kind: AccountKind) -> pb::AccountKind {
    match kind {
        AccountKind::Platform => pb::AccountKind::Platform,
        AccountKind::Partner => pb::AccountKind::Partner,
        AccountKind::Customer => pb::AccountKind::Customer,
        AccountKind::Department => pb::AccountKind::Department,
    }
}

fn settings_to_pb(settings: &Settings) -> pb::AccountSettings {
    let mode = match settings.partner_access {
        None => pb::PartnerAccessMode::Unspecified,
        Some(PartnerAccess::Allowed) => pb::PartnerAccessMode::Allowed,
        Some(PartnerAccess::SessionOnly) => pb::PartnerAccessMode::SessionOnly,
        Some(PartnerAccess::ByApproval) => pb::PartnerAccessMode::ByApproval,
        Some(PartnerAccess::Blocked) => pb::PartnerAccessMode::Blocked,
    };
    pb::AccountSettings {
        partner_access: mode.into(),
        role_packs: settings.role_packs.clone().unwrap_or_default(),
        password_policy: password_policy::write(&settings.password_policy),
        ..pb::AccountSettings::default()
    }
}
