//! `peerage authorize`: one decision, with its reason, for people and for scripts; with `--explain` also
//! everything that led to it, now or in the past; with `--replay` what was decided is held against what
//! the server's history says.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::circumstances::Circumstances;
use super::connection::{Connection, Server};
use super::output::{self, Format};
use super::words::Word as _;
use super::{failure, names, page, replay, time};
use crate::domain::condition::SOURCE_ADDRESS;
use crate::transport::grpc::pb;

/// The subject may not act, or not yet.
const NOT_ALLOWED: u8 = 1;

/// Which decision is asked for.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    peerage authorize emily@contosomsp.com users.reset_password contoso-corp\n  \
    peerage authorize me accounts.create_customer contoso-msp\n  \
    peerage authorize emily@contosomsp.com licenses.order contoso-corp -o json\n  \
    if peerage authorize me devices.view contoso-corp >/dev/null; then echo yes; fi\n  \
    peerage authorize emily@contosomsp.com users.delete contoso-corp --explain\n  \
    peerage authorize emily@contosomsp.com users.delete contoso-corp --explain --at 2026-11-17T14:05:00Z\n  \
    peerage authorize emily@contosomsp.com devices.wipe contoso-corp --source-address 203.0.113.7 --attribute ring=2\n  \
    peerage authorize --replay decisions.jsonl\n  \
    tail -n 100 decisions.jsonl | peerage authorize --replay - -o json\n\n\
    Asking about others needs `access.check` on the account, and so does replaying what was decided there.\n\n\
    Exit codes: 0 ALLOW; 1 DENY, REQUIRES_APPROVAL or REQUIRES_STEP_UP; 2 no decision was made. Of --replay:\n\
    0 whatever could be replayed came out the same; 1 something did not; 2 some of it was not for you, or\n\
    is no entry.")]
pub(crate) struct Arguments {
    /// Who would act: a user name, a uid, or `me`
    #[arg(required_unless_present = "replay")]
    peer: Option<String>,
    /// What they would do, as `resource.action`
    #[arg(required_unless_present = "replay")]
    permission: Option<String>,
    /// The account they would do it on
    #[arg(required_unless_present = "replay")]
    account: Option<String>,
    /// Waits for the newest policy, as after a change on another server
    #[arg(long)]
    latest: bool,
    /// Says why, as a tree: each binding with what became of it, and what would make it ALLOW
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    circumstances: Circumstances,
    /// Decides the entries of a decision log again, at their revision and time, and says where the answer
    /// is another one; `-` reads them from standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "peer", "permission", "account", "latest", "explain", "time", "revision", "source_address", "attributes"
    ])]
    replay: Option<PathBuf>,
}

/// A moment of the past.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
struct At {
    /// Explains what was decided at a time, such as 2026-11-17T14:05:00Z
    #[arg(long = "at", value_name = "TIME", value_parser = time::parse, requires = "explain")]
    time: Option<prost_types::Timestamp>,
    /// Explains what was decided at a revision of the policy
    #[arg(long = "at-revision", value_name = "REVISION", value_parser = clap::value_parser!(i64).range(1..), requires = "explain")]
    revision: Option<i64>,
}

pub(crate) async fn run(arguments: Arguments, server: &Server, format: Format) -> anyhow::Result<ExitCode> {
    if let Some(file) = &arguments.replay {
        return replay::run(file, &Connection::open(server).await?, format).await;
    }
    let consistency =
        arguments.latest.then_some(pb::Consistency { requirement: Some(pb::consistency::Requirement::Latest(true)) });
    // The command line lets no question through that lacks one of these.
    let peer = names::peer(&arguments.peer.unwrap_or_default());
    let permission = arguments.permission.unwrap_or_default();
    let account = names::account(&arguments.account.unwrap_or_default());
    let context = Some(arguments.circumstances.into_wire()?);
    let mut connection = Connection::open(server).await?;
    let answer = if arguments.explain {
        let request = pb::ExplainAuthorizationRequest {
            subject: Some(pb::explain_authorization_request::Subject::Peer(peer.clone())),
            permission,
            account,
            context,
            consistency,
            at: arguments.at.wire(),
            ..Default::default()
        };
        explained(&mut connection, request, format).await?
    } else {
        let request = pb::AuthorizeRequest {
            subject: Some(pb::authorize_request::Subject::Peer(peer.clone())),
            permission,
            account,
            context,
            consistency,
            ..Default::default()
        };
        let answer = connection.access().authorize(request).await?.into_inner();
        match format {
            Format::Table => output::write(&output::pairs(&lines(&answer)))?,
            Format::Json => output::one(format, &answer)?,
        }
        answer
    };
    if answer.reason() == pb::DecisionReason::SubjectUnknown
        && let Some(hint) = names::unknown_peer(&peer)
    {
        failure::hint(&hint);
    }
    let is_allowed = answer.decision() == pb::Decision::Allow;
    Ok(if is_allowed { ExitCode::SUCCESS } else { ExitCode::from(NOT_ALLOWED) })
}

impl At {
    fn wire(&self) -> Option<pb::explain_authorization_request::At> {
        use pb::explain_authorization_request::At as Wire;
        let time = self.time.map(Wire::AtTime);
        time.or_else(|| self.revision.map(Wire::AtRevision))
    }
}

/// Shows a decision with all of its trace, and returns the decision.
async fn explained(
    connection: &mut Connection,
    request: pb::ExplainAuthorizationRequest,
    format: Format,
) -> anyhow::Result<pb::AuthorizeResponse> {
    let mut whole = pb::ExplainAuthorizationResponse::default();
    let grants = page::follow(None, async |page_size, page_token| {
        let request = pb::ExplainAuthorizationRequest { page_size, page_token, ..request.clone() };
        let mut page = connection.access().explain_authorization(request).await?.into_inner();
        let (grants, token) = (std::mem::take(&mut page.grants), std::mem::take(&mut page.next_page_token));
        if whole.decision.is_none() {
            whole = page;
        } else {
            whole.text.push_str(&page.text);
        }
        Ok((grants, token))
    });
    whole.grants = grants.await?;
    match format {
        // Line by line, since what ends a line could also drive a terminal.
        Format::Table => output::write(&whole.text.lines().map(|line| output::clean(line) + "\n").collect::<String>())?,
        Format::Json => output::one(format, &whole)?,
    }
    whole.decision.context("the server explained no decision")
}

fn lines(answer: &pb::AuthorizeResponse) -> Vec<(String, String)> {
    let mut lines =
        vec![("decision", pb::Decision::of(answer.decision)), ("reason", pb::DecisionReason::of(answer.reason))];
    if !answer.role.is_empty() {
        lines.push(("role", format!("{}, grant {}", answer.role, answer.grant_index)));
    }
    if !answer.role_binding.is_empty() {
        lines.push(("binding", answer.role_binding.clone()));
    }
    if !answer.missing_attribute.is_empty() {
        let missing = match answer.missing_attribute.as_str() {
            SOURCE_ADDRESS => "the source address".to_owned(),
            name => format!("attribute `{name}`"),
        };
        lines.push(("missing", missing));
    }
    lines.extend(answer.obligations.iter().filter_map(obligation).map(|text| ("obligation", text)));
    lines.push(("revision", answer.revision.to_string()));
    lines.push(("decision id", answer.decision_id.clone()));
    lines.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What must be done first, in a sentence.
fn obligation(obligation: &pb::Obligation) -> Option<String> {
    use pb::obligation::Obligation as Owed;

    Some(match obligation.obligation.as_ref()? {
        Owed::Approval(owed) => format!(
            "approval of {} on {}, by a holder of {}; ask with {}",
            owed.permission, owed.account, owed.approver_permission, owed.method
        ),
        Owed::StepUp(owed) => {
            let level = match owed.min_assurance() {
                pb::AssuranceLevel::Unspecified => "a new sign-in".to_owned(),
                level @ (pb::AssuranceLevel::Email | pb::AssuranceLevel::Totp | pb::AssuranceLevel::Passkey) => {
                    format!("a proof of level {}", level.word())
                }
            };
            match &owed.max_age {
                Some(age) => format!("{level}, not older than {} s", age.seconds),
                None => level,
            }
        }
        Owed::Elevation(owed) => {
            let what = if owed.role_binding.is_empty() { &owed.group } else { &owed.role_binding };
            format!("elevation of {what}; ask with {}", owed.method)
        }
    })
}
