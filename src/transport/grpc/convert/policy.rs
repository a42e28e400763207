//! Policies in casbin's terms on the wire.

use super::{Fields, access, account_name, time};
use crate::application::policy::{ExportPolicy, Exporting, ImportPolicy, Imported, Piece, WrongLines, form};
use crate::domain::invalid::Invalid;
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::export_policy_response::Piece as PbPiece;

/// The longest policy, in bytes.
const POLICY_MAX: usize = 3 * 1024 * 1024;

/// Reads what is to be exported.
pub fn export(fields: &mut Fields, request: &pb::ExportPolicyRequest) -> Option<ExportPolicy> {
    let account = fields.required("account", &request.account, account_name);
    let time = fields.time("evaluation_time", request.evaluation_time.as_ref());
    let context = access::context(fields, "context", request.context.as_ref());
    let consistency = access::consistency(fields, request.consistency.as_ref());
    Some(ExportPolicy { account: account?, time: time?, context: context?, consistency: consistency? })
}

/// Reads what is to be imported. Lines that cannot be taken are named together with those that name what
/// is not there, which only the facts know.
pub fn import(fields: &mut Fields, request: &pb::ImportPolicyRequest) -> Option<ImportPolicy> {
    let account = fields.required("account", &request.account, account_name);
    if request.policy.is_empty() {
        fields.refuse("policy", Invalid::Missing);
    }
    if request.policy.len() > POLICY_MAX {
        fields.refuse("policy", Invalid::TooLong { max: POLICY_MAX });
        return None;
    }
    let text = std::str::from_utf8(&request.policy).map_err(|_| Invalid::Form { form: "UTF-8 text" });
    let text = fields.take("policy", text)?;
    let account = account?;
    let policy = form::read(text, &account);
    let wrong_lines = if request.skip_wrong_lines { WrongLines::Skip } else { WrongLines::Refuse };
    Some(ImportPolicy { account, policy, wrong_lines })
}

/// Writes what was imported.
#[must_use]
pub fn imported(imported: &Imported) -> pb::ImportPolicyResponse {
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let skipped =
        imported.skipped.iter().map(|line| pb::SkippedPolicyLine { line: count(line.line), reason: line.why.clone() });
    pb::ImportPolicyResponse {
        role_count: count(imported.roles),
        role_binding_count: count(imported.bindings),
        update_revision: imported.revision,
        skipped_lines: skipped.collect(),
    }
}

/// Writes one piece of an export.
#[must_use]
pub fn exported(export: &Exporting, piece: Piece) -> pb::ExportPolicyResponse {
    let piece = match piece {
        Piece::Model(text) => PbPiece::Model(text.to_owned()),
        Piece::Policy(lines) => PbPiece::Policy(lines.into_bytes().into()),
    };
    pb::ExportPolicyResponse {
        piece: Some(piece),
        revision: export.revision(),
        evaluation_time: Some(time(export.time())),
    }
}
