//! API keys on the wire.

use super::{Fields, time};
use crate::application::api_keys::{CreateApiKey, CreatedApiKey};
use crate::domain::api_key::{ApiKey, TITLE_MAX};
use crate::domain::ids::ApiKeyId;
use crate::domain::invalid::Invalid;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::transport::grpc::pb;

/// Reads a wish for a key.
pub fn create(fields: &mut Fields, request: &pb::CreateApiKeyRequest, now: Timestamp) -> Option<CreateApiKey> {
    let Some(api_key) = &request.api_key else {
        fields.refuse("api_key", Invalid::Missing);
        return None;
    };
    let peer = fields.required("api_key.peer", &api_key.peer, super::peer_name);
    let title = fields.required("api_key.title", &api_key.title, |title| text::line(title, TITLE_MAX));
    let expire_time = fields.time("api_key.expire_time", api_key.expire_time.as_ref());
    if let Some(Some(expire_time)) = expire_time
        && expire_time <= now
    {
        fields.refuse("api_key.expire_time", Invalid::Order { other: "the current time" });
    }
    Some(CreateApiKey { peer: peer?, title: title?, expire_time: expire_time? })
}

/// Reads `apiKeys/{id}`.
///
/// # Errors
/// [`Invalid::Form`] for anything else.
pub fn name(name: &str) -> Result<ApiKeyId, Invalid> {
    super::named(name, "apiKeys/", "`apiKeys/{api_key}`", ApiKeyId::parse)
}

/// Writes a new key, with its text where there is one.
#[must_use]
pub fn created(created: &CreatedApiKey, now: Timestamp) -> pb::CreateApiKeyResponse {
    let key = created.text.as_ref().map(|text| text.expose().to_owned()).unwrap_or_default();
    pb::CreateApiKeyResponse { api_key: Some(to_pb(&created.api_key, now)), key }
}

/// Writes a key.
#[must_use]
pub fn to_pb(key: &ApiKey, now: Timestamp) -> pb::ApiKey {
    let state = if key.revoke_time.is_some() {
        pb::ApiKeyState::Revoked
    } else if key.expire_time.is_some_and(|end| end <= now) {
        pb::ApiKeyState::Expired
    } else {
        pb::ApiKeyState::Active
    };
    pb::ApiKey {
        name: format!("apiKeys/{}", key.id),
        uid: key.id.to_string(),
        peer: format!("peers/{}", key.peer),
        title: key.title.clone(),
        state: state.into(),
        expire_time: key.expire_time.map(time),
        revoke_time: key.revoke_time.map(time),
        last_used_time: key.last_used_time.map(time),
        creator: key.creator.map(|creator| format!("peers/{creator}")).unwrap_or_default(),
        create_time: Some(time(key.create_time)),
        update_revision: key.update_revision,
    }
}
