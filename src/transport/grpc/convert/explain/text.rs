//! An explanation for people: an indented tree, made of what the message says and nothing else.

use super::super::parse_time;
use super::parts;
use crate::transport::grpc::convert::access::OwnedCheck;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::obligation::Obligation;
use crate::transport::grpc::pb::suggested_change::Change;

/// A line with those below it.
struct Node {
    line: String,
    below: Vec<Node>,
}

impl Node {
    fn leaf(line: impl Into<String>) -> Self {
        Self { line: line.into(), below: Vec::new() }
    }

    fn of(line: impl Into<String>, below: Vec<Self>) -> Self {
        Self { line: line.into(), below }
    }

    fn write(&self, text: &mut String, (first, rest): (&str, &str)) {
        text.push_str(first);
        text.push_str(&self.line);
        text.push('\n');
        write_all(&self.below, text, rest);
    }
}

fn write_all(nodes: &[Node], text: &mut String, indent: &str) {
    for (place, node) in nodes.iter().enumerate() {
        let (branch, trunk) = if place + 1 == nodes.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        node.write(text, (&format!("{indent}{branch}"), &format!("{indent}{trunk}")));
    }
}

/// The text of a page; the first one's begins with the decision, about a peer where it may be named.
pub(super) fn page(response: &pb::ExplainAuthorizationResponse, check: &OwnedCheck, peer: Option<&str>) -> String {
    let mut text = String::new();
    let mut nodes = Vec::new();
    if let Some(peer) = peer {
        head(&mut text, response, check, peer);
        if !response.checks.is_empty() {
            nodes.push(Node::of("checked before grants", response.checks.iter().map(checked).collect()));
        }
        if !response.suggestions.is_empty() {
            let ways = response.suggestions.iter().map(|suggestion| Node::leaf(suggestion.text.as_str())).collect();
            nodes.push(Node::of("it would be allowed", ways));
        }
    }
    if !response.grants.is_empty() {
        let title = format!("grants, {} of {}", response.grants.len(), response.total_size);
        nodes.push(Node::of(title, response.grants.iter().map(grant).collect()));
    }
    write_all(&nodes, &mut text, "");
    text
}

fn head(text: &mut String, response: &pb::ExplainAuthorizationResponse, check: &OwnedCheck, peer: &str) {
    let Some(decision) = &response.decision else { return };
    let word = |name: &'static str, prefix: &str| name.strip_prefix(prefix).unwrap_or(name);
    let outcome = word(decision.decision().as_str_name(), "DECISION_");
    let reason = word(decision.reason().as_str_name(), "DECISION_REASON_");
    let who = if peer.is_empty() { String::new() } else { format!(" for {peer}") };
    let when = response.evaluate_time.as_ref().map(moment).unwrap_or_default();
    text.push_str(&format!("{outcome}, {reason}\n"));
    text.push_str(&format!("{} on accounts/{}{who}\n", check.permission, check.account));
    text.push_str(&format!("at revision {}, {when}\n", decision.revision));
}

fn checked(checked: &pb::CheckTrace) -> Node {
    use pb::AuthorizationCheck as Check;
    let at = match (checked.account.as_str(), checked.passed) {
        ("", true) => String::new(),
        ("", false) => ": an account that you may not view".to_owned(),
        (account, _) => format!(": {account}"),
    };
    let ends = checked.expire_time.as_ref().map(moment);
    let line = match (checked.check(), checked.passed) {
        (Check::Unspecified, _) => String::new(),
        (Check::SubjectKnown, true) => "the subject is known".to_owned(),
        (Check::SubjectKnown, false) => "nobody is known by that name".to_owned(),
        (Check::CredentialLive, true) => "the credential is live".to_owned(),
        (Check::CredentialLive, false) => "the credential has ended".to_owned(),
        (Check::SubjectEnabled, true) => "the subject is enabled".to_owned(),
        (Check::SubjectEnabled, false) => "the subject is disabled".to_owned(),
        (Check::SubjectNotExpired, true) => match ends {
            Some(end) => format!("the subject expires at {end}"),
            None => "the subject has not expired".to_owned(),
        },
        (Check::SubjectNotExpired, false) => format!("the subject expired at {}", ends.unwrap_or_default()),
        (Check::HomeActive, true) => "the subject's home is active".to_owned(),
        (Check::HomeActive, false) => format!("the subject's home is suspended{at}"),
        (Check::AccountActive, true) if checked.account.is_empty() => "the account is active".to_owned(),
        (Check::AccountActive, true) => format!("the account is suspended, and the permission goes on there{at}"),
        (Check::AccountActive, false) => format!("the account is suspended{at}"),
        (Check::PartnerAccess, true) if checked.account.is_empty() => "no partner access limits the subject".to_owned(),
        (Check::PartnerAccess, passed) => {
            let mode = checked.partner_access().as_str_name();
            let mode = mode.strip_prefix("PARTNER_ACCESS_MODE_").unwrap_or(mode);
            let so = if passed { ", and the permission counts from outside" } else { "" };
            format!("partner access is {mode}{so}{at}")
        }
    };
    Node::leaf(format!("{} {line}", if checked.passed { "ok" } else { "NO" }))
}

fn grant(trace: &pb::GrantTrace) -> Node {
    let effect = match trace.effect() {
        pb::GrantEffect::Unspecified => "",
        pb::GrantEffect::Allow => "ALLOW ",
        pb::GrantEffect::Deny => "DENY ",
    };
    let role = if trace.role.is_empty() { "a role that you may not view" } else { &trace.role };
    let what = if trace.pattern.is_empty() {
        format!("{effect}of {role}")
    } else {
        format!("{effect}{}, grant {} of {role}", trace.pattern, trace.grant_index)
    };
    let mut below = vec![Node::leaf(binding(trace))];
    if trace.via_group {
        let group = if trace.group.is_empty() { "a group that you may not view" } else { &trace.group };
        let window = window(trace.membership_start_time.as_ref(), trace.membership_expire_time.as_ref());
        let mode = mode(trace.membership_mode());
        below.push(Node::leaf(format!("through {group}{mode}{window}")));
    }
    // The outcome is the first of them, unless there is no grant to speak of.
    let others = trace.obstacles().filter(|one| *one != trace.outcome()).map(outcome).collect::<Vec<_>>();
    if !others.is_empty() {
        below.push(Node::leaf(format!("also: {}", others.join("; "))));
    }
    below.extend(parts::lines(trace).into_iter().map(Node::leaf));
    below.extend(trace.unmet_obligations.iter().filter_map(|owed| Some(Node::leaf(obligation(owed)?))));
    Node::of(format!("{what}: {}", outcome(trace.outcome())), below)
}

fn binding(trace: &pb::GrantTrace) -> String {
    let name = if trace.role_binding.is_empty() { "a binding that you may not view" } else { &trace.role_binding };
    let account = if trace.bound_account.is_empty() { String::new() } else { format!(" on {}", trace.bound_account) };
    let reach = match trace.reach() {
        pb::Reach::Unspecified => "",
        pb::Reach::Subtree => " and below",
        pb::Reach::AccountOnly => " alone",
    };
    let window = window(trace.start_time.as_ref(), trace.expire_time.as_ref());
    format!("{name}{account}{reach}{}{window}", mode(trace.mode()))
}

const fn mode(mode: pb::BindingMode) -> &'static str {
    match mode {
        pb::BindingMode::Unspecified | pb::BindingMode::Active => "",
        pb::BindingMode::Eligible => ", eligible",
    }
}

fn window(start: Option<&prost_types::Timestamp>, expire: Option<&prost_types::Timestamp>) -> String {
    let from = start.map(|start| format!(", from {}", moment(start))).unwrap_or_default();
    let until = expire.map(|expire| format!(", until {}", moment(expire))).unwrap_or_default();
    format!("{from}{until}")
}

const fn outcome(outcome: pb::GrantOutcome) -> &'static str {
    match outcome {
        pb::GrantOutcome::Unspecified => "",
        pb::GrantOutcome::Decided => "decided",
        pb::GrantOutcome::Outranked => "matched, and another one decided",
        pb::GrantOutcome::ConditionNotMet => "its condition does not hold",
        pb::GrantOutcome::AttributeMissing => "its condition needs an attribute that the request lacks",
        pb::GrantOutcome::OutsideWindow => "outside its window",
        pb::GrantOutcome::NotActive => "eligible, and not elevated",
        pb::GrantOutcome::OutOfReach => "does not reach down to the account",
        pb::GrantOutcome::PartnerAccess => "kept out by partner access",
        pb::GrantOutcome::Reserved => "does not name the reserved permission literally",
        pb::GrantOutcome::NoMatch => "no grant names the permission",
        pb::GrantOutcome::Barred => "would count, but the decision fell before grants",
    }
}

/// A way to ALLOW in one line.
pub(super) fn suggestion(changes: &[pb::SuggestedChange], obligations: &[pb::Obligation]) -> String {
    let changes: Vec<String> = changes.iter().filter_map(|one| one.change.as_ref()).map(change).collect();
    let owed: Vec<String> = obligations.iter().filter_map(obligation).collect();
    let changes = changes.join(", and ");
    match (changes.is_empty(), owed.is_empty()) {
        (true, _) => format!("once met: {}", owed.join(", and ")),
        (false, true) => changes,
        (false, false) => format!("{changes}, then met: {}", owed.join(", and ")),
    }
}

fn change(change: &Change) -> String {
    match change {
        Change::Elevate(owed) if owed.role_binding.is_empty() => format!("elevate the membership of {}", owed.group),
        Change::Elevate(owed) => format!("elevate {}", owed.role_binding),
        Change::BindRole(binding) => format!("bind {} on {}", binding.role, binding.account),
        Change::RemoveRoleBinding(name) => format!("remove {name}, which denies"),
        Change::LeaveGroup(name) => format!("take the subject out of {name}, which denies"),
        Change::RenewRoleBinding(name) => format!("renew {name}, which has ended"),
        Change::RenewMembership(name) => format!("renew the membership of {name}, which has ended"),
        Change::WaitUntil(time) => format!("wait until {}", moment(time)),
        Change::ResumeAccount(name) => format!("resume {name}"),
        Change::AllowPartnerAccess(name) => format!("set the partner access of {name} to ALLOWED"),
        Change::EnablePeer(name) => format!("enable {name}"),
        Change::RenewPeer(name) => format!("let {name} expire later, or never"),
        Change::SetLabel(label) => format!("label {} with {}={}", label.account, label.key, label.value),
        Change::ActFrom(address) => format!("act from {address}, or another address of its network"),
        Change::SetAttribute(one) => format!("say the attribute `{}` of the resource", one.attribute),
    }
}

fn obligation(obligation: &pb::Obligation) -> Option<String> {
    Some(match obligation.obligation.as_ref()? {
        Obligation::Approval(_) => "an approval".to_owned(),
        Obligation::StepUp(owed) => {
            let level = owed.min_assurance();
            let level = match level {
                pb::AssuranceLevel::Unspecified => "a new sign-in".to_owned(),
                pb::AssuranceLevel::Email | pb::AssuranceLevel::Totp | pb::AssuranceLevel::Passkey => {
                    let name = level.as_str_name();
                    format!("a proof of level {}", name.strip_prefix("ASSURANCE_LEVEL_").unwrap_or(name))
                }
            };
            match &owed.max_age {
                Some(age) => format!("{level}, not older than {} s", age.seconds),
                None => level,
            }
        }
        Obligation::Elevation(owed) => {
            format!("an elevation of {}", if owed.role_binding.is_empty() { &owed.group } else { &owed.role_binding })
        }
    })
}

fn moment(time: &prost_types::Timestamp) -> String {
    parse_time(time).map(|time| time.to_rfc3339()).unwrap_or_default()
}
