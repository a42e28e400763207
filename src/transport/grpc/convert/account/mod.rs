//! Accounts on the wire: requests that make or change one, here; lists and answers beside.

mod list;
mod password_policy;
mod shown;

use std::collections::BTreeMap;

use super::{Fields, mask, peer};
use crate::application::accounts::create::{CreateAccount, FirstPeer};
use crate::application::accounts::update::{UpdateAccount, Wish};
use crate::application::packs::Packs;
use crate::application::peers::NewPeer;
use crate::domain::account::{
    AccountKind, LABELS_MAX, PACKS_MAX, PartnerAccess, REASON_MAX, Settings, SuspensionScope, TITLE_MAX, label_key,
    label_value,
};
use crate::domain::binding::JUSTIFICATION_MAX;
use crate::domain::ids::{AccountId, is_pack};
use crate::domain::invalid::Invalid;
use crate::domain::peer::PeerStatus;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::transport::grpc::pb;

pub use list::list;
pub use shown::{kind_to_pb, read_mask, to_pb};

/// What can be changed of an account.
const PATHS: &[&str] = &[
    "title",
    "labels",
    "settings",
    "settings.partner_access",
    "settings.role_packs",
    "settings.password_policy",
    "settings.password_policy.min_length",
    "settings.password_policy.max_age",
    "settings.password_policy.history_size",
];

/// Reads a wish for an account.
pub fn create(
    fields: &mut Fields,
    request: &pb::CreateAccountRequest,
    packs: &Packs,
    now: Timestamp,
) -> Option<CreateAccount> {
    let id = fields.required("account_id", &request.account_id, AccountId::parse);
    let template = fields.optional("template", &request.template, pack_id);
    let first_peer = match &request.first_peer {
        Some(first) => first_peer(fields, first, &request.account_id, now).map(Some),
        None => Some(None),
    };
    let Some(account) = &request.account else {
        fields.refuse("account", Invalid::Missing);
        return None;
    };
    let parent = fields.required("account.parent_account", &account.parent_account, super::account_name);
    let kind = fields.take("account.kind", kind(account.kind));
    let title = fields.required("account.title", &account.title, |title| text::line(title, TITLE_MAX));
    let labels = labels(fields, account);
    let settings = settings(fields, account.settings.as_ref(), packs);
    Some(CreateAccount {
        id: id?,
        parent: parent?,
        kind: kind?,
        title: title?,
        labels: labels?,
        settings: settings?,
        template: template?,
        first_peer: first_peer?,
    })
}

fn first_peer(fields: &mut Fields, first: &pb::FirstPeer, account: &str, now: Timestamp) -> Option<FirstPeer> {
    let role = fields.optional("first_peer.role", &first.role, super::role_name);
    let justification =
        fields.take("first_peer.justification", text::paragraph(&first.justification, JUSTIFICATION_MAX));
    let Some(message) = &first.peer else {
        fields.refuse("first_peer.peer", Invalid::Missing);
        return None;
    };
    let home = message.home_account.strip_prefix("accounts/").unwrap_or(&message.home_account);
    if !home.is_empty() && home != account {
        let why = Invalid::NotAllowed { why: "the new account is its home" };
        fields.refuse("first_peer.peer.home_account", why);
    }
    let input = peer::input(fields, "first_peer.peer", message, now);
    // Where the id cannot be read, it is named already.
    let home = AccountId::parse(account).ok()?;
    let input = input?;
    let peer = NewPeer {
        user_name: input.user_name,
        kind: input.kind,
        home,
        profile: input.profile,
        expire_time: input.expire_time,
        person: None,
        status: PeerStatus::Enabled,
        default_role: None,
    };
    Some(FirstPeer { peer, person: input.person, role: role?, justification: justification? })
}

/// The permission that a change needs, as far as its message alone tells: that of the first field in
/// its mask, or of those that are set where there is none.
#[must_use]
pub fn update_permission(request: &pb::UpdateAccountRequest) -> &'static str {
    const LABELS: &str = "accounts.update_labels";
    const SETTINGS: &str = "accounts.update_settings";
    let paths = request.update_mask.as_ref().map(|mask| mask.paths.as_slice()).unwrap_or_default();
    match (paths.first().map(String::as_str), &request.account) {
        (Some("labels"), _) => LABELS,
        (Some("settings.partner_access"), _) => "accounts.update_partner_access",
        (Some(path), _) if path.split('.').next() == Some("settings") => SETTINGS,
        (None, Some(account)) if account.title.is_empty() && !account.labels.is_empty() => LABELS,
        (None, Some(account)) if account.title.is_empty() && account.settings.is_some() => SETTINGS,
        (Some(_) | None, _) => "accounts.update",
    }
}

/// Reads a wish to change an account.
pub fn update(fields: &mut Fields, request: &pb::UpdateAccountRequest, packs: &Packs) -> Option<UpdateAccount> {
    let justification = fields.take("justification", text::paragraph(&request.justification, REASON_MAX));
    let Some(account) = &request.account else {
        fields.refuse("account", Invalid::Missing);
        return None;
    };
    let id = fields.required("account.name", &account.name, super::account_name);
    let etag = fields.take("account.etag", super::etag(&account.etag));
    let own = account.settings.clone().unwrap_or_default();
    let passwords = own.password_policy.unwrap_or_default();
    let mask = mask::update(fields, request.update_mask.as_ref(), PATHS, |path| match path {
        "title" => !account.title.is_empty(),
        "labels" => !account.labels.is_empty(),
        "settings.partner_access" => own.partner_access != 0,
        "settings.role_packs" => !own.role_packs.is_empty(),
        "settings.password_policy.min_length" => passwords.min_length.is_some(),
        "settings.password_policy.max_age" => passwords.max_age.is_some(),
        "settings.password_policy.history_size" => passwords.history_size.is_some(),
        _ => false,
    });
    let named = request.update_mask.iter().flat_map(|mask| &mask.paths);
    let named: Vec<&str> = named.map(String::as_str).collect();
    let wish = |path: &str| mask.has(path).then(|| named.contains(&path));
    let title = match wish("title") {
        Some(is_named) => {
            let title = fields.required("account.title", &account.title, |title| text::line(title, TITLE_MAX));
            title.map(|value| Some(Wish { value, is_named }))
        }
        None => Some(None),
    };
    let labels = match wish("labels") {
        Some(is_named) => labels(fields, account).map(|value| Some(Wish { value, is_named })),
        None => Some(None),
    };
    let settings = settings(fields, account.settings.as_ref(), packs);
    let parent = fields.optional("account.parent_account", &account.parent_account, super::account_name);
    let kind = if account.kind == 0 { Some(None) } else { fields.take("account.kind", kind(account.kind)).map(Some) };
    let settings = settings?;
    // A mask that lists fields leaves the others out, also those that never change.
    let states_all = named.is_empty() || named == ["*"];
    Some(UpdateAccount {
        id: id?,
        etag: etag?,
        title: title?,
        labels: labels?,
        partner_access: wish("settings.partner_access")
            .map(|is_named| Wish { value: settings.partner_access, is_named }),
        role_packs: wish("settings.role_packs").map(|is_named| Wish { value: settings.role_packs, is_named }),
        min_length: wish("settings.password_policy.min_length")
            .map(|is_named| Wish { value: settings.password_policy.min_length, is_named }),
        max_age: wish("settings.password_policy.max_age")
            .map(|is_named| Wish { value: settings.password_policy.max_age, is_named }),
        history_size: wish("settings.password_policy.history_size")
            .map(|is_named| Wish { value: settings.password_policy.history_size, is_named }),
        parent: parent?.filter(|_| states_all),
        kind: kind?.filter(|_| states_all),
        justification: justification?,
    })
}

fn labels(fields: &mut Fields, account: &pb::Account) -> Option<BTreeMap<String, String>> {
    if account.labels.len() > LABELS_MAX {
        fields.refuse("account.labels", Invalid::TooMany { max: LABELS_MAX });
        return None;
    }
    let mut sorted: Vec<_> = account.labels.iter().collect();
    sorted.sort();
    let mut labels = Some(BTreeMap::new());
    for (key, value) in sorted {
        // A key that cannot be one is not repeated in the answer.
        let known = fields.take("account.labels", label_key(key));
        let value = known.as_ref().and_then(|key| fields.take(format!("account.labels.{key}"), label_value(value)));
        match (known, value, &mut labels) {
            (Some(key), Some(value), Some(labels)) => {
                labels.insert(key, value);
            }
            _ => labels = None,
        }
    }
    labels
}

fn settings(fields: &mut Fields, settings: Option<&pb::AccountSettings>, packs: &Packs) -> Option<Settings> {
    const AT: &str = "account.settings";
    let Some(settings) = settings else { return Some(Settings::default()) };
    fields.unsupported(format!("{AT}.sign_in_policy"), settings.sign_in_policy.is_some());
    fields.unsupported(format!("{AT}.session_policy"), settings.session_policy.is_some());
    fields.unsupported(format!("{AT}.elevation_policy"), settings.elevation_policy.is_some());
    fields.unsupported(format!("{AT}.mail_sender"), settings.mail_sender.is_some());
    let partner_access = fields.take(format!("{AT}.partner_access"), partner_access(settings.partner_access));
    let role_packs = role_packs(fields, &format!("{AT}.role_packs"), &settings.role_packs, packs);
    let password_policy =
        password_policy::read(fields, &format!("{AT}.password_policy"), settings.password_policy.as_ref());
    Some(Settings { partner_access: partner_access?, role_packs: role_packs?, password_policy: password_policy? })
}

fn role_packs(fields: &mut Fields, at: &str, listed: &[String], packs: &Packs) -> Option<Option<Vec<String>>> {
    if listed.len() > PACKS_MAX {
        fields.refuse(at, Invalid::TooMany { max: PACKS_MAX });
        return None;
    }
    let mut known: Vec<String> = Vec::with_capacity(listed.len());
    for (place, pack) in listed.iter().enumerate() {
        let at = format!("{at}[{place}]");
        let read = pack_id(pack).and_then(|pack| {
            if !packs.contains(&pack) {
                Err(Invalid::Unknown { choices: "the packs of this release" })
            } else if known.contains(&pack) {
                Err(Invalid::Duplicate { value: pack })
            } else {
                Ok(pack)
            }
        });
        known.extend(fields.take(at, read));
    }
    let is_whole = known.len() == listed.len();
    is_whole.then(|| (!known.is_empty()).then_some(known))
}

fn pack_id(text: &str) -> Result<String, Invalid> {
    if is_pack(text) { Ok(text.to_owned()) } else { Err(Invalid::Form { form: "the id of a pack" }) }
}

fn kind(kind: i32) -> Result<AccountKind, Invalid> {
    match pb::AccountKind::try_from(kind) {
        Ok(pb::AccountKind::Platform) => Ok(AccountKind::Platform),
        Ok(pb::AccountKind::Partner) => Ok(AccountKind::Partner),
        Ok(pb::AccountKind::Customer) => Ok(AccountKind::Customer),
        Ok(pb::AccountKind::Department) => Ok(AccountKind::Department),
        Ok(pb::AccountKind::Unspecified) => Err(Invalid::Missing),
        Err(_) => Err(Invalid::Unknown { choices: "PARTNER, CUSTOMER, DEPARTMENT" }),
    }
}

fn partner_access(mode: i32) -> Result<Option<PartnerAccess>, Invalid> {
    match pb::PartnerAccessMode::try_from(mode) {
        Ok(pb::PartnerAccessMode::Unspecified) => Ok(None),
        Ok(pb::PartnerAccessMode::Allowed) => Ok(Some(PartnerAccess::Allowed)),
        Ok(pb::PartnerAccessMode::SessionOnly) => Ok(Some(PartnerAccess::SessionOnly)),
        Ok(pb::PartnerAccessMode::ByApproval) => Ok(Some(PartnerAccess::ByApproval)),
        Ok(pb::PartnerAccessMode::Blocked) => Ok(Some(PartnerAccess::Blocked)),
        Err(_) => Err(Invalid::Unknown { choices: "ALLOWED, SESSION_ONLY, BY_APPROVAL, BLOCKED" }),
    }
}

/// Reads what a suspension stops.
///
/// # Errors
/// [`Invalid`] where it is not said, or unknown.
pub fn suspension_scope(scope: i32) -> Result<SuspensionScope, Invalid> {
    match pb::SuspensionScope::try_from(scope) {
        Ok(pb::SuspensionScope::Subtree) => Ok(SuspensionScope::Subtree),
        Ok(pb::SuspensionScope::OwnPeers) => Ok(SuspensionScope::OwnPeers),
        Ok(pb::SuspensionScope::Unspecified) => Err(Invalid::Missing),
        Err(_) => Err(Invalid::Unknown { choices: "SUBTREE, OWN_PEERS" }),
    }
}

/// Reads a reason that must be given.
///
/// # Errors
/// [`Invalid`] naming what is wrong with it.
pub fn reason(reason: &str) -> Result<String, Invalid> {
    let reason = text::paragraph(reason, REASON_MAX)?;
    if reason.is_empty() { Err(Invalid::Missing) } else { Ok(reason) }
}
