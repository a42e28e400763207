//! What is asked about a world.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use peerage::decision::{AccountIndex, PeerIndex, PermissionIndex, Snapshot};
use peerage::domain::ids::AccountId;
use prost::Message;

use crate::random::Random;

/// As many as the caches of a processor do not hold.
const QUESTIONS: usize = 20_000;

/// Whether a peer may do something somewhere.
#[derive(Clone, Copy)]
pub(crate) struct Question {
    pub(crate) peer: PeerIndex,
    pub(crate) permission: PermissionIndex,
    pub(crate) account: AccountIndex,
}

/// The names of a question's peer, permission and account.
pub(crate) struct Named {
    pub(crate) peer: String,
    pub(crate) permission: String,
    pub(crate) account: String,
}

/// Half of the questions are about an account that a binding of the peer's reaches.
pub(crate) fn questions(snapshot: &Snapshot) -> Result<Vec<Question>> {
    let root = snapshot.find_account(AccountId::platform().as_str()).context("the tree has a root")?;
    let accounts = snapshot.subtree(root);
    let peers: Vec<PeerIndex> = accounts.iter().flat_map(|account| snapshot.homed_at(*account)).collect();
    let permissions: Vec<PermissionIndex> = snapshot.catalogue().map(|(permission, _)| permission).collect();
    let mut random = Random::new(1);
    let mut questions = Vec::with_capacity(QUESTIONS);
    while questions.len() < QUESTIONS {
        let peer = *random.pick(&peers).context("there are peers")?;
        let elsewhere = *random.pick(&accounts).context("there are accounts")?;
        let account = if random.chance(50) { bound(snapshot, peer, &mut random) } else { None };
        let permission = *random.pick(&permissions).context("there are permissions")?;
        questions.push(Question { peer, permission, account: account.unwrap_or(elsewhere) });
    }
    Ok(questions)
}

fn bound(snapshot: &Snapshot, peer: PeerIndex, random: &mut Random) -> Option<AccountIndex> {
    let held: Vec<AccountIndex> = snapshot.held(peer).map(|held| held.binding.account).collect();
    let account = *random.pick(&held)?;
    let below = snapshot.children(account).next().filter(|_| random.chance(50));
    Some(below.unwrap_or(account))
}

impl Question {
    pub(crate) fn named(&self, snapshot: &Snapshot) -> Result<Named> {
        let permission = snapshot.permission(self.permission).context("a permission has a name")?;
        Ok(Named {
            peer: format!("peers/{}", snapshot.peer_id(self.peer).context("a peer has an id")?),
            permission: permission.name.to_string(),
            account: format!("accounts/{}", snapshot.account_id(self.account).context("an account has an id")?),
        })
    }
}

/// A message as gRPC frames it: not compressed, its length, itself.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let message = message.encode_to_vec();
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(message);
    bytes.into()
}
