//! `--dry-run` of what changes rights: who would gain and lose what, as the server works it out.
//!
//! People read a line for each peer and kind of change, scripts every single decision. Who may make a
//! change but not preview one still has the server run every check, and is told that the rest is not
//! theirs to see.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::connection::Connection;
use super::names;
use super::output::{self, Format, Named, clean};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::policy_change::Change;

/// The most changes of one preview.
pub(crate) const CHANGES_MAX: usize = 100;
/// What a caller needs to see previews.
const PREVIEW: &str = "policy.preview";
const PAGE_SIZE: i32 = 1000;
/// The most decisions that are gone through for people; scripts get them all.
const READ_MAX: usize = 50_000;
/// The most lines, and the most names in one.
const LINES_MAX: usize = 40;
const NAMES_MAX: usize = 8;
/// How many peers are looked up by name.
const PEERS_MAX: usize = 200;

/// Whether only to look.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DryRun {
    /// Runs every check on the server, shows who would gain and lose what, and changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What a change would mean, as far as the caller may know.
#[derive(Debug)]
pub(crate) enum Rights {
    Known(Box<Known>),
    /// The caller may not preview.
    Hidden,
}

/// Differences, and how many there are.
#[derive(Debug)]
pub(crate) struct Known {
    differences: Vec<pb::AccessDifference>,
    totals: pb::PreviewTotals,
    /// Whether all of them were read.
    is_whole: bool,
    user_names: BTreeMap<String, String>,
}

/// Tries a change out and writes what it would mean.
pub(crate) async fn show(connection: &Connection, change: Change, format: Format) -> anyhow::Result<()> {
    let rights = rights(connection, change, format).await?;
    match format {
        Format::Table => output::write(&format!("A dry run: nothing was changed.\n{}", rights.text())),
        Format::Json => {
            let mut object = serde_json::Map::new();
            object.insert("dryRun".to_owned(), true.into());
            rights.put_into(&mut object)?;
            output::write(&format!("{}\n", serde_json::to_string_pretty(&object)?))
        }
    }
}

/// Writes what would be made, where nothing that is there can turn by it: what is new has no name yet
/// that a preview could tell of. The server has found nothing against it.
pub(crate) fn show_made<M: Named>((field, made): (&str, &M), says: &str, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Table => output::write(&format!(
            "A dry run: nothing was changed. The server found nothing against it.\n{}\n",
            clean(says)
        )),
        Format::Json => {
            let object = serde_json::json!({ "dryRun": true, "what": says, field: output::json(made)? });
            output::write(&format!("{}\n", serde_json::to_string_pretty(&object)?))
        }
    }
}

/// What changes would mean, one upon the other.
///
/// # Errors
/// What the server has against them.
pub(crate) async fn rights_of_all(
    connection: &Connection,
    changes: Vec<Change>,
    format: Format,
) -> Result<Rights, Status> {
    let mut known = read(connection, changes, READ_MAX).await?;
    if format == Format::Table {
        known.user_names = user_names(connection, &known.differences).await;
    }
    Ok(Rights::Known(Box::new(known)))
}

/// What a change would mean, once the server has found nothing against it.
pub(crate) async fn rights(connection: &Connection, change: Change, format: Format) -> anyhow::Result<Rights> {
    let read_max = if format == Format::Json { usize::MAX } else { READ_MAX };
    match read(connection, vec![change.clone()], read_max).await {
        Ok(mut known) => {
            if format == Format::Table {
                known.user_names = user_names(connection, &known.differences).await;
            }
            Ok(Rights::Known(Box::new(known)))
        }
        Err(status) if is_hidden(&status) => {
            rehearse(connection, change).await?;
            Ok(Rights::Hidden)
        }
        Err(status) => Err(status.into()),
    }
}

async fn read(connection: &Connection, changes: Vec<Change>, read_max: usize) -> Result<Known, Status> {
    let changes = changes.into_iter().map(|change| pb::PolicyChange { change: Some(change) }).collect();
    let mut request = pb::PreviewChangeRequest { changes, page_size: PAGE_SIZE, ..Default::default() };
    let mut client = connection.roles();
    let mut known = Known {
        differences: Vec::new(),
        totals: pb::PreviewTotals::default(),
        is_whole: true,
        user_names: BTreeMap::new(),
    };
    loop {
        let page = client.preview_change(request.clone()).await?.into_inner();
        known.totals = page.totals.unwrap_or_default();
        known.differences.extend(page.differences);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(known);
        }
        if known.differences.len() >= read_max {
            known.is_whole = false;
            return Ok(known);
        }
    }
}

/// Whether the caller may preview nothing at all.
fn is_hidden(status: &Status) -> bool {
    let info = status.get_details_error_info();
    let permission = info.as_ref().and_then(|info| info.metadata.get("permission"));
    status.code() == Code::PermissionDenied && permission.is_some_and(|permission| permission == PREVIEW)
}

/// The user names of peers, where the caller may look at them.
async fn user_names(connection: &Connection, differences: &[pb::AccessDifference]) -> BTreeMap<String, String> {
    let peers: BTreeSet<&String> = differences.iter().map(|one| &one.peer).collect();
    let mut client = connection.peers();
    let mut known = BTreeMap::new();
    for peer in peers.into_iter().take(PEERS_MAX) {
        let request = pb::GetPeerRequest { name: peer.clone(), read_mask: None };
        if let Ok(found) = client.get_peer(request).await {
            known.insert(peer.clone(), found.into_inner().user_name);
        }
    }
    known
}

/// Has the server run every check of the call that would make a change.
async fn rehearse(connection: &Connection, change: Change) -> Result<(), Status> {
    let (mut roles, mut accounts, mut peers) = (connection.roles(), connection.accounts(), connection.peers());
    macro_rules! check {
        ($client:ident.$call:ident($request:ident)) => {{
            let mut request = $request;
            request.validate_only = true;
            $client.$call(request).await.map(drop)
        }};
    }
    match change {
        Change::CreateRole(it) => check!(roles.create_role(it)),
        Change::UpdateRole(it) => check!(roles.update_role(it)),
        Change::DeleteRole(it) => check!(roles.delete_role(it)),
        Change::CreateRoleBinding(it) => check!(roles.create_role_binding(it)),
        Change::UpdateRoleBinding(it) => check!(roles.update_role_binding(it)),
        Change::DeleteRoleBinding(it) => check!(roles.delete_role_binding(it)),
        Change::DeleteGroup(it) => check!(roles.delete_group(it)),
        Change::AddGroupMember(it) => check!(roles.add_group_member(it)),
        Change::RemoveGroupMember(it) => check!(roles.remove_group_member(it)),
        Change::UpdateAccount(it) => check!(accounts.update_account(it)),
        Change::MoveAccount(it) => check!(accounts.move_account(it)),
        Change::SuspendAccount(it) => check!(accounts.suspend_account(it)),
        Change::ResumeAccount(it) => check!(accounts.resume_account(it)),
        Change::DeleteAccount(it) => check!(accounts.delete_account(it)),
        Change::TransferOwnership(it) => check!(accounts.transfer_ownership(it)),
        Change::UpdatePeer(it) => check!(peers.update_peer(it)),
        Change::EnablePeer(it) => check!(peers.enable_peer(it)),
        Change::DisablePeer(it) => check!(peers.disable_peer(it)),
        Change::DeletePeer(it) => check!(peers.delete_peer(it)),
        Change::UndeletePeer(it) => check!(peers.undelete_peer(it)),
        Change::ImportPolicy(it) => check!(roles.import_policy(it)),
    }
}

impl Rights {
    /// Lines for people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Known(known) => known.text(),
            Self::Hidden => format!(
                "The server found nothing against it. Who would gain and lose by it is for those who hold `{PREVIEW}`.\n"
            ),
        }
    }

    /// Every decision, for scripts.
    pub(crate) fn put_into(&self, object: &mut serde_json::Map<String, serde_json::Value>) -> anyhow::Result<()> {
        let Self::Known(known) = self else { return Ok(()) };
        let differences = known.differences.iter().map(output::json).collect::<anyhow::Result<Vec<_>>>()?;
        object.insert("totals".to_owned(), output::json(&known.totals)?);
        object.insert("differences".to_owned(), differences.into());
        Ok(())
    }
}

impl Known {
    fn text(&self) -> String {
        if self.differences.is_empty() && self.totals.is_complete {
            return "Nobody that you may know of gains or loses anything by it.\n".to_owned();
        }
        let mut text = format!("{}\n", self.sum());
        let lines = self.lines();
        let hidden = lines.len().saturating_sub(LINES_MAX);
        text.extend(lines.into_iter().take(LINES_MAX).map(|line| format!("  {}\n", clean(&line))));
        if hidden > 0 || !self.is_whole {
            text.push_str("  and more; `-o json` shows every decision\n");
        }
        text
    }

    fn sum(&self) -> String {
        let totals = &self.totals;
        let at_least = if totals.is_complete { "" } else { "At least " };
        format!(
            "{at_least}{} gained, {} lost, {} with other requirements: {} on {}.",
            totals.gained_count,
            totals.lost_count,
            totals.changed_count,
            number(totals.peer_count, "peer"),
            number(totals.account_count, "account"),
        )
    }

    /// A line for each peer, kind of change and set of permissions, with the accounts where it is so.
    fn lines(&self) -> Vec<String> {
        let mut cells: BTreeMap<(&str, Verb, &str), Vec<&str>> = BTreeMap::new();
        for one in &self.differences {
            cells.entry((&one.peer, Verb::of(one), &one.account)).or_default().push(&one.permission);
        }
        let mut alike: BTreeMap<(&str, Verb, Vec<&str>), Vec<&str>> = BTreeMap::new();
        for ((peer, verb, account), permissions) in cells {
            alike.entry((peer, verb, permissions)).or_default().push(names::short(account));
        }
        let line = |((peer, verb, permissions), accounts): ((&str, Verb, Vec<&str>), Vec<&str>)| {
            let peer = self.user_names.get(peer).map_or(peer, String::as_str);
            let (verb, end) = verb.words();
            format!("{peer} {verb} {}{end} on {}", list(&permissions, "permission"), list(&accounts, "account"))
        };
        alike.into_iter().map(line).collect()
    }
}

/// What becomes of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Gains,
    Loses,
    NeedsStepUp,
    NeedsApproval,
}

impl Verb {
    fn of(difference: &pb::AccessDifference) -> Self {
        match difference.after() {
            pb::Decision::Allow => Self::Gains,
            pb::Decision::RequiresStepUp => Self::NeedsStepUp,
            pb::Decision::RequiresApproval => Self::NeedsApproval,
            pb::Decision::Deny | pb::Decision::Unspecified => Self::Loses,
        }
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Gains => ("gains", ""),
            Self::Loses => ("loses", ""),
            Self::NeedsStepUp => ("gets", " with a step-up"),
            Self::NeedsApproval => ("gets", " with approval"),
        }
    }
}

/// The first names, and how many more there are.
fn list(all: &[&str], what: &str) -> String {
    let shown = all.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more {what}{}", if more == 1 { "" } else { "s" }),
    }
}

fn number(count: i64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(peer: &str, account: &str, permission: &str, after: pb::Decision) -> pb::AccessDifference {
        pb::AccessDifference {
            peer: format!("peers/{peer}"),
            account: format!("accounts/{account}"),
            permission: permission.to_owned(),
            before: pb::Decision::Deny.into(),
            after: after.into(),
        }
    }

    #[test]
    fn people_read_a_line_for_what_is_alike() {
        let allow = pb::Decision::Allow;
        let differences = vec![
            turn("1", "a", "ftp.edit", allow),
            turn("1", "a", "ftp.view", allow),
            turn("1", "b", "ftp.edit", allow),
            turn("1", "b", "ftp.view", allow),
            turn("1", "c", "ftp.view", pb::Decision::RequiresApproval),
            turn("2", "a", "ftp.view", pb::Decision::Deny),
        ];
        let totals = pb::PreviewTotals {
            is_complete: true,
            gained_count: 4,
            lost_count: 1,
            changed_count: 1,
            peer_count: 2,
            account_count: 3,
        };
        let user_names = [("peers/1".to_owned(), "emily@contosomsp.com".to_owned())].into();
        let known = Known { differences, totals, is_whole: true, user_names };
        assert_eq!(
            known.text(),
            "4 gained, 1 lost, 1 with other requirements: 2 peers on 3 accounts.\n  \
             emily@contosomsp.com gains ftp.edit, ftp.view on a, b\n  \
             emily@contosomsp.com gets ftp.view with approval on c\n  \
             peers/2 loses ftp.view on a\n"
        );
    }

    #[test]
    fn long_lists_say_how_much_is_left_out() {
        let many = ["a"; NAMES_MAX + 2];
        assert!(list(&many, "account").ends_with(" and 2 more accounts"));
        assert_eq!(list(&["a", "b"], "account"), "a, b");
    }
}
