//! Reading a snapshot from bytes: the way of a loader, only that whatever is named again is found by
//! its place.
//!
//! INVARIANT: no bytes make it panic, go on for ever, or ask for more memory than a small multiple of
//! them and what [`Places::reserve`](crate::decision::places::Places::reserve) bounds.

use std::io::Read;

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{ImageError, term, trait_of_peer};
use crate::decision::compile::Compiler;
use crate::decision::snapshot::load::{Loader, NewPeer};
use crate::decision::snapshot::record::{LooseBinding, LoosePeer};
use crate::decision::snapshot::{AccountIndex, GroupIndex, RoleIndex, Snapshot};
use crate::domain::binding::{Mode, Principal, Reach};
use crate::domain::fact::{ApiKeyFact, BindingFact, Fact, GroupFact, Mark};
use crate::domain::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::peer::{PeerKind, PeerStatus};
use crate::domain::time::{Timestamp, Window};

/// The longest text of a permission, an account or a role.
const TEXT_MAX: u64 = 64 << 20;

impl Snapshot {
    /// Reads what [`Snapshot::write_image`] wrote, to the end.
    ///
    /// # Errors
    /// [`ImageError`] where the bytes are anything else.
    pub fn read_image(from: &mut impl Read, mark: Mark, compiler: &mut Compiler) -> Result<Self, ImageError> {
        let mut image =
            Image { from, loader: Loader::new(compiler), accounts: Vec::new(), roles: Vec::new(), groups: 0 };
        image.facts(Fact::Permission)?;
        image.accounts()?;
        image.roles()?;
        image.groups()?;
        let peers = image.peers()?;
        image.keys(&peers)?;
        if image.from.read(&mut [0])? != 0 {
            return malformed("the end");
        }
        Ok(image.loader.finish(mark))
    }
}

/// What is being read, with what may be named again.
struct Image<'a, 'c, R> {
    from: &'a mut R,
    loader: Loader<'c>,
    accounts: Vec<AccountId>,
    roles: Vec<RoleId>,
    groups: u64,
}

/// A binding as it was written.
struct Bound {
    id: BindingId,
    account: usize,
    role: usize,
    terms: Terms,
}

struct Terms {
    mode: Mode,
    reach: Reach,
    window: Window,
}

const fn malformed<T>(what: &'static str) -> Result<T, ImageError> {
    Err(ImageError::Malformed { what })
}

impl<R: Read> Image<'_, '_, R> {
    fn facts<T: DeserializeOwned>(&mut self, fact: impl Fn(T) -> Fact) -> Result<(), ImageError> {
        for _ in 0..self.number()? {
            let read = self.json()?;
            self.loader.take(fact(read))?;
        }
        Ok(())
    }

    fn accounts(&mut self) -> Result<(), ImageError> {
        for _ in 0..self.number()? {
            let fact: crate::domain::fact::AccountFact = self.json()?;
            self.accounts.push(fact.id.clone());
            self.loader.take(Fact::Account(fact))?;
        }
        self.is_numbered(self.accounts.len(), self.loader.snapshot().accounts.len())
    }

    fn roles(&mut self) -> Result<(), ImageError> {
        for _ in 0..self.number()? {
            let fact: crate::domain::fact::RoleFact = self.json()?;
            self.roles.push(fact.id.clone());
            self.loader.take(Fact::Role(fact))?;
        }
        self.is_numbered(self.roles.len(), self.loader.snapshot().roles.len())
    }

    /// INVARIANT: a new snapshot numbers what it takes in, so that places are numbers here, unless
    /// something came twice.
    fn is_numbered(&self, read: usize, taken: usize) -> Result<(), ImageError> {
        if read == taken { Ok(()) } else { malformed("something twice") }
    }

    fn groups(&mut self) -> Result<(), ImageError> {
        self.groups = self.number()?;
        for place in 0..self.groups {
            let id = GroupId::from(self.uuid()?);
            let account = self.place(self.accounts.len())?;
            let Some(account) = self.accounts.get(account).cloned() else { return malformed("an account") };
            self.loader.take(Fact::Group(GroupFact { id, account }))?;
            if self.loader.snapshot().groups.len() as u64 != place + 1 {
                return malformed("something twice");
            }
            for _ in 0..self.number()? {
                let bound = self.bound()?;
                let (Some(account), Some(role)) = (self.accounts.get(bound.account), self.roles.get(bound.role)) else {
                    return malformed("a binding");
                };
                let Terms { mode, reach, window } = bound.terms;
                self.loader.take(Fact::Binding(BindingFact {
                    id: bound.id,
                    principal: Principal::Group(id),
                    role: role.clone(),
                    account: account.clone(),
                    reach,
                    mode,
                    window,
                }))?;
            }
        }
        Ok(())
    }

    /// Returns the uids in order.
    fn peers(&mut self) -> Result<Vec<PeerId>, ImageError> {
        let mut ids: Vec<PeerId> = Vec::new();
        let count = self.number()?;
        self.loader.expect_peers(count);
        for _ in 0..count {
            let id = PeerId::from(self.uuid()?);
            if ids.last().is_some_and(|last| *last >= id) {
                return malformed("something twice");
            }
            ids.push(id);
            let user_name_hash = u128::from_be_bytes(self.bytes()?);
            let [flags] = self.bytes()?;
            let kind = match flags & 3 {
                0 => PeerKind::Person,
                1 => PeerKind::Device,
                2 => PeerKind::Integration,
                _ => return malformed("a kind of peer"),
            };
            if flags & !trait_of_peer::ALL != 0 {
                return malformed("a peer");
            }
            let status = match flags >> trait_of_peer::STATUS_SHIFT & 3 {
                0 => PeerStatus::Enabled,
                1 => PeerStatus::Disabled,
                2 => PeerStatus::Deleted,
                _ => return malformed("a peer's status"),
            };
            let home = AccountIndex::of(self.place(self.accounts.len())?)?;
            let expire = if flags & trait_of_peer::EXPIRES == 0 { Timestamp::MAX } else { self.time()? };
            let person = if flags & trait_of_peer::HAS_PERSON == 0 { None } else { Some(PeerId::from(self.uuid()?)) };
            let memberships = self.memberships()?;
            let bindings = self.bindings()?;
            let peer = LoosePeer { home, kind, status, expire, bindings, memberships };
            self.loader.take_peer(NewPeer { id, user_name_hash, person }, peer)?;
        }
        Ok(ids)
    }

    fn memberships(&mut self) -> Result<Vec<(GroupIndex, Mode, Window)>, ImageError> {
        let mut all: Vec<(GroupIndex, Mode, Window)> = Vec::new();
        for _ in 0..self.number()? {
            let group = GroupIndex::of(self.place(usize::try_from(self.groups).unwrap_or(0))?)?;
            if all.last().is_some_and(|(last, ..)| *last >= group) {
                return malformed("something twice");
            }
            let Terms { mode, window, .. } = self.terms()?;
            all.push((group, mode, window));
        }
        Ok(all)
    }

    fn bindings(&mut self) -> Result<Vec<LooseBinding>, ImageError> {
        let mut all: Vec<LooseBinding> = Vec::new();
        for _ in 0..self.number()? {
            let Bound { id, account, role, terms: Terms { mode, reach, window } } = self.bound()?;
            if all.last().is_some_and(|last| last.record.id >= id) {
                return malformed("something twice");
            }
            let (account, role) = (AccountIndex::of(account)?, RoleIndex::of(role)?);
            all.push(LooseBinding::new(id, account, role, (reach, mode), window));
        }
        Ok(all)
    }

    fn keys(&mut self, peers: &[PeerId]) -> Result<(), ImageError> {
        for _ in 0..self.number()? {
            let hash = self.bytes()?;
            let id = ApiKeyId::from(self.uuid()?);
            let Some(peer) = peers.get(self.place(peers.len())?).copied() else { return malformed("a peer") };
            let expire_time = match self.bytes()? {
                [0] => None,
                [1] => Some(self.time()?),
                _ => return malformed("a key"),
            };
            self.loader.take(Fact::ApiKey(ApiKeyFact { id, peer, hash, expire_time }))?;
        }
        Ok(())
    }

    fn bound(&mut self) -> Result<Bound, ImageError> {
        let id = BindingId::from(self.uuid()?);
        let (account, role) = (self.place(self.accounts.len())?, self.place(self.roles.len())?);
        Ok(Bound { id, account, role, terms: self.terms()? })
    }

    fn terms(&mut self) -> Result<Terms, ImageError> {
        let [flags] = self.bytes()?;
        if flags & !term::ALL != 0 {
            return malformed("a binding");
        }
        let mut time = |is_there| if flags & is_there == 0 { Ok(None) } else { self.time().map(Some) };
        let (start, expire) = (time(term::STARTS)?, time(term::EXPIRES)?);
        let Ok(window) = Window::parse(start, expire) else { return malformed("a window") };
        Ok(Terms {
            mode: if flags & term::ELIGIBLE == 0 { Mode::Active } else { Mode::Eligible },
            reach: if flags & term::ACCOUNT_ONLY == 0 { Reach::Subtree } else { Reach::AccountOnly },
            window,
        })
    }

    fn json<T: DeserializeOwned>(&mut self) -> Result<T, ImageError> {
        let length = self.number()?;
        let mut text = Vec::new();
        // It grows by what is there, whatever the length says.
        if length > TEXT_MAX || (&mut *self.from).take(length).read_to_end(&mut text)? as u64 != length {
            return malformed("a text");
        }
        serde_json::from_slice(&text).or(malformed("a text"))
    }

    /// A place among so many.
    fn place(&mut self, count: usize) -> Result<usize, ImageError> {
        match usize::try_from(self.number()?) {
            Ok(place) if place < count => Ok(place),
            Ok(_) | Err(_) => malformed("a name"),
        }
    }

    fn time(&mut self) -> Result<Timestamp, ImageError> {
        Ok(Timestamp::from_micros(i64::from_be_bytes(self.bytes()?)))
    }

    fn uuid(&mut self) -> Result<Uuid, ImageError> {
        Ok(Uuid::from_bytes(self.bytes()?))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ImageError> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, ImageError> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let [byte] = self.bytes()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        malformed("a number")
    }
}
