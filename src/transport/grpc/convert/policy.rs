//! Policies in casbin's terms on the wire.

use super::{Fields, access, account_name, time};
use crate::application::policy::{ExportPolicy, Exporting, Piece};
use crate::transport::grpc::pb;
use crate::transport::grpc::pb::export_policy_response::Piece as PbPiece;

/// Reads what is to be exported.
pub fn export(fields: &mut Fields, request: &pb::ExportPolicyRequest) -> Option<ExportPolicy> {
    let account = fields.required("account", &request.account, account_name);
    let time = fields.time("evaluation_time", request.evaluation_time.as_ref());
    let context = access::context(fields, "context", request.context.as_ref());
    let consistency = access::consistency(fields, request.consistency.as_ref());
    Some(ExportPolicy { account: account?, time: time?, context: context?, consistency: consistency? })
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
