//! Passwords in requests: read at once into text that is wiped, and typed twice alike.

use std::sync::Arc;

use crate::application::passwords::SetPassword;
use crate::domain::invalid::Invalid;
use crate::domain::password::{Password, PasswordFault};
use crate::transport::grpc::convert::{self, Fields};
use crate::transport::grpc::pb;

/// Reads a new password of another peer.
pub fn set(fields: &mut Fields, request: &pb::SetPasswordRequest) -> Option<SetPassword> {
    let peer = fields.required("name", &request.name, convert::peer_name);
    let etag = fields.take("etag", convert::etag(&request.etag));
    let password = confirmed(fields, &request.password, &request.confirm_password);
    Some(SetPassword { peer: peer?, password: password?, etag: etag? })
}

/// Reads the password of a new peer, `Some(None)` where it gets none.
pub(super) fn first(fields: &mut Fields, request: &pb::CreatePeerRequest) -> Option<Option<Arc<Password>>> {
    if request.password.is_empty() && request.confirm_password.is_empty() {
        return Some(None);
    }
    if request.send_invitation {
        fields.refuse("password", Invalid::NotAllowed { why: "an invitation takes its place" });
    }
    confirmed(fields, &request.password, &request.confirm_password).map(Some)
}

fn confirmed(fields: &mut Fields, password: &str, confirmation: &str) -> Option<Arc<Password>> {
    let password = fields.take("password", Password::parse(password));
    let again = fields.take("confirm_password", Password::parse(confirmation));
    let (password, again) = (password?, again?);
    if password.expose() != again.expose() {
        fields.refuse("confirm_password", Invalid::Password(PasswordFault::Mismatch));
        return None;
    }
    Some(Arc::new(password))
}
