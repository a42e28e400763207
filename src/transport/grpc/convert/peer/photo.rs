//! Photos in requests and answers.

use crate::application::photos::{SetPhoto, ShownPhoto};
use crate::domain::invalid::Invalid;
use crate::domain::peer::PeerRef;
use crate::domain::photo::{BYTES_MAX, MEDIA_TYPE, PhotoFault, Size};
use crate::transport::grpc::convert::{self, Fields};
use crate::transport::grpc::pb;

/// Reads a photo for a peer.
pub fn set(fields: &mut Fields, request: pb::SetPhotoRequest) -> Option<SetPhoto> {
    let peer = fields.required("name", &request.name, convert::peer_name);
    let etag = fields.take("etag", convert::etag(&request.etag));
    if request.photo.len() > BYTES_MAX {
        fields.refuse("photo", Invalid::Photo(PhotoFault::TooLong));
    }
    Some(SetPhoto { peer: peer?, picture: request.photo.into(), etag: etag? })
}

/// Reads whose photo is wanted, and in which size.
pub fn get(fields: &mut Fields, request: &pb::GetPhotoRequest) -> Option<(PeerRef, Size)> {
    let peer = fields.required("name", &request.name, convert::peer_name);
    let size = match pb::PhotoSize::try_from(request.size) {
        Ok(pb::PhotoSize::Unspecified | pb::PhotoSize::Large) => Ok(Size::Large),
        Ok(pb::PhotoSize::Small) => Ok(Size::Small),
        Err(_) => Err(Invalid::Unknown { choices: "LARGE, SMALL" }),
    };
    let size = fields.take("size", size);
    Some((peer?, size?))
}

/// Writes a photo.
#[must_use]
pub fn to_pb(photo: ShownPhoto) -> pb::GetPhotoResponse {
    pb::GetPhotoResponse { photo: photo.picture.into(), content_type: MEDIA_TYPE.to_owned(), etag: photo.etag }
}
