//! Reading the lines of a casbin policy: RBAC with domains, as people write it and as an export does.
//!
//! Here stands what a line says by itself; what it comes to among the others and the facts is for `wanted`.
//! What has no meaning here is named by its line and never guessed: a role that inherits another, a line
//! for a person without a role, a pattern that is more than `*`.

mod wanted;

pub use wanted::{Known, WantedRole};

use crate::domain::binding::Reach;
use crate::domain::ids::{AccountId, PeerId};
use crate::domain::invalid::Invalid;
use crate::domain::peer::{PeerRef, UserName};
use crate::domain::permission::Pattern;
use crate::domain::role::{AssuranceLevel, Effect, Requirements, StepUp, TITLE_MAX};
use crate::domain::text;

/// The most roles and the most bindings of one import.
pub const ROLES_MAX: usize = 100;
pub const BINDINGS_MAX: usize = 1000;
/// The most lines that are named as wrong, or left out.
pub const FAULTS_MAX: usize = 10_000;

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

/// What a line gives or denies.
type GrantOf = (String, Effect, Requirements);

/// A policy as its lines say it.
#[derive(Debug, Clone)]
pub struct Policy {
    account: AccountId,
    grants: Vec<GrantLine>,
    links: Vec<Link>,
    /// What scopes consist of, which may stand behind the lines that name them: scope, part and line.
    parts: Vec<(String, Place, usize)>,
    faults: Vec<Fault>,
}

#[derive(Debug, Clone)]
struct GrantLine {
    role: String,
    domain: Domain,
    grant: GrantOf,
    line: usize,
}

#[derive(Debug, Clone)]
enum Domain {
    Place(Place),
    Scope(String),
}

/// Who holds what, in which domain where one is named.
#[derive(Debug, Clone)]
struct Link {
    role: String,
    user: String,
    domain: Option<Place>,
    line: usize,
}

/// Reads a policy. `*` as a domain is the account of the import with everything below it.
#[must_use]
pub fn read(text: &str, account: &AccountId) -> Policy {
    let mut policy = Policy {
        account: account.clone(),
        grants: Vec::new(),
        links: Vec::new(),
        parts: Vec::new(),
        faults: Vec::new(),
    };
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let values: Vec<&str> = line.split(',').map(str::trim).collect();
        if let Err(why) = policy.line(&values, place + 1) {
            policy.faults.push(Fault { line: place + 1, why });
            // One too many is enough to know.
            if policy.faults.len() > FAULTS_MAX {
                break;
            }
        }
    }
    policy
}

impl Policy {
    fn line(&mut self, values: &[&str], line: usize) -> Result<(), Invalid> {
        if values.iter().any(|value| value.is_empty() || value.contains('"')) {
            return Err(Invalid::Form { form: "values without quotes, none of them empty" });
        }
        match values {
            ["p", role, domain, resource, action] => {
                self.grant((role, domain), (resource, action), Effect::Allow, Requirements::default(), line)
            }
            ["p", role, domain, resource, action, effect] => {
                let effect = parse_effect(effect)?;
                self.grant((role, domain), (resource, action), effect, Requirements::default(), line)
            }
            ["p", role, domain, resource, action, requirement, level, max_age, effect] => {
                let (effect, requirements) = (parse_effect(effect)?, requirements(requirement, level, max_age)?);
                let fits = effect == Effect::Allow || requirements == Requirements::default();
                if !fits {
                    return Err(Invalid::NotAllowed { why: "a line that denies has no requirement" });
                }
                self.grant((role, domain), (resource, action), effect, requirements, line)
            }
            ["g", user, role] => {
                self.links.push(Link { role: (*role).to_owned(), user: (*user).to_owned(), domain: None, line });
                Ok(())
            }
            ["g", user, role, domain] => {
                let domain = Some(place(domain, &self.account)?);
                self.links.push(Link { role: (*role).to_owned(), user: (*user).to_owned(), domain, line });
                Ok(())
            }
            ["g2", part, scope] if scope.starts_with("scope:") => {
                self.parts.push(((*scope).to_owned(), place(part, &self.account)?, line));
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
        line: usize,
    ) -> Result<(), Invalid> {
        if role.starts_with("peer:") {
            return Err(Invalid::NotAllowed { why: "a line gives to a role, not to a peer" });
        }
        title(role)?;
        let pattern = format!("{resource}.{action}");
        Pattern::parse(&pattern)?;
        let domain = if domain.starts_with("scope:") {
            Domain::Scope(domain.to_owned())
        } else {
            Domain::Place(place(domain, &self.account)?)
        };
        self.grants.push(GrantLine { role: role.to_owned(), domain, grant: (pattern, effect, requirements), line });
        Ok(())
    }
}

fn title(title: &str) -> Result<(), Invalid> {
    if title.chars().count() > TITLE_MAX {
        return Err(Invalid::TooLong { max: TITLE_MAX });
    }
    text::line(title, TITLE_MAX).map(drop)
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
