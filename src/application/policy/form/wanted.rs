//! What the lines of a policy come to: roles, and who holds them where.
//!
//! A line that names what is not there, or not for the caller to know of, is as wrong as one that cannot be
//! read. All wrong lines are named at once, and the rest is what it comes to without them: who leaves them
//! out gets exactly that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{BINDINGS_MAX, Domain, FAULTS_MAX, Fault, GrantOf, Link, Place, Policy, ROLES_MAX, peer, title};
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::invalid::Invalid;
use crate::domain::peer::PeerRef;
use crate::domain::permission::{Pattern, PermissionName};
use crate::domain::role::{GRANTS_MAX, Grant};
use crate::domain::text::fold;

/// The most that lines about scopes may come to, one for each account in them, and the most holders that
/// are looked up: short files describe much.
const SCOPED_MAX: usize = 100_000;

/// What the facts know of what lines name.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub permission: &'a dyn Fn(&PermissionName) -> bool,
    /// Whether an account is there, within that of the import.
    pub account: &'a dyn Fn(&AccountId) -> bool,
    /// Who can be given a role on an account that is there.
    pub peer: &'a dyn Fn(&PeerRef, &AccountId) -> Result<PeerId, Invalid>,
}

impl fmt::Debug for Known<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Known").finish_non_exhaustive()
    }
}

/// A role that a policy describes: one name, one list of grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRole {
    pub title: String,
    pub grants: Vec<Grant>,
    /// Who holds it where.
    pub holders: Vec<(PeerId, Place)>,
}

/// Titles of roles, none of which is another but for its case.
struct Titles {
    names: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl Titles {
    fn new<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        Self { names: names.map(|name| fold(name)).collect(), used: BTreeSet::new() }
    }

    /// The name itself, or with the first number that makes it no other name and no title so far.
    fn next_of(&mut self, name: &str) -> String {
        let numbered = (2..).map(|number| format!("{name} {number}"));
        let is_free = |title: &String| {
            let folded = fold(title);
            (title == name || !self.names.contains(&folded)) && self.used.insert(folded)
        };
        std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_else(|| name.to_owned())
    }
}

/// The lines of one name in `p`, by where they hold.
type Lines = BTreeMap<Place, BTreeSet<GrantOf>>;

/// Who holds the roles of a name, by where.
type Holders = BTreeMap<Place, BTreeSet<PeerId>>;

impl Policy {
    /// The roles that the right lines describe, and what is wrong with the others, in their order.
    #[must_use]
    pub fn wanted(mut self, known: Known<'_>) -> (Vec<WantedRole>, Vec<Fault>) {
        let roles = self.roles(known);
        let mut holders = self.holders(&roles, known);
        let mut wanted = Vec::new();
        let mut titles = Titles::new(roles.keys());
        for (name, lines) in &roles {
            // The same list of grants in several places is one role that is held in each, numbered in the
            // order of the places.
            let mut lists: BTreeMap<&BTreeSet<_>, Vec<&Place>> = BTreeMap::new();
            lines.iter().for_each(|(place, grants)| lists.entry(grants).or_default().push(place));
            let mut lists: Vec<_> = lists.into_iter().collect();
            lists.sort_by(|one, other| one.1.cmp(&other.1));
            let mut holders = holders.remove(name).unwrap_or_default();
            for (grants, places) in lists {
                let title = titles.next_of(name);
                let held = places.into_iter().filter_map(|place| holders.remove_entry(place));
                let holders = held.flat_map(|(place, peers)| peers.into_iter().map(move |peer| (peer, place.clone())));
                let grants = grants.iter().filter_map(grant).collect();
                wanted.push(WantedRole { title, grants, holders: holders.collect() });
            }
        }
        self.check_sizes(&wanted);
        self.faults.sort_by_key(|fault| fault.line);
        (wanted, self.faults)
    }

    /// What each name may do where.
    fn roles(&mut self, known: Known<'_>) -> BTreeMap<String, Lines> {
        let scopes = self.scopes(known);
        let mut roles: BTreeMap<String, Lines> = BTreeMap::new();
        let mut room = SCOPED_MAX;
        for line in std::mem::take(&mut self.grants) {
            let literal = Pattern::parse(&line.grant.0).ok().and_then(|pattern| pattern.literal());
            let wrong = if literal.is_some_and(|name| !(known.permission)(&name)) {
                Some(Invalid::NotRegistered)
            } else {
                match line.domain {
                    Domain::Place(place) if (known.account)(&place.account) => {
                        roles.entry(line.role).or_default().entry(place).or_default().insert(line.grant);
                        None
                    }
                    Domain::Place(_) => Some(NO_ACCOUNT),
                    Domain::Scope(scope) => match scopes.get(&scope) {
                        Some(places) if places.len() > room => {
                            self.faults.push(Fault { line: 0, why: Invalid::TooMany { max: SCOPED_MAX } });
                            break;
                        }
                        Some(places) => {
                            room -= places.len();
                            let lines = roles.entry(line.role).or_default();
                            for place in places {
                                lines.entry(place.clone()).or_default().insert(line.grant.clone());
                            }
                            None
                        }
                        None => Some(Invalid::NotAllowed { why: "no line that can be taken says what is in it" }),
                    },
                }
            };
            if !self.note(line.line, wrong) {
                break;
            }
        }
        roles
    }

    fn scopes(&mut self, known: Known<'_>) -> BTreeMap<String, BTreeSet<Place>> {
        let mut scopes: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
        for (scope, place, line) in std::mem::take(&mut self.parts) {
            if (known.account)(&place.account) {
                scopes.entry(scope).or_default().insert(place);
            } else if !self.note(line, Some(NO_ACCOUNT)) {
                break;
            }
        }
        scopes
    }

    /// Who holds the roles of each name.
    fn holders(&mut self, roles: &BTreeMap<String, Lines>, known: Known<'_>) -> BTreeMap<String, Holders> {
        let mut holders: BTreeMap<String, Holders> = BTreeMap::new();
        let (mut count, mut room) = (0, SCOPED_MAX);
        for link in std::mem::take(&mut self.links) {
            let line = link.line;
            let wrong = match held(&link, roles, known, &mut room) {
                Ok((peer, places)) => {
                    let held = holders.entry(link.role).or_default();
                    count += places
                        .into_iter()
                        .filter(|place| held.entry((*place).clone()).or_default().insert(peer))
                        .count();
                    None
                }
                Err(why) => Some(why),
            };
            // One too many is enough to know.
            if count > BINDINGS_MAX || room == 0 {
                self.faults.push(Fault { line: 0, why: Invalid::TooMany { max: BINDINGS_MAX } });
                break;
            }
            if !self.note(line, wrong) {
                break;
            }
        }
        holders
    }

    /// Notes what is wrong with a line; whether there is any use in going on.
    fn note(&mut self, line: usize, wrong: Option<Invalid>) -> bool {
        self.faults.extend(wrong.map(|why| Fault { line, why }));
        self.faults.len() <= FAULTS_MAX
    }

    /// What is wrong with the policy as a whole.
    fn check_sizes(&mut self, wanted: &[WantedRole]) {
        let bounds = [
            (wanted.len(), ROLES_MAX),
            (wanted.iter().map(|role| role.grants.len()).max().unwrap_or_default(), GRANTS_MAX),
            (self.faults.len(), FAULTS_MAX),
        ];
        for (_, max) in bounds.into_iter().filter(|(size, max)| size > max) {
            self.faults.push(Fault { line: 0, why: Invalid::TooMany { max } });
        }
        for role in wanted {
            if let Err(why) = title(&role.title) {
                self.faults.push(Fault { line: 0, why });
            }
        }
    }
}

const NO_ACCOUNT: Invalid =
    Invalid::Names { what: "an account that is missing, hidden or not within the account of the import" };

/// Who a line is about, and where it gives the role.
fn held<'r>(
    link: &Link,
    roles: &'r BTreeMap<String, Lines>,
    known: Known<'_>,
    room: &mut usize,
) -> Result<(PeerId, Vec<&'r Place>), Invalid> {
    if roles.contains_key(&link.user) {
        return Err(Invalid::NotAllowed { why: "a role inherits no other" });
    }
    if link.domain.as_ref().is_some_and(|place| !(known.account)(&place.account)) {
        return Err(NO_ACCOUNT);
    }
    let lines = roles.get(&link.role);
    let lines = lines.ok_or(Invalid::NotAllowed { why: "no line that can be taken says what that role may do" })?;
    let places: Vec<&Place> = match &link.domain {
        Some(place) => {
            let why = "no line that can be taken says what that role may do in that domain";
            vec![lines.get_key_value(place).ok_or(Invalid::NotAllowed { why })?.0]
        }
        None => lines.keys().collect(),
    };
    let user = peer(&link.user)?;
    let mut found = None;
    for place in &places {
        // Where there is no more room, the policy is refused as a whole.
        *room = room.saturating_sub(1);
        if *room == 0 {
            break;
        }
        found = Some((known.peer)(&user, &place.account)?);
    }
    found.map(|peer| (peer, places)).ok_or(Invalid::Missing)
}

fn grant((pattern, effect, requirements): &GrantOf) -> Option<Grant> {
    let pattern = Pattern::parse(pattern).ok()?;
    Some(Grant { pattern, effect: *effect, requirements: *requirements, condition: Default::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::policy::form::read;
    use crate::domain::binding::Reach;
    use crate::domain::role::{AssuranceLevel, Requirements, StepUp};

    /// What the lines come to where everything that they name is there, but for what begins with `no`.
    fn wanted(text: &str) -> (Vec<WantedRole>, Vec<Fault>) {
        let known = Known {
            permission: &|name| !name.as_str().starts_with("no"),
            account: &|id| !id.as_str().starts_with("no"),
            peer: &|peer, _| match peer {
                PeerRef::UserName(name) if name.as_str().starts_with("no") => Err(Invalid::Names { what: "nobody" }),
                // As many peers as user names, and one that all ids are of.
                PeerRef::UserName(name) => {
                    let digits = name.as_str().bytes().fold(0_u32, |sum, byte| sum * 31 % 99_991 + u32::from(byte));
                    PeerId::parse(&format!("0198c5b2-7d00-7000-8000-{digits:012}"))
                }
                PeerRef::Id(id) => Ok(*id),
                PeerRef::Me => PeerId::parse("0198c5b2-7d00-7000-8000-000000000009"),
            },
        };
        read(text, &AccountId::parse("contoso").unwrap()).wanted(known)
    }

    #[test]
    fn roles_with_domains_are_roles_and_bindings() {
        let text = "# people's own\np, admin, contoso, data, *\np, admin, contoso, data, erase, deny\n\
                    p,admin,lab,data,*\n\np, reader, *, data, read\ng, alice, admin, contoso\ng, bob, reader, *\n";
        let (roles, faults) = wanted(text);
        assert_eq!(faults, []);
        let held = |role: &WantedRole| role.holders.iter().map(|(_, place)| place.reach).collect::<Vec<_>>();
        let shown: Vec<_> = roles.iter().map(|role| (role.title.as_str(), role.grants.len(), held(role))).collect();
        assert_eq!(
            shown,
            [("admin", 2, vec![Reach::AccountOnly]), ("admin 2", 1, vec![]), ("reader", 1, vec![Reach::Subtree])]
        );
    }

    #[test]
    fn what_cannot_be_taken_is_named_by_its_line() {
        let text = "p, admin, contoso, data, *\ng, admin, boss\np, boss, contoso, data1/*, read\n\
                    p, peer:alice, contoso, data, read\nnonsense\np, admin, contoso, data, read, maybe\n\
                    p, admin, scope:7, data, read\ng, alice, nobody, contoso\ng, alice, admin, lab\n\
                    p, admin, \"a,b\", data, read";
        let (_, faults) = wanted(text);
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn lines_that_name_what_is_not_there_are_named_all_at_once() {
        let text = "p, desk, contoso, users, view\np, desk, contoso, none, view\np, desk, nowhere, users, view\n\
                    g, nobody, desk\ng, kim, desk, nowhere\np, ghost, contoso, none, view\ng, kim, ghost\n\
                    g2, account:nowhere, scope:1\ng2, account:lab, scope:1\np, lab, scope:1, users, view\ng, kim, desk\n";
        let (roles, faults) = wanted(text);
        let told: Vec<_> = faults.iter().map(|fault| (fault.line, fault.why.clone())).collect();
        let no_line = Invalid::NotAllowed { why: "no line that can be taken says what that role may do" };
        let expected = [
            (2, Invalid::NotRegistered),
            (3, NO_ACCOUNT),
            (4, Invalid::Names { what: "nobody" }),
            (5, NO_ACCOUNT),
            (6, Invalid::NotRegistered),
            (7, no_line),
            (8, NO_ACCOUNT),
        ];
        assert_eq!(told, expected);
        let shown: Vec<_> = roles.iter().map(|role| (role.title.as_str(), role.holders.len())).collect();
        assert_eq!(shown, [("desk", 1), ("lab", 0)]);
    }

    #[test]
    fn whoever_holds_a_role_twice_holds_it_once() {
        let id = "0198c5b2-7d00-7000-8000-000000000009";
        let (roles, faults) =
            wanted(&format!("p, desk, *, users, view\ng, peers/me, desk\ng, {id}, desk, *\ng, peer:{id}, desk\n"));
        assert_eq!((roles[0].holders.len(), faults), (1, vec![]));
    }

    #[test]
    fn short_files_that_describe_too_much_are_refused_at_once() {
        let parts: String = (0..20_000).map(|number| format!("g2, account:a{number}, scope:1\n")).collect();
        let grants: String = (0..20_000).map(|number| format!("p, x, scope:1, data, read{number}\n")).collect();
        let holders: String = (0..20_000).map(|number| format!("g, peer{number}, x\n")).collect();
        let (_, faults) = wanted(&format!("{parts}{grants}{holders}"));
        assert!(faults.iter().all(|fault| fault.line == 0) && !faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn the_lines_of_an_export_are_read() {
        let text = "p, role:x@contoso, scope:1, data, read, both, totp, 900, allow\n\
                    g2, account:lab, subtree:contoso\ng2, account:lab, scope:1\ng2, subtree:pit, scope:1\n\
                    g, peer:0198c5b2-7d00-7000-8000-000000000001, role:x@contoso\n";
        let (roles, faults) = wanted(text);
        assert_eq!(faults, []);
        assert_eq!((roles.len(), roles[0].holders.len()), (1, 2));
        let step_up = StepUp { level: AssuranceLevel::Totp, max_age_seconds: 900 };
        assert_eq!(roles[0].grants[0].requirements, Requirements { step_up: Some(step_up), approval: true });
    }
}
