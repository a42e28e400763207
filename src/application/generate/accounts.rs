//! The accounts of a world: partners and their customers, those of the large partner first.

use super::{ACCOUNTS_OF_A_PARTNER, BEGIN, CHUNK, LARGE, Scale};
use crate::application::context::Ctx;
use crate::application::error::{Error, Result};
use crate::domain::account::{Account, AccountKind, Settings};
use crate::domain::ids::AccountId;
use crate::storage::accounts;

pub(super) async fn write(ctx: &Ctx, scale: Scale) -> Result<Vec<Account>> {
    let count = scale.accounts();
    let (mut made, mut partner) = (Vec::with_capacity(count), id(LARGE)?);
    made.push(account(partner.clone(), AccountId::platform(), AccountKind::Partner));
    for number in 1..count {
        // The first tenth belongs to the large partner, who has no other accounts.
        let is_large = number < count / 10;
        if !is_large && (number == count / 10 || number.is_multiple_of(ACCOUNTS_OF_A_PARTNER)) {
            partner = id(&format!("partner-{number}"))?;
            made.push(account(partner.clone(), AccountId::platform(), AccountKind::Partner));
        } else {
            made.push(account(id(&format!("customer-{number}"))?, partner.clone(), AccountKind::Customer));
        }
    }
    for chunk in made.chunks(CHUNK) {
        let transaction = ctx.store.begin().await?;
        accounts::insert_many(transaction.connection(), chunk).await?;
        transaction.commit().await?;
    }
    Ok(made)
}

fn id(text: &str) -> Result<AccountId> {
    AccountId::parse(text).map_err(|why| Error::Internal(why.into()))
}

fn account(id: AccountId, parent: AccountId, kind: AccountKind) -> Account {
    Account {
        title: format!("Account {id}"),
        id,
        parent: Some(parent),
        kind,
        labels: std::collections::BTreeMap::new(),
        suspension: None,
        settings: Settings::default(),
        first_peer: None,
        ownership_request: None,
        create_time: BEGIN,
        update_time: BEGIN,
        version: 1,
        update_revision: 0,
    }
}
