//! Why a decision comes out as it does, or came out in the past; and who may see which part.
//!
//! Whoever may ask Authorize may ask this. What belongs to the question itself is shown to all of them;
//! names of things that happen to be involved, as bindings of an account above or the home of a
//! partner's peer, are shown to whoever may view those now. About oneself there is nothing to hide.
//!
//! INVARIANT: the past never widens what is seen. Who may ask, and which names are shown, follows from
//! the caller's rights of now, over the tree of now; about an account that is gone, from the nearest
//! account above it, as it stood then, that is still there. Account ids are never given twice.

mod sight;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use sight::Eyes;

use super::authorize::{self, Answer, Found, Subject, find_subject, is_bound_on_path, may_check_everywhere};
use super::context::{Call, Ctx};
use super::error::{Error, Result};
use super::guard::View;
use super::page::{Page, Wanted};
use super::past::{self, At};
use crate::decision::compile::Compiler;
use crate::decision::explain::{Assignable, Check, Suggestion, explain, suggest};
use crate::decision::snapshot::RoleRecord;
use crate::decision::{AccountIndex, Decision, Outcome, PeerIndex, PermissionIndex, Query, Reason, Snapshot, evaluate};
use crate::domain::binding::Reach;
use crate::domain::context::Context;
use crate::domain::ids::{AccountId, PeerId, RoleId};
use crate::domain::peer::{PeerRef, user_name_hash};
use crate::domain::role::{Effect, RoleRules};
use crate::domain::time::Timestamp;

pub use sight::{ShownBinding, ShownCheck, ShownEntry};

/// The most roles that are tried as something to bind.
const ROLES_MAX: usize = 5;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Ask {
    pub subject: Subject,
    pub permission: String,
    pub account: AccountId,
    pub context: Context,
    pub at: Option<At>,
    pub page: Wanted<Place>,
}

/// Where a page of a trace begins. All pages are of one revision and one moment, about one subject.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Place {
    revision: i64,
    time: Timestamp,
    peer: Option<PeerId>,
    next: usize,
}

/// A page of an explanation.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The facts that were decided on.
    pub snapshot: Arc<Snapshot>,
    /// The subject, in their numbers.
    pub subject: Option<PeerIndex>,
    pub answer: Answer,
    /// When windows were judged.
    pub time: Timestamp,
    pub is_first_page: bool,
    pub checks: Vec<ShownCheck>,
    pub suggestions: Vec<Suggestion>,
    pub entries: Page<ShownEntry, Place>,
    pub total: usize,
}

/// The facts that are decided on, and when.
#[derive(Clone)]
struct Then {
    snapshot: Arc<Snapshot>,
    time: Timestamp,
    /// Whether the past is asked about, not a page of the present that has become the past.
    is_past: bool,
}

/// Explains a decision.
///
/// # Errors
/// As [`authorize::decide`], and those of [`past::snapshot_at`].
pub async fn explain_decision(ctx: &Ctx, call: &Call, ask: &Ask) -> Result<Explained> {
    let then = then(ctx, ask).await?;
    // Rights are looked at after every wait.
    let current = if then.is_past || ask.page.after.is_some() { ctx.snapshot() } else { Arc::clone(&then.snapshot) };
    let view = View::of_caller(&current, &call.caller, ctx.clock.now())?;
    let asked = Asked::admit(ctx, &view, &then, ask)?;
    let Some(asked) = asked else {
        return Ok(nothing(then, None, Reason::NoMatchingGrant));
    };
    if asked.has_ended {
        let mut ended = nothing(then, None, Reason::SubjectSessionEnded);
        ended.checks = [(Check::SubjectKnown, true), (Check::CredentialLive, false)]
            .map(|(check, passed)| ShownCheck { check, passed, account: None, access: None, expire: None })
            .into();
        return Ok(ended);
    }
    let query = asked.query(&then, &ask.context);
    let is_helped = !then.is_past && ask.page.after.is_none();
    let mut suggestions = match evaluate(&then.snapshot, &query).outcome {
        Outcome::Deny | Outcome::RequiresStepUp | Outcome::RequiresApproval if is_helped => {
            let roles = assignable(&query, &Eyes { view: &view, then: &then.snapshot, asked: &asked });
            suggestions(&then, &asked, &ask.context, roles).await?
        }
        Outcome::Allow | Outcome::Deny | Outcome::RequiresStepUp | Outcome::RequiresApproval => Vec::new(),
    };
    let explanation = explain(&then.snapshot, &query);
    let eyes = Eyes { view: &view, then: &then.snapshot, asked: &asked };
    suggestions.retain(|one| one.alterations.iter().all(|alteration| eyes.sees_change(alteration, &explanation)));
    let mut decision = explanation.decision;
    decision.deciding = decision.deciding.filter(|_| eyes.sees_decider(&explanation));
    let total = explanation.entries.len();
    let first = ask.page.after.map_or(0, |place| place.next);
    let shown = explanation.entries.iter().skip(first).take(ask.page.limit);
    let items: Vec<ShownEntry> = shown.map(|entry| eyes.entry(entry, &explanation)).collect();
    let next = first.saturating_add(items.len());
    let place = Place { revision: then.snapshot.revision(), time: then.time, peer: asked.id, next };
    let is_first_page = ask.page.after.is_none();
    Ok(Explained {
        subject: asked.subject,
        answer: Answer { decision, revision: then.snapshot.revision() },
        time: then.time,
        is_first_page,
        checks: explanation.checks.iter().filter(|_| is_first_page).map(|checked| eyes.check(checked)).collect(),
        suggestions,
        entries: Page { items, next: (next < total).then_some(place) },
        total,
        snapshot: Arc::clone(&then.snapshot),
    })
}

/// A denial of which nothing more is said.
fn nothing(then: Then, subject: Option<PeerIndex>, reason: Reason) -> Explained {
    let answer = Answer { decision: Decision::deny(reason), revision: then.snapshot.revision() };
    Explained {
        snapshot: then.snapshot,
        subject,
        answer,
        time: then.time,
        is_first_page: true,
        checks: Vec::new(),
        suggestions: Vec::new(),
        entries: Page::default(),
        total: 0,
    }
}

/// The facts that are asked about.
async fn then(ctx: &Ctx, ask: &Ask) -> Result<Then> {
    if let Some(place) = ask.page.after {
        let snapshot = past::snapshot_at(ctx, place.revision).await?;
        return Ok(Then { snapshot, time: place.time, is_past: ask.at.is_some() });
    }
    let Some(at) = ask.at else {
        return Ok(Then { snapshot: ctx.snapshot(), time: ctx.clock.now(), is_past: false });
    };
    let moment = past::moment(ctx, at).await?;
    let snapshot = past::snapshot_at(ctx, moment.revision).await?;
    Ok(Then { snapshot, time: moment.time, is_past: true })
}

/// A question of a caller who may ask it.
#[derive(Clone)]
struct Asked {
    /// Whoever has that name, whether or not the caller may know of it.
    id: Option<PeerId>,
    /// The subject as it stands in the facts that are decided on, as far as the caller may know.
    subject: Option<PeerIndex>,
    has_ended: bool,
    is_self: bool,
    permission: PermissionIndex,
    account: AccountIndex,
    /// The accounts above the asked one, today.
    above: BTreeSet<AccountId>,
}

impl Asked {
    /// The question, unless the caller gets a denial about itself of which nothing may be said.
    fn admit(ctx: &Ctx, view: &View<'_>, then: &Then, ask: &Ask) -> Result<Option<Self>> {
        let snapshot = &*then.snapshot;
        let permission = snapshot
            .find_permission(&ask.permission)
            .ok_or_else(|| Error::PermissionUnknown { field: "permission".to_owned(), name: ask.permission.clone() })?;
        let (id, has_ended) = subject(ctx, view, then, ask);
        let is_self = id.is_some() && id == view.snapshot.peer_id(view.actor);
        let account = snapshot.find_account(ask.account.as_str());
        let judged = nearest(view.snapshot, snapshot, &ask.account);
        let is_let_in = is_self || judged.is_some_and(|judged| view.may(authorize::CHECK, judged));
        let account = match account {
            Some(account) if is_let_in => account,
            None if is_self && !may_check_everywhere(view) => return Ok(None),
            _ => return Err(Error::not_found("account", format!("accounts/{}", ask.account))),
        };
        let found = id.and_then(|id| snapshot.find_peer(id));
        let is_bound = found.is_some_and(|peer| is_bound_on_path(snapshot, peer, account));
        if is_self && !is_bound && !has_ended {
            return Ok(None);
        }
        let above = judged.map(|judged| view.snapshot.path(judged)).into_iter();
        let above = above.flat_map(|path| path.as_slice().to_vec());
        let above = above.filter_map(|account| view.snapshot.account_id(account).cloned());
        Ok(Some(Self {
            id,
            // One who holds nothing here and is not the caller's to see is as unknown as one who is not.
            subject: found.filter(|peer| is_bound || is_visible(view, snapshot, *peer)),
            has_ended,
            is_self,
            permission,
            account,
            above: above.chain([ask.account.clone()]).collect(),
        }))
    }

    fn query<'a>(&self, then: &Then, context: &'a Context) -> Query<'a> {
        Query { peer: self.subject, permission: self.permission, account: self.account, now: then.time, context }
    }
}

/// Who is asked about, and whether it was presented by something that is over.
fn subject(ctx: &Ctx, view: &View<'_>, then: &Then, ask: &Ask) -> (Option<PeerId>, bool) {
    if let Some(place) = ask.page.after {
        return (place.peer, false);
    }
    match &ask.subject {
        Subject::Caller => (view.snapshot.peer_id(view.actor), false),
        // A name is that of whoever had it then.
        Subject::Peer(PeerRef::UserName(name)) => {
            let named = then.snapshot.find_user_name(user_name_hash(&name.key()));
            (named.and_then(|peer| then.snapshot.peer_id(peer)), false)
        }
        Subject::Peer(PeerRef::Me) => (view.snapshot.peer_id(view.actor), false),
        Subject::Peer(PeerRef::Id(id)) => (Some(*id), false),
        Subject::Token(_) => match find_subject(ctx, view, &ask.subject) {
            Found::Peer(peer) => (view.snapshot.peer_id(peer), false),
            Found::Ended => (None, true),
            Found::Nobody => (None, false),
        },
    }
}

/// The account itself where it is there now, or the nearest above it, as it stood then, that is.
fn nearest(now: &Snapshot, then: &Snapshot, account: &AccountId) -> Option<AccountIndex> {
    let path = then.find_account(account.as_str()).map(|account| then.path(account));
    let above = path.iter().flat_map(|path| path.as_slice()).filter_map(|account| then.account_id(*account));
    [account].into_iter().chain(above).find_map(|id| now.find_account(id.as_str()))
}

/// Whether the caller may know of a peer of then: by its home of now, or of then where it is gone, which
/// may be gone too.
fn is_visible(view: &View<'_>, then: &Snapshot, peer: PeerIndex) -> bool {
    let id = then.peer_id(peer);
    if let Some(peer) = id.and_then(|id| view.snapshot.find_peer(id)) {
        return authorize::is_visible(view, peer);
    }
    let home = then.peer(peer).and_then(|peer| then.account_id(peer.home()));
    let home = home.and_then(|home| nearest(view.snapshot, then, home));
    home.is_some_and(|home| view.may("peers.view", home) || view.may(authorize::CHECK, home))
}

/// What would help, as far as the caller may know. Many copies of the facts may have to be tried, which
/// must not hold up what else goes on here.
async fn suggestions(then: &Then, asked: &Asked, context: &Context, roles: Vec<Assignable>) -> Result<Vec<Suggestion>> {
    let (then, asked, context) = (then.clone(), asked.clone(), context.clone());
    let search = move || {
        let query = asked.query(&then, &context);
        // Of its own, since writers need the one that all share.
        let mut compiler = Compiler::new()?;
        suggest(&then.snapshot, &query, &explain(&then.snapshot, &query), &roles, &mut compiler)
    };
    let found = tokio::task::spawn_blocking(search).await.map_err(|ended| Error::Internal(ended.into()))?;
    Ok(found?)
}

/// The roles that could be bound to the subject and hold the permission at the account. One that is not
/// for such an account, as few are for departments, is bound at the nearest above that it is for. Those
/// that are bound nearest come first, then those with the least requirements and the fewest permissions.
fn assignable(query: &Query<'_>, eyes: &Eyes<'_>) -> Vec<Assignable> {
    let snapshot = eyes.then;
    let peer = query.peer.and_then(|peer| snapshot.peer(peer));
    let Some(peer) = peer else { return Vec::new() };
    let path = snapshot.path(query.account);
    let mut found: Vec<((usize, u8, usize), &RoleId, Assignable)> = snapshot
        .roles()
        .filter_map(|(index, role)| {
            let rank = least(role, query.permission)?;
            let rules = &role.fact.rules;
            let fits = rules.assignable
                && rules.max_holders.is_none()
                && (rules.peer_kinds.is_empty() || rules.peer_kinds.contains(&peer.kind()))
                && eyes.sees_role(role);
            let reach = reach(rules);
            let is_for = |account: &AccountIndex| {
                let kind = snapshot.account(*account).map(|account| account.kind);
                (*account == query.account || reach == Reach::Subtree)
                    && kind.is_some_and(|kind| rules.account_kinds.is_empty() || rules.account_kinds.contains(&kind))
                    && snapshot.is_role_usable_at(&role.fact, *account)
                    && eyes.account(*account).is_some()
            };
            let (distance, account) =
                path.as_slice().iter().copied().enumerate().find(|(_, account)| is_for(account))?;
            let one = Assignable { role: index, account, reach };
            fits.then_some(((distance, rank, role.compiled.size()), &role.fact.id, one))
        })
        .collect();
    found.sort_by_key(|(order, id, _)| (*order, (*id).clone()));
    found.into_iter().take(ROLES_MAX).map(|(.., one)| one).collect()
}

/// The least that a role demands for a permission; `None` where it does not give it, or takes it away.
fn least(role: &RoleRecord, permission: PermissionIndex) -> Option<u8> {
    let named = || role.compiled.namings(permission);
    let is_denied = named().any(|naming| naming.effect == Effect::Deny && !naming.is_conditional);
    let allowed = named().filter(|naming| naming.effect == Effect::Allow).map(|naming| naming.rank);
    allowed.min().filter(|_| !is_denied)
}

fn reach(rules: &RoleRules) -> Reach {
    if rules.reaches.is_empty() || rules.reaches.contains(&Reach::Subtree) {
        Reach::Subtree
    } else {
        Reach::AccountOnly
    }
}
