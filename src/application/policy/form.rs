//! Reading the lines of a casbin policy: RBAC with domains, as people write it and as an export does.
//!
//! What has no meaning here is named by its line and never guessed: a role that inherits another, a line
//! for a person without a role, a pattern that is more than `*`.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::binding::Reach;
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::invalid::Invalid;
use crate::domain::peer::{PeerRef, UserName};
use crate::domain::permission::Pattern;
use crate::domain::role::{AssuranceLevel, Effect, GRANTS_MAX, Grant, Requirements, StepUp, TITLE_MAX};
use crate::domain::text;

/// The most roles and the most bindings of one import.
pub const ROLES_MAX: usize = 100;
pub const BINDINGS_MAX: usize = 1000;
/// The most that lines about scopes may come to, one for each account in them: short files describe much.
const SCOPED_MAX: usize = 100_000;

/// A line that cannot be taken, counted from 1, or 0 for the policy as a whole, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub why: Invalid,
}

/// Where a role is held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub account: AccountId,
    pub reach: Reach,
}

/// A role that a policy describes: one name, one list of grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRole {
    pub title: String,
    pub grants: Vec<Grant>,
    /// Who holds it where.
    pub holders: Vec<(PeerRef, Place)>,
}

/// The lines of one name in `p`, by where they hold.
type Lines = BTreeMap<Place, BTreeSet<(String, Effect, Requirements)>>;

/// A line that names a scope: role, scope, grant and its place.
type Scoped = (String, String, (String, Effect, Requirements), usize);

/// What was read so far.
#[derive(Default)]
struct Reading {
    roles: BTreeMap<String, Lines>,
    /// Who holds what, in which domain where one is named: role, user, domain and line.
    links: Vec<(String, String, Option<String>, usize)>,
    scopes: BTreeMap<String, BTreeSet<Place>>,
    /// Lines that name a scope, which may be described behind them.
    scoped: Vec<Scoped>,
    faults: Vec<Fault>,
}

/// Reads a policy. `*` as a domain is the account of the import with everything below it.
#[must_use]
pub fn read(text: &str, account: &AccountId) -> (Vec<WantedRole>, Vec<Fault>) {
    let mut reading = Reading::default();
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let values: Vec<&str> = line.split(',').map(str::trim).collect();
        if let Err(why) = reading.line(&values, account, place + 1) {
            reading.faults.push(Fault { line: place + 1, why });
        }
    }
    reading.finish(account)
}

impl Reading {
    fn line(&mut self, values: &[&str], account: &AccountId, line: usize) -> Result<(), Invalid> {
        if values.iter().any(|value| value.is_empty() || value.contains('"')) {
            return Err(Invalid::Form { form: "values without quotes, none of them empty" });
        }
        match values {
            ["p", role, domain, resource, action] => {
                self.grant((role, domain), (resource, action), Effect::Allow, Requirements::default(), (account, line))
            }
            ["p", role, domain, resource, action, effect] => {
                let effect = parse_effect(effect)?;
                self.grant((role, domain), (resource, action), effect, Requirements::default(), (account, line))
            }
            ["p", role, domain, resource, action, requirement, level, max_age, effect] => {
                let (effect, requirements) = (parse_effect(effect)?, requirements(requirement, level, max_age)?);
                let fits = effect == Effect::Allow || requirements == Requirements::default();
                if !fits {
                    return Err(Invalid::NotAllowed { why: "a line that denies has no requirement" });
                }
                self.grant((role, domain), (resource, action), effect, requirements, (account, line))
            }
            ["g", user, role] => {
                self.links.push(((*role).to_owned(), (*user).to_owned(), None, line));
                Ok(())
            }
            ["g", user, role, domain] => {
                self.links.push(((*role).to_owned(), (*user).to_owned(), Some((*domain).to_owned()), line));
                Ok(())
            }
            ["g2", part, scope] if scope.starts_with("scope:") => {
                let place = place(part, account)?;
                self.scopes.entry((*scope).to_owned()).or_default().insert(place);
                Ok(())
            }
            // Where accounts lie is known here.
            ["g2", part, whole] if part.starts_with("account:") && whole.starts_with("subtree:") => Ok(()),
            _ => {
                Err(Invalid::Form { form: "`p, role, domain, resource, action[, effect]` or `g, user, role, domain`" })
            }
        }
    }

    fn grant(
        &mut self,
        (role, domain): (&str, &str),
        (resource, action): (&str, &str),
        effect: Effect,
        requirements: Requirements,
        (account, line): (&AccountId, usize),
    ) -> Result<(), Invalid> {
        if role.starts_with("peer:") {
            return Err(Invalid::NotAllowed { why: "a line gives to a role, not to a peer" });
        }
        let pattern = format!("{resource}.{action}");
        Pattern::parse(&pattern)?;
        let grant = (pattern, effect, requirements);
        if domain.starts_with("scope:") {
            self.scoped.push((role.to_owned(), domain.to_owned(), grant, line));
        } else {
            let place = place(domain, account)?;
            self.roles.entry(role.to_owned()).or_default().entry(place).or_default().insert(grant);
        }
        Ok(())
    }

    fn finish(mut self, account: &AccountId) -> (Vec<WantedRole>, Vec<Fault>) {
        let mut room = SCOPED_MAX;
        for (role, scope, grant, line) in std::mem::take(&mut self.scoped) {
            match self.scopes.get(&scope) {
                Some(places) if places.len() > room => {
                    self.faults.push(Fault { line: 0, why: Invalid::TooMany { max: SCOPED_MAX } });
                    break;
                }
                Some(places) => {
                    room -= places.len();
                    let lines = self.roles.entry(role).or_default();
                    for place in places {
                        lines.entry(place.clone()).or_default().insert(grant.clone());
                    }
                }
                None => {
                    self.faults.push(Fault { line, why: Invalid::NotAllowed { why: "no line says what is in it" } })
                }
            }
        }
        let holders = self.holders(account);
        let (mut wanted, mut bindings) = (Vec::new(), 0);
        for (name, lines) in &self.roles {
            // The same list of grants in several places is one role that is held in each, numbered in the
            // order of the places.
            let mut lists: BTreeMap<&BTreeSet<_>, Vec<&Place>> = BTreeMap::new();
            lines.iter().for_each(|(place, grants)| lists.entry(grants).or_default().push(place));
            let mut lists: Vec<_> = lists.into_iter().collect();
            lists.sort_by(|one, other| one.1.cmp(&other.1));
            for (number, (grants, places)) in (1..).zip(lists) {
                let title = if number == 1 { name.clone() } else { format!("{name} {number}") };
                let holders = holders.get(name).into_iter().flatten().flat_map(|(peer, domain)| {
                    let held = places.iter().filter(|place| domain.as_ref().is_none_or(|domain| domain == **place));
                    held.map(|place| (peer.clone(), (*place).clone())).collect::<Vec<_>>()
                });
                // One too many is enough to know.
                let holders: Vec<_> = holders.take(BINDINGS_MAX + 1 - bindings).collect();
                bindings += holders.len();
                wanted.push(WantedRole { title, grants: grants.iter().filter_map(grant).collect(), holders });
            }
        }
        self.check_sizes(&wanted);
        self.faults.sort_by_key(|fault| fault.line);
        (wanted, self.faults)
    }

    /// Who holds the roles of each name; what cannot be taken is named.
    fn holders(&mut self, account: &AccountId) -> BTreeMap<String, Vec<(PeerRef, Option<Place>)>> {
        let mut holders: BTreeMap<String, Vec<(PeerRef, Option<Place>)>> = BTreeMap::new();
        let mut count = 0;
        for (role, user, domain, line) in std::mem::take(&mut self.links) {
            let read = if self.roles.contains_key(&user) {
                Err(Invalid::NotAllowed { why: "a role inherits no other" })
            } else if let Some(lines) = self.roles.get(&role) {
                let domain = domain.map(|domain| place(&domain, account)).transpose();
                domain.and_then(|domain| match &domain {
                    Some(place) if !lines.contains_key(place) => {
                        Err(Invalid::NotAllowed { why: "no line of that role is about that domain" })
                    }
                    _ => Ok((peer(&user)?, domain)),
                })
            } else {
                Err(Invalid::NotAllowed { why: "no line says what that role may do" })
            };
            match read {
                Ok(holder) => {
                    let list = holders.entry(role).or_default();
                    if list.contains(&holder) {
                        continue;
                    }
                    count += 1;
                    if count > BINDINGS_MAX {
                        self.faults.push(Fault { line: 0, why: Invalid::TooMany { max: BINDINGS_MAX } });
                        break;
                    }
                    list.push(holder);
                }
                Err(why) => self.faults.push(Fault { line, why }),
            }
        }
        holders
    }

    /// What is wrong with the policy as a whole.
    fn check_sizes(&mut self, wanted: &[WantedRole]) {
        let bindings: usize = wanted.iter().map(|role| role.holders.len()).sum();
        let bounds = [
            (wanted.len(), ROLES_MAX),
            (bindings, BINDINGS_MAX),
            (wanted.iter().map(|role| role.grants.len()).max().unwrap_or_default(), GRANTS_MAX),
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

fn title(title: &str) -> Result<(), Invalid> {
    if title.chars().count() > TITLE_MAX {
        return Err(Invalid::TooLong { max: TITLE_MAX });
    }
    text::line(title, TITLE_MAX).map(drop)
}

fn grant((pattern, effect, requirements): &(String, Effect, Requirements)) -> Option<Grant> {
    let pattern = Pattern::parse(pattern).ok()?;
    Some(Grant { pattern, effect: *effect, requirements: *requirements, condition: Default::default() })
}

/// Reads a domain: an account alone, or with `subtree:` and `*` all below it.
fn place(domain: &str, account: &AccountId) -> Result<Place, Invalid> {
    if domain == "*" {
        return Ok(Place { account: account.clone(), reach: Reach::Subtree });
    }
    let (id, reach) = match domain.strip_prefix("subtree:") {
        Some(id) => (id, Reach::Subtree),
        None => {
            let id = domain.strip_prefix("account:").or_else(|| domain.strip_prefix("accounts/"));
            (id.unwrap_or(domain), Reach::AccountOnly)
        }
    };
    Ok(Place { account: AccountId::parse(id)?, reach })
}

fn peer(user: &str) -> Result<PeerRef, Invalid> {
    if user.starts_with("peers/") {
        return PeerRef::parse(user);
    }
    let name = user.strip_prefix("peer:").unwrap_or(user);
    PeerId::parse(name).map(PeerRef::Id).or_else(|_| UserName::parse(name).map(PeerRef::UserName))
}

fn parse_effect(text: &str) -> Result<Effect, Invalid> {
    match text {
        "allow" => Ok(Effect::Allow),
        "deny" => Ok(Effect::Deny),
        _ => Err(Invalid::Unknown { choices: "allow, deny" }),
    }
}

fn requirements(requirement: &str, level: &str, max_age: &str) -> Result<Requirements, Invalid> {
    let (is_step_up, approval) = match requirement {
        "none" => (false, false),
        "step_up" => (true, false),
        "approval" => (false, true),
        "both" => (true, true),
        _ => return Err(Invalid::Unknown { choices: "none, step_up, approval, both" }),
    };
    let level = match level {
        "none" => AssuranceLevel::None,
        "email" => AssuranceLevel::Email,
        "totp" => AssuranceLevel::Totp,
        "passkey" => AssuranceLevel::Passkey,
        _ => return Err(Invalid::Unknown { choices: "none, email, totp, passkey" }),
    };
    let max_age_seconds = max_age.parse().map_err(|_| Invalid::Form { form: "a number of seconds" })?;
    Ok(Requirements { step_up: is_step_up.then_some(StepUp { level, max_age_seconds }), approval })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        AccountId::parse("contoso").unwrap()
    }

    #[test]
    fn roles_with_domains_are_roles_and_bindings() {
        let text = "# people's own\np, admin, contoso, data, *\np, admin, contoso, data, erase, deny\n\
                    p,admin,lab,data,*\n\np, reader, *, data, read\ng, alice, admin, contoso\ng, bob, reader, *\n";
        let (roles, faults) = read(text, &account());
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
        let (_, faults) = read(text, &account());
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn short_files_that_describe_too_much_are_refused_at_once() {
        let parts: String = (0..20_000).map(|number| format!("g2, account:a{number}, scope:1\n")).collect();
        let grants: String = (0..20_000).map(|number| format!("p, x, scope:1, data, read{number}\n")).collect();
        let holders: String = (0..20_000).map(|number| format!("g, peer{number}, x\n")).collect();
        let (_, faults) = read(&format!("{parts}{grants}{holders}"), &account());
        assert!(faults.iter().all(|fault| fault.line == 0) && !faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn the_lines_of_an_export_are_read() {
        let text = "p, role:x@contoso, scope:1, data, read, both, totp, 900, allow\n\
                    g2, account:lab, subtree:contoso\ng2, account:lab, scope:1\ng2, subtree:pit, scope:1\n\
                    g, peer:0198c5b2-7d00-7000-8000-000000000001, role:x@contoso\n";
        let (roles, faults) = read(text, &account());
        assert_eq!(faults, []);
        assert_eq!((roles.len(), roles[0].holders.len()), (1, 2));
        let step_up = StepUp { level: AssuranceLevel::Totp, max_age_seconds: 900 };
        assert_eq!(roles[0].grants[0].requirements, Requirements { step_up: Some(step_up), approval: true });
    }
}
