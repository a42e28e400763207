//! Making an account below another, with its first peer as the pack's template says.
//!
//! The template's role of the first peer may be one that nobody can assign, such as an owner: this is
//! where such a binding begins (rule 11 of DESIGN 8).

use super::{AccountView, VIEW, changes, effective, missing, name, record, shown};
use crate::application::bindings::{self, NewBinding};
use crate::application::context::{Call, Ctx};
use crate::application::error::{Error, Precondition, Result, Taken};
use crate::application::guard::{Permit, View};
use crate::application::packs::Packs;
use crate::application::peers::{self, NewPeer};
use crate::application::write::Write;
use crate::domain::account::{Account, AccountKind, Settings};
use crate::domain::audit::{Change, Personal, Target, Text};
use crate::domain::binding::{Mode, Principal, Reach};
use crate::domain::fact::Fact;
use crate::domain::ids::{AccountId, RoleId};
use crate::domain::peer::{Peer, PeerRef};
use crate::domain::time::Window;
use crate::storage::{self, Constraint, StoreError, facts};

/// Why the first peer needs its role, where nobody says.
const FIRST_PEER: &str = "first peer of the account";

/// What a new account is to be.
#[derive(Debug, Clone)]
pub struct CreateAccount {
    pub id: AccountId,
    pub parent: AccountId,
    pub kind: AccountKind,
    pub title: String,
    pub labels: std::collections::BTreeMap<String, String>,
    pub settings: Settings,
    /// The pack whose template applies.
    pub template: Option<String>,
    pub first_peer: Option<FirstPeer>,
}

/// The peer that is made with an account.
#[derive(Debug, Clone)]
pub struct FirstPeer {
    pub peer: NewPeer,
    /// Another peer of the same human.
    pub person: Option<PeerRef>,
    /// `None` takes the role of the template.
    pub role: Option<RoleId>,
    pub justification: String,
}

/// Makes an account.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Denied`], [`Error::Escalation`]; [`Error::AlreadyExists`] where the id
/// was ever used or the first peer's user name is; [`Error::Precondition`] where a rule forbids it.
pub async fn create(ctx: &Ctx, call: &Call, request: CreateAccount) -> Result<AccountView> {
    let mut write = Write::begin(ctx, call).await?;
    if let Some(done) = write.repeated().await? {
        return Ok(done);
    }
    let permit = admit(&write.view()?, &request)?;
    if storage::accounts::id_taken(write.connection(), &request.id).await? {
        return Err(taken(&request.id));
    }
    let inherited = effective(write.view()?.snapshot, permit.account());
    let plan = plan(&ctx.packs, &wish(&request), &inherited)?;
    let mut account = Account {
        id: request.id,
        parent: Some(request.parent),
        kind: request.kind,
        title: request.title,
        labels: request.labels,
        suspension: None,
        settings: plan.settings,
        first_peer: None,
        ownership_request: None,
        create_time: write.now(),
        update_time: write.now(),
        version: 1,
        update_revision: 0,
    };
    write.change(&permit, None, Some(Fact::Account(facts::account(&account))));
    // The snapshot refuses a tree that cannot be before the rows are touched.
    write.after()?;
    account.update_revision = write.revision();
    storage::accounts::insert(write.connection(), &account).await.map_err(|error| id_taken(error, &account.id))?;
    let first = match request.first_peer {
        Some(first) => Some(first_peer(&mut write, &permit, &account.id, first, plan.role)?),
        None => None,
    };
    if let Some((peer, _)) = &first {
        account.first_peer = Some(peer.id);
        storage::accounts::update(write.connection(), &account).await?;
    }
    audit(&mut write, &permit, &account, first.as_ref())?;
    let result = shown(&write, account).await?;
    write.commit(result).await
}

fn admit(view: &View<'_>, request: &CreateAccount) -> Result<Permit> {
    let permission = match request.kind {
        AccountKind::Partner => "accounts.create_partner",
        AccountKind::Customer => "accounts.create_customer",
        AccountKind::Department => "accounts.create_department",
        AccountKind::Platform => {
            return Err(Error::precondition(Precondition::AccountKindNotAllowed, name(&request.id)));
        }
    };
    let parent = view.snapshot.find_account(request.parent.as_str()).ok_or_else(|| missing(&request.parent))?;
    let permit = view.admit(VIEW, permission, parent, ("account", &name(&request.parent)))?;
    let kind = view.snapshot.account(parent).map(|record| record.kind);
    if !kind.is_some_and(|kind| kind.may_hold(request.kind)) {
        return Err(Error::precondition(Precondition::AccountKindNotAllowed, name(&request.id)));
    }
    Ok(permit)
}

/// What is said of a new account that a template has to do with.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    pub id: &'a AccountId,
    pub kind: AccountKind,
    pub settings: &'a Settings,
    /// The pack whose template applies.
    pub template: Option<&'a str>,
    /// Whether there is a first peer, and the role that is named for it.
    pub first_peer: Option<Option<&'a RoleId>>,
}

fn wish(request: &CreateAccount) -> Wish<'_> {
    Wish {
        id: &request.id,
        kind: request.kind,
        settings: &request.settings,
        template: request.template.as_deref(),
        first_peer: request.first_peer.as_ref().map(|first| first.role.as_ref()),
    }
}

/// What the template makes of a wish.
#[derive(Debug, Clone)]
pub struct Plan {
    pub settings: Settings,
    /// The first peer's role, and whether it is the template's.
    pub role: Option<(RoleId, RoleSource)>,
}

/// Where the role of a first peer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleSource {
    Template,
    Request,
}

/// What comes of a wish for an account, below one where `inherited` holds.
///
/// # Errors
/// [`Error::Precondition`] where its settings have no place there, or no template says what is to be.
pub fn plan(packs: &Packs, request: &Wish<'_>, inherited: &Settings) -> Result<Plan> {
    let refuse = |reason| Error::precondition(reason, name(request.id));
    if request.settings.misplaced_on(request.kind).is_some() {
        return Err(refuse(Precondition::SettingNotAllowed));
    }
    if !request.settings.looser_than(inherited).is_empty() {
        return Err(refuse(Precondition::SettingLoosened));
    }
    let switched_on = request.settings.under(inherited).role_packs;
    let named_role = request.first_peer.flatten();
    let needs_role = request.first_peer.is_some() && named_role.is_none();
    let choice = Choice { kind: request.kind, switched_on: switched_on.as_deref(), named: request.template };
    let template = choice.template(packs, needs_role)?;
    let mut settings = request.settings.clone();
    if let Some(floor) = template.partner_access {
        // A request may tighten what the template sets, and what is inherited may be tighter already.
        if settings.partner_access.is_some_and(|wanted| wanted < floor) {
            return Err(refuse(Precondition::SettingLoosened));
        }
        if inherited.partner_access < Some(floor) {
            settings.partner_access = settings.partner_access.or(Some(floor));
        }
    }
    let role = match (named_role, template.role) {
        (Some(role), Some(from_template)) if *role == from_template => Some((from_template, RoleSource::Template)),
        (Some(role), _) => Some((role.clone(), RoleSource::Request)),
        (None, Some(role)) => Some((role, RoleSource::Template)),
        (None, None) => None,
    };
    if needs_role && role.is_none() {
        return Err(refuse(Precondition::TemplateNotAvailable));
    }
    Ok(Plan { settings, role })
}

/// By what a template is chosen.
struct Choice<'a> {
    kind: AccountKind,
    switched_on: Option<&'a [String]>,
    named: Option<&'a str>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Chosen {
    role: Option<RoleId>,
    partner_access: Option<crate::domain::account::PartnerAccess>,
}

impl Choice<'_> {
    /// The template that applies. Where several do and none is named, it is no matter if the request
    /// needs no role of it and all set the same.
    fn template(&self, packs: &Packs, needs_role: bool) -> Result<Chosen> {
        let chosen = match packs.template(self.kind, self.switched_on, self.named) {
            Ok(template) => template,
            Err(error @ Error::Precondition { reason: Precondition::TemplateAmbiguous, .. }) if !needs_role => {
                let mut settings = packs
                    .iter()
                    .filter_map(|pack| packs.template(self.kind, self.switched_on, Some(&pack.id)).ok().flatten())
                    .map(|template| template.partner_access);
                let first = settings.next().flatten();
                if settings.any(|other| other != first) {
                    return Err(error);
                }
                return Ok(Chosen { role: None, partner_access: first });
            }
            Err(error) => return Err(error),
        };
        Ok(chosen.map_or_else(Chosen::default, |template| Chosen {
            role: Some(template.first_peer_role.clone()),
            partner_access: template.partner_access,
        }))
    }
}

/// Makes the first peer and binds its role on the account and everything below.
fn first_peer(
    write: &mut Write<'_>,
    permit: &Permit,
    account: &AccountId,
    first: FirstPeer,
    role: Option<(RoleId, RoleSource)>,
) -> Result<(Peer, RoleId)> {
    let refuse = || Error::precondition(Precondition::TemplateNotAvailable, name(account));
    let (role, source) = role.ok_or_else(refuse)?;
    let person = match &first.person {
        Some(person) => Some(linked(&write.view()?, person)?),
        None => None,
    };
    let new = NewPeer { home: account.clone(), person, default_role: Some(role.clone()), ..first.peer };
    let peer = peers::make(write, permit, new)?;
    // Only the template's own role may be one that cannot be assigned otherwise.
    if source == RoleSource::Template {
        write.change_ownership();
    }
    let justification = if first.justification.is_empty() { FIRST_PEER.to_owned() } else { first.justification };
    let binding = NewBinding {
        principal: Principal::Peer(peer.id),
        role: role.clone(),
        account: account.clone(),
        reach: Reach::Subtree,
        mode: Mode::Active,
        window: Window::ALWAYS,
        justification,
    };
    bindings::make(write, permit, binding)?;
    Ok((peer, role))
}

/// The peer that the first peer is linked to, which the caller must be able to view.
fn linked(view: &View<'_>, person: &PeerRef) -> Result<crate::domain::ids::PeerId> {
    let missing = || Error::not_found("peer", crate::application::guard::peer_name(person));
    let index = match view.admit_peer("peers.view", person) {
        Ok((index, _)) => index,
        Err(Error::Denied { .. }) => return Err(missing()),
        Err(error) => return Err(error),
    };
    view.snapshot.peer_id(index).ok_or_else(missing)
}

fn audit(write: &mut Write<'_>, permit: &Permit, account: &Account, first: Option<&(Peer, RoleId)>) -> Result<()> {
    let mut found = changes(None, account)?;
    let public =
        |field: &str, value: String| Change { field: field.to_owned(), before: None, after: Some(Text::public(value)) };
    found.push(public("kind", account.kind.as_str().to_owned()));
    found.extend(account.parent.as_ref().map(|parent| public("parent_account", name(parent))));
    found.extend(first.map(|(peer, _)| public("first_peer", format!("peers/{}", peer.id))));
    record(write, account, &[permit.account()], "accounts.create")?.changes = found;
    let Some((peer, role)) = first else { return Ok(()) };
    let index = write.after()?.find_account(account.id.as_str()).ok_or_else(|| missing(&account.id))?;
    let target = Target::new("peer", Text::public(format!("peers/{}", peer.id)));
    let draft = write.act(index, "peers.create", target)?;
    draft.target.display_name = Some(Personal::new(peer.user_name.as_str()));
    draft.changes = vec![
        Change { field: "user_name".to_owned(), before: None, after: Some(Text::personal(peer.user_name.as_str())) },
        public("kind", peer.kind.as_str().to_owned()),
        public("role", format!("roles/{role}")),
    ];
    Ok(())
}

fn taken(id: &AccountId) -> Error {
    Error::AlreadyExists { what: Taken::AccountId, name: name(id) }
}

fn id_taken(error: StoreError, id: &AccountId) -> Error {
    match error.constraint() {
        Some(Constraint::AccountId) => taken(id),
        _ => Error::Store(error),
    }
}
