//! Decisions that no matrix holds: those that depend on the account, on the peer's state or on who
//! lets partners in.

use super::matrix::Asker;
use super::refused;
use crate::cli::output;
use crate::cli::words::Word as _;
use crate::transport::grpc::pb;

/// Who, what, where, and the reason that the answer must have.
const STORIES: [(&str, &str, &str, pb::DecisionReason); 8] = [
    ("emily@contosomsp.com", "users.reset_password", "contoso-corp", pb::DecisionReason::Allowed),
    ("emily@contosomsp.com", "licenses.order", "contoso-corp", pb::DecisionReason::ApprovalRequired),
    ("mike@contosomsp.com", "users.reset_password", "contoso-corp", pb::DecisionReason::NoMatchingGrant),
    ("sarah@contosomsp.com", "reports.view", "contoso-corp", pb::DecisionReason::SubjectDisabled),
    ("tess.marlow@cedarhill.example", "peers.create", "cedar-hill-staging", pb::DecisionReason::Allowed),
    ("tess.marlow@cedarhill.example", "peers.create", "cedar-hill", pb::DecisionReason::NoMatchingGrant),
    ("iris.calder@silverfern.example", "peers.create", "amber-lane", pb::DecisionReason::Allowed),
    (
        "iris.calder@silverfern.example",
        "peers.reset_password",
        "amber-lane",
        pb::DecisionReason::PartnerAccessSessionRequired,
    ),
];

/// Asks, and returns a table and what came out otherwise than it must.
pub(super) async fn show(asker: &mut Asker<'_>) -> anyhow::Result<(String, Vec<String>)> {
    let mut rows = Vec::new();
    let mut differences = Vec::new();
    for (peer, permission, account, expected) in STORIES {
        let (decision, reason) = match asker.ask(peer, permission, account).await {
            Ok(answer) => (pb::Decision::of(answer.decision), pb::DecisionReason::of(answer.reason)),
            Err(status) => (String::new(), refused(&status)),
        };
        if reason != expected.word() {
            differences.push(format!("{peer} {permission} {account}: {reason}, not {}", expected.word()));
        }
        rows.push(vec![peer.to_owned(), permission.to_owned(), account.to_owned(), decision, reason]);
    }
    let table = output::table(&["Peer", "Permission", "Account", "Decision", "Reason"], rows.into_iter());
    Ok((format!("\nAnd where the answer depends on more than the role:\n\n{table}"), differences))
}
