//! The documents' tables, each cell put to Authorize for a peer of the world that holds the role.
//!
//! A cell's permissions are asked on an account where the role is bound, and again elsewhere: on a
//! customer below for a role that reaches all of them, on another customer of the same partner for a
//! role that is assigned. `deploy/demo/matrices.yaml` says what the documents say.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Deserialize;

use super::refused;
use crate::cli::apply::World;
use crate::cli::apply::world::{Access, Peer, RoleRef};
use crate::cli::connection::Connection;
use crate::cli::{names, output};
use crate::domain::ids::AccountId;
use crate::transport::grpc::pb;

const TABLES: &str = include_str!("../../../deploy/demo/matrices.yaml");

/// A table of a document.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pack: String,
    title: String,
    corner: String,
    columns: Vec<Column>,
    words: Words,
    /// Whether the answers elsewhere are asked for too; not where partner access would change them.
    elsewhere: bool,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    role: String,
    title: String,
    /// A role that no peer holds by a binding; the server's own matrix answers for it.
    #[serde(default)]
    unheld: bool,
}

/// How the document writes its answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    yes: String,
    assigned: String,
    with_approval: String,
    no: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    /// What the document writes for "yes" in this row.
    yes: Option<String>,
    cells: Vec<String>,
}

/// The documents' tables.
pub(super) fn tables() -> anyhow::Result<Vec<Table>> {
    serde_saphyr::from_str(TABLES).context("deploy/demo/matrices.yaml is wrong")
}

/// Puts questions and measures how long the answers take.
pub(super) struct Asker<'a> {
    connection: &'a Connection,
    times: Vec<Duration>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self { connection, times: Vec::new() }
    }

    pub(super) async fn ask(
        &mut self,
        peer: &str,
        permission: &str,
        account: &str,
    ) -> Result<pb::AuthorizeResponse, tonic::Status> {
        let request = pb::AuthorizeRequest {
            subject: Some(pb::authorize_request::Subject::Peer(names::peer(peer))),
            permission: permission.to_owned(),
            account: names::account(account),
            ..Default::default()
        };
        let mut client = self.connection.access();
        let started = Instant::now();
        let answer = client.authorize(request).await?.into_inner();
        self.times.push(started.elapsed());
        Ok(answer)
    }

    /// How many decisions there were, and how long they took.
    pub(super) fn timing(&self) -> String {
        let mut times = self.times.clone();
        times.sort();
        let at = |share: usize| times.get(times.len() * share / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6);
        format!(
            "\n{} decisions, one call each, one after another over gRPC: median {:.0} us, 99th percentile {:.0} us.\n",
            times.len(),
            at(50),
            at(99)
        )
    }
}

/// A peer of the world, an account where it holds a role, and one elsewhere.
#[derive(Debug)]
struct Holder<'a> {
    peer: &'a Peer,
    account: AccountId,
    elsewhere: Option<AccountId>,
    /// Whether the role reaches elsewhere, because it is bound above.
    reaches_elsewhere: bool,
}

/// The first enabled peer of the file that holds the role and nothing else.
fn holder<'a>(world: &'a World, role: &str) -> Option<Holder<'a>> {
    let mut fallback = None;
    for peer in &world.peers {
        let holds = matches!(&peer.role, Some(at) if matches!(&at.value, RoleRef::Id(id) if id.as_str() == role));
        if !holds || peer.disabled == Some(true) || has_more(world, peer) {
            continue;
        }
        let assigned: Vec<_> = match &peer.access {
            Some(Access::Accounts(accounts)) => accounts.iter().map(|account| &account.value).collect(),
            Some(Access::All) | None => vec![&peer.home.value],
        };
        let Some(account) = assigned.first().copied() else { continue };
        let (elsewhere, reaches_elsewhere) = elsewhere(world, account, &assigned);
        let found = Holder { peer, account: account.clone(), elsewhere, reaches_elsewhere };
        if found.elsewhere.is_some() {
            return Some(found);
        }
        fallback.get_or_insert(found);
    }
    fallback
}

/// Whether a peer gains more by a group or a binding of its own.
fn has_more(world: &World, peer: &Peer) -> bool {
    use crate::cli::apply::world::Principal;

    let key = peer.user_name.key();
    let in_group = world.groups.iter().flat_map(|group| &group.members).any(|member| member.peer.value.key() == key);
    in_group
        || world
            .bindings
            .iter()
            .any(|binding| matches!(&binding.principal.value, Principal::Peer(name) if name.key() == key))
}

/// A customer below a partner; beside a customer, another one that is not assigned.
fn elsewhere(world: &World, account: &AccountId, assigned: &[&AccountId]) -> (Option<AccountId>, bool) {
    let customers = || world.accounts.iter().filter(|one| one.kind == pb::AccountKind::Customer);
    let Some(own) = world.accounts.iter().find(|one| one.id == *account) else { return (None, false) };
    if own.kind == pb::AccountKind::Partner {
        return (customers().find(|one| one.parent.value == *account).map(|one| one.id.clone()), true);
    }
    let beside = customers().find(|one| one.parent.value == own.parent.value && !assigned.contains(&&one.id));
    (beside.map(|one| one.id.clone()), false)
}

/// What the permissions of a row come to.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    WithApproval,
    Partial(Vec<String>),
    No,
    Other(String),
}

fn fold(answers: &[(String, pb::Decision)]) -> Answer {
    let all = |decision| answers.iter().all(|(_, answer)| *answer == decision);
    if all(pb::Decision::Allow) {
        Answer::Yes
    } else if all(pb::Decision::RequiresApproval) {
        Answer::WithApproval
    } else if all(pb::Decision::Deny) {
        Answer::No
    } else if answers.iter().all(|(_, answer)| matches!(answer, pb::Decision::Allow | pb::Decision::Deny)) {
        let allowed = answers.iter().filter(|(_, answer)| *answer == pb::Decision::Allow);
        Answer::Partial(allowed.map(|(permission, _)| permission.clone()).collect())
    } else {
        let texts: Vec<_> = answers.iter().map(|(name, answer)| format!("{name} {}", answer.as_str_name())).collect();
        Answer::Other(texts.join(", "))
    }
}

/// What the server's own matrix says, in the same terms.
fn of_cell(cell: &pb::MatrixCell) -> Answer {
    match cell.value() {
        pb::MatrixValue::Yes => Answer::Yes,
        pb::MatrixValue::WithApproval => Answer::WithApproval,
        pb::MatrixValue::Partial => Answer::Partial(cell.allowed_permissions.clone()),
        pb::MatrixValue::No => Answer::No,
        pb::MatrixValue::Unspecified => Answer::Other("unspecified".to_owned()),
    }
}

fn text(answer: &Answer, words: &Words, yes: &str, is_assigned: bool) -> String {
    match answer {
        Answer::Yes if is_assigned => words.assigned.clone(),
        Answer::Yes => yes.to_owned(),
        Answer::WithApproval => words.with_approval.clone(),
        // `view` for `billing.view`; the documents name actions.
        Answer::Partial(permissions) => {
            let mut actions: Vec<_> = permissions
                .iter()
                .map(|name| name.split_once('.').map_or(name.as_str(), |(_, action)| action))
                .collect();
            actions.sort_unstable();
            actions.dedup();
            actions.join(", ")
        }
        Answer::No => words.no.clone(),
        Answer::Other(text) => text.clone(),
    }
}

/// Asks about every cell of a table; returns the table and what differs from the document.
pub(super) async fn show(
    operator: &Connection,
    asker: &mut Asker<'_>,
    world: &World,
    table: &Table,
) -> anyhow::Result<(String, Vec<String>)> {
    let request = pb::GetPermissionMatrixRequest { pack: table.pack.clone(), ..Default::default() };
    let matrix = operator.roles().get_permission_matrix(request).await?.into_inner();
    let mut differences = Vec::new();
    let mut rows = Vec::new();
    for row in &table.rows {
        let there = matrix.rows.iter().find(|one| one.id == row.id);
        let there = there.with_context(|| format!("the server's matrix of `{}` lacks row `{}`", table.pack, row.id))?;
        let mut cells = vec![there.title.clone()];
        for (column, expected) in table.columns.iter().zip(&row.cells) {
            let role = names::role(&column.role);
            let own = there.cells.iter().find(|cell| cell.role == role);
            let own = own.with_context(|| format!("the server's matrix of `{}` lacks `{role}`", table.pack))?;
            let place = format!("{} {}, {}", table.title, row.id, column.title);
            let shown = cell(asker, world, table, row, column, &there.permissions, own).await;
            if shown != *expected {
                differences.push(format!("{place}: {shown}, not {expected}"));
            }
            cells.push(if column.unheld { format!("{shown}*") } else { shown });
        }
        rows.push(cells);
    }
    let header: Vec<_> = std::iter::once(table.corner.as_str())
        .chain(table.columns.iter().map(|column| column.title.as_str()))
        .collect();
    let mut text = format!("\n{}\n\n{}", table.title, output::table(&header, rows.into_iter()));
    for column in &table.columns {
        match holder(world, &column.role) {
            Some(holder) if !column.unheld => text.push_str(&asked(column, &holder, table.elsewhere)),
            _ => text
                .push_str(&format!("  * {} counts in account sessions only: the server's own matrix\n", column.title)),
        }
    }
    Ok((text, differences))
}

fn asked(column: &Column, holder: &Holder<'_>, with_elsewhere: bool) -> String {
    let name = if holder.peer.profile.display_name.is_empty() {
        holder.peer.user_name.as_str()
    } else {
        &holder.peer.profile.display_name
    };
    let elsewhere = match &holder.elsewhere {
        Some(account) if with_elsewhere => format!(" and {account}"),
        _ => String::new(),
    };
    format!("  {}: {name}, asked on {}{elsewhere}\n", column.title, holder.account)
}

async fn cell(
    asker: &mut Asker<'_>,
    world: &World,
    table: &Table,
    row: &Row,
    column: &Column,
    permissions: &[String],
    own: &pb::MatrixCell,
) -> String {
    let yes = row.yes.as_ref().unwrap_or(&table.words.yes);
    let server_says = of_cell(own);
    if column.unheld {
        return text(&server_says, &table.words, yes, false);
    }
    let Some(holder) = holder(world, &column.role) else { return "nobody holds the role".to_owned() };
    let answer = match decide(asker, holder.peer, permissions, &holder.account).await {
        Ok(answer) => answer,
        Err(status) => return refused(&status),
    };
    if answer != server_says {
        return format!("Authorize says {answer:?}, the server's own matrix {server_says:?}");
    }
    if let Some(elsewhere) = holder.elsewhere.as_ref().filter(|_| table.elsewhere) {
        let expected = if holder.reaches_elsewhere { &answer } else { &Answer::No };
        match decide(asker, holder.peer, permissions, elsewhere).await {
            Ok(there) if there == *expected => {}
            Ok(there) => return format!("{answer:?} on {}, {there:?} on {elsewhere}", holder.account),
            Err(status) => return refused(&status),
        }
    }
    text(&answer, &table.words, yes, !holder.reaches_elsewhere)
}

async fn decide(
    asker: &mut Asker<'_>,
    peer: &Peer,
    permissions: &[String],
    account: &AccountId,
) -> Result<Answer, tonic::Status> {
    let mut answers = Vec::with_capacity(permissions.len());
    for permission in permissions {
        let answer = asker.ask(&format!("@{}", peer.user_name.as_str()), permission, account.as_str()).await?;
        answers.push((permission.clone(), answer.decision()));
    }
    Ok(fold(&answers))
}

/// Every column of a table has somebody to ask about, and somewhere else to ask on.
#[cfg(test)]
pub(super) fn check_holders(world: &World, table: &Table) {
    for row in &table.rows {
        assert_eq!(row.cells.len(), table.columns.len(), "{} {}", table.pack, row.id);
    }
    for column in table.columns.iter().filter(|column| !column.unheld) {
        let holder = holder(world, &column.role).unwrap_or_else(|| panic!("nobody holds {}", column.role));
        assert!(!table.elsewhere || holder.elsewhere.is_some(), "{holder:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_fold_into_cells() {
        let answers = |decisions: &[pb::Decision]| {
            let names = ["billing.view", "billing.manage"];
            names.iter().zip(decisions).map(|(name, decision)| ((*name).to_owned(), *decision)).collect::<Vec<_>>()
        };
        let words = Words {
            yes: "Yes".to_owned(),
            assigned: "assigned".to_owned(),
            with_approval: "With approval".to_owned(),
            no: "—".to_owned(),
        };
        use pb::Decision::{Allow, Deny, RequiresApproval, RequiresStepUp};
        for (decisions, expected) in [
            ([Allow, Allow], "Yes"),
            ([Deny, Deny], "—"),
            ([RequiresApproval, RequiresApproval], "With approval"),
            ([Allow, Deny], "view"),
            ([Allow, RequiresStepUp], "billing.view DECISION_ALLOW, billing.manage DECISION_REQUIRES_STEP_UP"),
        ] {
            assert_eq!(text(&fold(&answers(&decisions)), &words, "Yes", false), expected);
        }
        assert_eq!(text(&Answer::Yes, &words, "Yes", true), "assigned");
    }
}
