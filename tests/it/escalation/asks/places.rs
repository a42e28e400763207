//! Calls about accounts, and the tree that they begin with.

use std::collections::BTreeMap;

use peerage::transport::grpc::pb;

use super::{Ask, Maker};
use crate::support::Server;
use crate::support::policy::fresh;

/// Beyond these no more is made.
const ACCOUNTS_MAX: usize = 14;

impl Maker<'_> {
    pub(super) fn create_account(&mut self) -> Ask {
        if self.facts.accounts.len() >= ACCOUNTS_MAX {
            return self.relabel();
        }
        let account = pb::Account {
            parent_account: self.account(),
            kind: pb::AccountKind::Department.into(),
            title: fresh("Department"),
            labels: self.labels(),
            ..Default::default()
        };
        let account_id = fresh("department");
        Ask::CreateAccount(Box::new(pb::CreateAccountRequest {
            account_id,
            account: Some(account),
            ..Default::default()
        }))
    }

    pub(super) fn relabel(&mut self) -> Ask {
        let account = pb::Account { name: self.account(), labels: self.labels(), ..Default::default() };
        let update_mask = Some(prost_types::FieldMask { paths: vec!["labels".to_owned()] });
        let justification = "asked for".to_owned();
        Ask::Relabel(Box::new(pb::UpdateAccountRequest {
            account: Some(account),
            update_mask,
            justification,
            ..Default::default()
        }))
    }

    pub(super) fn move_account(&mut self) -> Ask {
        let destination_parent = self.account();
        Ask::MoveAccount(pb::MoveAccountRequest { name: self.account(), destination_parent, ..Default::default() })
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        let value = self.random.pick(&["test", "live"]).expect("values").to_string();
        self.random.chance(60).then(|| ("env".to_owned(), value)).into_iter().collect()
    }
}

/// Two partners, two customers of each, and departments; their names with the root's.
pub async fn accounts(server: &Server) -> Vec<String> {
    let mut names = vec!["accounts/platform".to_owned()];
    for partner in ["fabrikam", "litware"] {
        let partner_name = server.partner(partner, &["opspilot365"]).await;
        for place in 0..2 {
            let customer = server.customer(&format!("{partner}-{place}"), &partner_name).await;
            names.push(server.department(&format!("{partner}-{place}-sales"), &customer).await);
            names.push(customer);
        }
        names.push(partner_name);
    }
    names
}
