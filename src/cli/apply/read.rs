//! A file's tree into a [`World`]: each section, each field, with everything that is wrong in itself.
//! What stands across sections is checked by `references`.

use std::collections::HashSet;

use super::declared::Declared;
use super::grants;
use super::problems::{At, Fields, Problems, read};
use super::world::{Access, Account, Binding, Group, Member, Peer, Principal, Role, RoleRef, Titled, World};
use super::yaml::{self, Node, Value};
use crate::cli::time;
use crate::cli::words::Word;
use crate::domain::account::{self, LABELS_MAX, label_key, label_value};
use crate::domain::binding::JUSTIFICATION_MAX;
use crate::domain::ids::{AccountId, is_pack};
use crate::domain::invalid::Invalid;
use crate::domain::peer::{EMAIL_MAX, FIELD_MAX, NAME_MAX, UserName};
use crate::domain::{contact, role, text};
use crate::transport::grpc::pb;

pub(crate) const SECTIONS: [&str; 5] = ["accounts", "roles", "peers", "groups", "bindings"];
/// What `peerage test` reads of the same file; nothing of it is applied.
pub(crate) const TESTED: [&str; 2] = ["given", "tests"];

/// Reads a world file and checks all of it: what could be read, and what is wrong. What is wrong in
/// itself is not in the world.
///
/// # Errors
/// What keeps it from being read at all.
pub(super) fn world(source: &str) -> Result<(World, Problems), Problems> {
    Ok(world_of(&yaml::parse(source)?))
}

/// As [`world`], of a file that is a tree already.
pub(crate) fn world_of(root: &Node) -> (World, Problems) {
    let mut problems = Problems::default();
    let mut world = World { declared: Declared::of(root, &mut problems), ..World::default() };
    if let Some(sections) = Fields::open(root, &[&SECTIONS[..], &TESTED].concat(), &mut problems) {
        let [accounts, roles, peers, groups, bindings] = SECTIONS.map(|name| sections.node(name));
        world.accounts = items(accounts, account, &mut problems);
        world.roles = items(roles, custom_role, &mut problems);
        world.peers = items(peers, peer, &mut problems);
        world.groups = items(groups, group, &mut problems);
        world.bindings = items(bindings, binding, &mut problems);
        super::references::check(&mut world, &mut problems);
    }
    (world, problems)
}

fn items<T>(section: Option<&Node>, read: fn(&Node, &mut Problems) -> Option<T>, problems: &mut Problems) -> Vec<T> {
    let Some(section) = section else { return Vec::new() };
    let Value::List(items) = &section.value else {
        problems.add(section.line, "a section must be a list");
        return Vec::new();
    };
    items.iter().filter_map(|item| read(item, problems)).collect()
}

pub(crate) fn one_of<T>(
    parse: impl FnOnce(&str) -> Option<T>,
    choices: &'static str,
) -> impl FnOnce(&str) -> Result<T, Invalid> {
    move |text| parse(text).ok_or(Invalid::Unknown { choices })
}

fn line_of(max: usize) -> impl Fn(&str) -> Result<String, Invalid> {
    move |written| text::line(written, max)
}

pub(crate) fn account_name(written: &str) -> Result<AccountId, Invalid> {
    AccountId::parse(written.strip_prefix("accounts/").unwrap_or(written))
}

const ACCOUNT: [&str; 8] = ["id", "kind", "parent", "title", "labels", "settings", "template", "first_peer"];

fn account(node: &Node, problems: &mut Problems) -> Option<Account> {
    let mut fields = Fields::open(node, &ACCOUNT, problems)?;
    let id = fields.get("id", account_name);
    if id.as_ref().is_some_and(|id| id.value == AccountId::platform()) {
        fields.problem(node.line, "`platform` is there from the beginning and cannot be listed");
    }
    let kinds = "`PARTNER`, `CUSTOMER`, `DEPARTMENT`";
    let kind = fields.get("kind", one_of(pb::AccountKind::parse, kinds)).filter(|kind| {
        kind.value != pb::AccountKind::Platform || {
            fields.problem(kind.line, "`kind` is not one of `PARTNER`, `CUSTOMER`, `DEPARTMENT`");
            false
        }
    });
    let parent = fields.get("parent", account_name);
    let title = fields.get("title", line_of(account::TITLE_MAX));
    let labels = labels(&mut fields);
    let (role_packs, partner_access) = settings(&mut fields, kind.as_ref().map(|kind| kind.value));
    let template = fields.find("template", pack);
    let first_peer = fields.find("first_peer", UserName::parse);
    Some(Account {
        line: node.line,
        id: id?.value,
        kind: kind?.value,
        parent: parent?,
        title: title?.value,
        labels,
        role_packs,
        partner_access,
        template,
        first_peer,
    })
}

fn pack(written: &str) -> Result<String, Invalid> {
    if is_pack(written) { Ok(written.to_owned()) } else { Err(Invalid::Form { form: "a role pack such as `keepit`" }) }
}

fn labels(fields: &mut Fields<'_, '_>) -> std::collections::BTreeMap<String, String> {
    let mut labels = std::collections::BTreeMap::new();
    let Some(node) = fields.node("labels") else { return labels };
    let Value::Map(entries) = &node.value else {
        fields.problem(node.line, "`labels` must be a map such as `{ env: test }`");
        return labels;
    };
    if entries.len() > LABELS_MAX {
        fields.problem(node.line, format!("`labels` must be at most {LABELS_MAX} items long"));
    }
    for (key, value) in entries {
        let key = read("labels", key, label_key, fields.problems());
        let value = read("labels", value, label_value, fields.problems());
        if let (Some(key), Some(value)) = (key, value) {
            labels.insert(key.value, value.value);
        }
    }
    labels
}

type Settings = (Option<Vec<At<String>>>, Option<pb::PartnerAccessMode>);

fn settings(account: &mut Fields<'_, '_>, kind: Option<pb::AccountKind>) -> Settings {
    let Some(node) = account.node("settings") else { return (None, None) };
    let Some(mut fields) = Fields::open(node, &["role_packs", "partner_access"], account.problems()) else {
        return (None, None);
    };
    let packs = fields.list("role_packs", pack);
    if packs.is_some() && kind.is_some_and(|kind| kind != pb::AccountKind::Partner) {
        fields.problem(node.line, "`role_packs` stands on partners alone");
    }
    let modes = "`ALLOWED`, `SESSION_ONLY`, `BY_APPROVAL`, `BLOCKED`";
    let access = fields.find("partner_access", one_of(pb::PartnerAccessMode::parse, modes));
    if access.is_some() && kind == Some(pb::AccountKind::Department) {
        fields.problem(node.line, "`partner_access` stands on partners and customers alone");
    }
    let mut seen = HashSet::new();
    for pack in packs.iter().flatten().filter(|pack| !seen.insert(&pack.value)) {
        fields.problem(pack.line, format!("role pack `{}` stands twice in `role_packs`", pack.value));
    }
    (packs, access.map(|access| access.value))
}

const ROLE: [&str; 6] = ["owner", "title", "description", "inheritable", "grants", "rules"];

fn custom_role(node: &Node, problems: &mut Problems) -> Option<Role> {
    let mut fields = Fields::open(node, &ROLE, problems)?;
    let owner = fields.get("owner", account_name);
    let title = fields.get("title", line_of(role::TITLE_MAX));
    let description = fields.find("description", |written| text::paragraph(written, role::DESCRIPTION_MAX));
    let inheritable = fields.flag("inheritable");
    if fields.node("grants").is_none() {
        fields.problem(node.line, "lacks `grants`");
    }
    let grants = fields.node("grants").map(|grants| grants::grants(grants, fields.problems()));
    let rules = fields.node("rules").and_then(|rules| grants::rules(rules, fields.problems()));
    Some(Role {
        line: node.line,
        key: Titled { account: owner?.value, title: title?.value },
        description: description.map(|at| at.value),
        inheritable,
        grants: grants.unwrap_or_default(),
        rules,
    })
}

const PEER: [&str; 22] = [
    "user_name",
    "kind",
    "home",
    "role",
    "access",
    "justification",
    "disabled",
    "display_name",
    "first_name",
    "last_name",
    "company_name",
    "email",
    "secondary_email",
    "phone_number",
    "mobile_phone",
    "fax",
    "org_user",
    "language",
    "time_zone",
    "two_factor",
    "mail_format",
    "expire_time",
];

fn peer(node: &Node, problems: &mut Problems) -> Option<Peer> {
    let mut fields = Fields::open(node, &PEER, problems)?;
    let user_name = fields.get("user_name", UserName::parse);
    let kind = match fields.node("kind") {
        Some(_) => fields.get("kind", one_of(pb::PeerKind::parse, "`PERSON`, `DEVICE`, `INTEGRATION`")),
        None => Some(At { line: node.line, value: pb::PeerKind::Person }),
    };
    let home = fields.get("home", account_name);
    let role = fields.find("role", RoleRef::parse);
    let access = access(&mut fields);
    let justification = fields.find("justification", |written| text::paragraph(written, JUSTIFICATION_MAX));
    let disabled = fields.flag("disabled");
    let mut profile = pb::Peer::default();
    let profile_paths = self::profile(&mut fields, &mut profile);
    Some(Peer {
        line: node.line,
        user_name: user_name?.value,
        kind: kind?.value,
        home: home?,
        profile,
        profile_paths,
        role,
        access,
        justification: justification.map(|at| at.value).unwrap_or_default(),
        disabled,
    })
}

/// `all`, or a list of accounts.
fn access(fields: &mut Fields<'_, '_>) -> Option<Access> {
    let node = fields.node("access")?;
    if matches!(&node.value, Value::Text(word) if word == "all") {
        return Some(Access::All);
    }
    if !matches!(node.value, Value::List(_)) {
        fields.problem(node.line, "`access` must be `all` or a list of accounts");
        return None;
    }
    fields.list("access", account_name).map(Access::Accounts)
}

fn profile(fields: &mut Fields<'_, '_>, peer: &mut pb::Peer) -> Vec<&'static str> {
    let mut paths = Vec::new();
    let line = |max| move |written: &str| text::optional_line(written, max);
    let email = |written: &str| contact::email(written, EMAIL_MAX);
    let mut take = |key: &'static str, place: &mut String, parse: &dyn Fn(&str) -> Result<String, Invalid>| {
        // Empty clears what is there.
        let parse = |written: &str| if written.is_empty() { Ok(String::new()) } else { parse(written) };
        if let Some(written) = fields.find(key, parse) {
            *place = written.value;
            paths.push(key);
        }
    };
    take("display_name", &mut peer.display_name, &line(NAME_MAX));
    take("first_name", &mut peer.first_name, &line(NAME_MAX));
    take("last_name", &mut peer.last_name, &line(NAME_MAX));
    take("company_name", &mut peer.company_name, &line(NAME_MAX));
    take("email", &mut peer.email, &email);
    take("secondary_email", &mut peer.secondary_email, &email);
    take("phone_number", &mut peer.phone_number, &contact::phone);
    take("mobile_phone", &mut peer.mobile_phone, &contact::phone);
    take("fax", &mut peer.fax, &contact::phone);
    take("org_user", &mut peer.org_user, &line(FIELD_MAX));
    take("language", &mut peer.language, &contact::language);
    take("time_zone", &mut peer.time_zone, &contact::time_zone);
    let factors = "`NONE`, `EMAIL`, `TOTP`";
    if let Some(factor) = fields.find("two_factor", one_of(pb::TwoFactorProvider::parse, factors)) {
        peer.two_factor_provider = factor.value.into();
        paths.push("two_factor_provider");
    }
    if let Some(format) = fields.find("mail_format", one_of(pb::MailFormat::parse, "`HTML`, `PLAIN_TEXT`")) {
        peer.mail_format = format.value.into();
        paths.push("mail_format");
    }
    if let Some(expire) = fields.find("expire_time", time::parse) {
        peer.expire_time = Some(expire.value);
        paths.push("expire_time");
    }
    paths
}

fn group(node: &Node, problems: &mut Problems) -> Option<Group> {
    let mut fields = Fields::open(node, &["account", "title", "description", "members"], problems)?;
    let account = fields.get("account", account_name);
    let title = fields.get("title", line_of(crate::domain::group::TITLE_MAX));
    let limit = crate::domain::group::DESCRIPTION_MAX;
    let description = fields.find("description", |written| text::paragraph(written, limit));
    let members = items(fields.node("members"), member, fields.problems());
    Some(Group {
        line: node.line,
        key: Titled { account: account?.value, title: title?.value },
        description: description.map(|at| at.value),
        members,
    })
}

/// A user name alone, or a map with mode and window.
fn member(node: &Node, problems: &mut Problems) -> Option<Member> {
    if matches!(node.value, Value::Text(_)) {
        let peer = read("members", node, UserName::parse, problems)?;
        return Some(Member { peer, mode: pb::BindingMode::Active, start: None, expire: None });
    }
    let mut fields = Fields::open(node, &["peer", "mode", "start_time", "expire_time"], problems)?;
    let peer = fields.get("peer", UserName::parse);
    let mode = mode(&mut fields);
    let (start, expire) = window(&mut fields);
    Some(Member { peer: peer?, mode, start, expire })
}

fn mode(fields: &mut Fields<'_, '_>) -> pb::BindingMode {
    let mode = fields.find("mode", one_of(pb::BindingMode::parse, "`ACTIVE`, `ELIGIBLE`"));
    mode.map_or(pb::BindingMode::Active, |mode| mode.value)
}

type Window = (Option<prost_types::Timestamp>, Option<prost_types::Timestamp>);

fn window(fields: &mut Fields<'_, '_>) -> Window {
    let start = fields.find("start_time", time::parse).map(|at| at.value);
    let expire = fields.find("expire_time", time::parse);
    if let (Some(start), Some(expire)) = (&start, &expire)
        && (expire.value.seconds, expire.value.nanos) <= (start.seconds, start.nanos)
    {
        fields.problem(expire.line, "`expire_time` must be after `start_time`");
    }
    (start, expire.map(|at| at.value))
}

const BINDING: [&str; 9] =
    ["peer", "group", "role", "account", "reach", "mode", "start_time", "expire_time", "justification"];

fn binding(node: &Node, problems: &mut Problems) -> Option<Binding> {
    let mut fields = Fields::open(node, &BINDING, problems)?;
    let peer = fields.find("peer", |written| UserName::parse(written).map(Principal::Peer));
    let group = fields.find("group", |written| Titled::parse(written).map(Principal::Group));
    if fields.node("peer").is_some() == fields.node("group").is_some() {
        fields.problem(node.line, "needs exactly one of `peer` and `group`");
    }
    let role = fields.get("role", RoleRef::parse);
    let account = fields.get("account", account_name);
    let reach = fields.find("reach", one_of(pb::Reach::parse, "`SUBTREE`, `ACCOUNT_ONLY`"));
    let mode = mode(&mut fields);
    let (start, expire) = window(&mut fields);
    let justification = fields.find("justification", |written| text::paragraph(written, JUSTIFICATION_MAX));
    Some(Binding {
        line: node.line,
        principal: peer.or(group)?,
        role: role?,
        account: account?,
        reach: reach.map_or(pb::Reach::Subtree, |reach| reach.value),
        mode,
        start,
        expire,
        justification: justification.map(|at| at.value),
    })
}
