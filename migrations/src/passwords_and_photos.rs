//! Passwords, those that cannot be used again, and photos.

use sea_orm_migration::prelude::*;

use crate::column::{bytes, index, number, number_null, reference, table, text, text_null, uuid};

pub(crate) struct PasswordsAndPhotos;

impl MigrationName for PasswordsAndPhotos {
    fn name(&self) -> &'static str {
        "m20261122_000005_passwords_and_photos"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for PasswordsAndPhotos {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        passwords(manager).await?;
        photos(manager).await
    }
}

async fn passwords(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut passwords = table("passwords", &["peer_id"], [uuid("peer_id"), text("hash"), number("create_time")]);
    passwords.foreign_key(&mut reference("passwords", "peer_id", ("peers", "id")));
    manager.create_table(passwords).await?;
    let mut former =
        table("former_passwords", &["id"], [uuid("id"), uuid("peer_id"), text("hash"), number("replace_time")]);
    former.foreign_key(&mut reference("former_passwords", "peer_id", ("peers", "id")));
    manager.create_table(former).await?;
    manager.create_index(index("former_passwords", &["peer_id", "replace_time"])).await
}

/// What lists show of a photo stands in the peer's row; the pictures do not, since hardly any read of a
/// peer wants them.
async fn photos(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut photos = table("photos", &["peer_id"], [uuid("peer_id"), bytes("large"), bytes("small")]);
    photos.foreign_key(&mut reference("photos", "peer_id", ("peers", "id")));
    manager.create_table(photos).await?;
    // SQLite adds one column a statement.
    for mut column in [text_null("photo_etag"), number_null("photo_time")] {
        manager.alter_table(Table::alter().table("peers").add_column(&mut column).take()).await?;
    }
    Ok(())
}
