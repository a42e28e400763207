//! Photos of peers. Which one a peer has stands in its row; the pictures stand here.

use sea_orm::{ConnectionTrait, EntityTrait as _, QuerySelect as _};

use super::entity::photo::{Column, Entity, Model};
use super::error::StoreError;
use super::write;
use crate::domain::ids::PeerId;
use crate::domain::photo::{Photo, Size};

/// Finds a peer's photo in one size.
///
/// # Errors
/// What the database reports.
pub async fn find(conn: &impl ConnectionTrait, peer: PeerId, size: Size) -> Result<Option<Vec<u8>>, StoreError> {
    let column = match size {
        Size::Large => Column::Large,
        Size::Small => Column::Small,
    };
    let found = Entity::find_by_id(peer.as_uuid()).select_only().column(column).into_tuple().one(conn).await?;
    Ok(found)
}

/// Gives a peer a photo, or takes it away. Its row is the caller's to change.
///
/// # Errors
/// What the database reports.
pub async fn set(conn: &impl ConnectionTrait, peer: PeerId, photo: Option<Photo>) -> Result<(), StoreError> {
    Entity::delete_by_id(peer.as_uuid()).exec(conn).await?;
    if let Some(Photo { large, small }) = photo {
        write::insert::<Entity>(conn, Model { peer_id: peer.as_uuid(), large, small }).await?;
    }
    Ok(())
}
