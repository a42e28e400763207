//! A large world in the tables, from a fixed seed: accounts, peers with all that lists show of them,
//! and a binding each. It writes rows straight, past the use cases: no audit event, no policy change.
//!
//! A tenth as many accounts as peers. A tenth of the peers belong to one large partner, whose rows
//! stand together in every order that follows their making; the others to partners of 50 accounts.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use peerage::domain::account::{Account, AccountKind, Settings};
use peerage::domain::binding::{Binding, Mode, Principal, Reach};
use peerage::domain::ids::{AccountId, BindingId, PeerId, RoleId};
use peerage::domain::peer::{MailFormat, Peer, PeerKind, PeerStatus, Profile, TwoFactor, UserName};
use peerage::domain::time::{Timestamp, Window};
use peerage::storage::{Store, accounts, bindings, peers};
use uuid::Builder;

use crate::random::Random;

const SEED: u64 = 20_261_122;
const FIRST: [&str; 24] = [
    "Emily", "Sarah", "Zoë", "Jürgen", "Ana", "Luís", "Mei", "Olga", "Noah", "Amir", "Priya", "Kofi", "Åsa", "Tom",
    "Ivan", "Léa", "Hugo", "Nina", "Omar", "Yuki", "Rosa", "Paul", "Vera", "Ben",
];
const LAST: [&str; 32] = [
    "Chen", "Wilson", "Müller", "Silva", "Novak", "Okafor", "Patel", "Kim", "Dubois", "Rossi", "Larsen", "Popov",
    "Garcia", "Smith", "Johnson", "Haddad", "Tanaka", "Weber", "Costa", "Jansen", "Moreau", "Kowalski", "Nguyen",
    "Brown", "Ito", "Fischer", "Lopez", "Marino", "Berg", "Adeyemi", "Sato", "Keller",
];
const ROLES: [&str; 6] = [
    "mspcontrol.read_only",
    "mspcontrol.help_desk",
    "opspilot365.technician",
    "opspilot365.read_only",
    "opspilot365.manager",
    "mspcontrol.web_developer",
];
const ACCOUNTS_OF_A_PARTNER: usize = 50;
/// Rows of one transaction.
const CHUNK: usize = 5_000;
const DAY: i64 = 24 * 3_600 * 1_000_000;
/// When the first peer is made.
const BEGIN: i64 = 1_700_000_000_000_000;

/// The partner to which a tenth of all peers belong.
pub(crate) const LARGE: &str = "large-partner";
/// An ordinary partner, and one of its customers.
pub(crate) const PARTNER: &str = "partner-5000";
pub(crate) const CUSTOMER: &str = "customer-5001";

/// Writes the world, of so many peers.
pub(crate) async fn fill(store: &Store, count: usize) -> Result<()> {
    let mut random = Random::new(SEED);
    let accounts = accounts(store, count / 10).await?;
    let large = accounts.len() / 10;
    let mut made = 0;
    while made < count {
        let chunk = CHUNK.min(count - made);
        let (mut rows, mut bound) = (Vec::with_capacity(chunk), Vec::with_capacity(chunk));
        for number in made..made + chunk {
            // The large partner's peers come in the middle, all at once.
            let place = if number >= count / 2 && number < count / 2 + count / 10 {
                random.below(large)
            } else {
                large + random.below(accounts.len() - large)
            };
            let home = accounts.get(place).context("an account")?;
            let peer = peer(&mut random, number, home)?;
            bound.push(binding(&mut random, &peer)?);
            rows.push(peer);
        }
        let transaction = store.begin().await?;
        peers::insert_many(transaction.connection(), &rows).await?;
        bindings::insert_many(transaction.connection(), &bound).await?;
        transaction.commit().await?;
        made += chunk;
        if made.is_multiple_of(20 * CHUNK) {
            writeln!(std::io::stderr(), "{made} peers written")?;
        }
    }
    Ok(())
}

/// The accounts in which peers live, those of the large partner first.
async fn accounts(store: &Store, count: usize) -> Result<Vec<AccountId>> {
    let (mut ids, mut partner) = (Vec::with_capacity(count), AccountId::parse(LARGE)?);
    for numbers in (0..count).collect::<Vec<_>>().chunks(CHUNK) {
        let transaction = store.begin().await?;
        let conn = transaction.connection();
        for number in numbers.iter().copied() {
            let is_large = number < count / 10;
            if number == 0 {
                accounts::insert(conn, &account(partner.clone(), AccountId::platform(), AccountKind::Partner)).await?;
            } else if !is_large && number.is_multiple_of(ACCOUNTS_OF_A_PARTNER) {
                partner = AccountId::parse(&format!("partner-{number}"))?;
                accounts::insert(conn, &account(partner.clone(), AccountId::platform(), AccountKind::Partner)).await?;
                ids.push(partner.clone());
                continue;
            }
            let id = AccountId::parse(&format!("customer-{number}"))?;
            accounts::insert(conn, &account(id.clone(), partner.clone(), AccountKind::Customer)).await?;
            ids.push(id);
        }
        transaction.commit().await?;
    }
    Ok(ids)
}

fn account(id: AccountId, parent: AccountId, kind: AccountKind) -> Account {
    let time = Timestamp::from_micros(BEGIN);
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
        create_time: time,
        update_time: time,
        version: 1,
        update_revision: 0,
    }
}

fn peer(random: &mut Random, number: usize, home: &AccountId) -> Result<Peer> {
    let create = BEGIN + i64::try_from(number)? * 30_000_000;
    let now = BEGIN + 1000 * DAY;
    let first = random.pick(&FIRST).copied().unwrap_or_default();
    let last = random.pick(&LAST).copied().unwrap_or_default();
    let kind = match random.below(100) {
        0..8 => PeerKind::Device,
        8..10 => PeerKind::Integration,
        _ => PeerKind::Person,
    };
    let status = match random.below(200) {
        0 => PeerStatus::Deleted,
        1..5 => PeerStatus::Disabled,
        _ => PeerStatus::Enabled,
    };
    let mut time = |percent: usize, days: usize| -> Result<Option<Timestamp>> {
        let back = i64::try_from(random.below(days * 86_400))? * 1_000_000;
        Ok(random.chance(percent).then(|| Timestamp::from_micros(now - back)))
    };
    let (last_login_time, last_active_time, expire_time) = (time(80, 400)?, time(85, 400)?, time(5, 400)?);
    let two_factor = [TwoFactor::None, TwoFactor::Email, TwoFactor::Totp, TwoFactor::Totp];
    let user_name = format!("{first}.{last}.{number}@{home}.example").to_lowercase();
    let mut bytes = [0; 10];
    bytes.iter_mut().zip(random.uuid().into_bytes()).for_each(|(to, from)| *to = from);
    let role = random.pick(&ROLES).copied().unwrap_or_default();
    let role = if random.chance(4) { "mspcontrol.administrator" } else { role };
    Ok(Peer {
        id: PeerId::from(Builder::from_unix_timestamp_millis(u64::try_from(create / 1000)?, &bytes).into_uuid()),
        user_name: UserName::parse(&user_name)?,
        kind,
        home: home.clone(),
        status,
        profile: Profile {
            first_name: first.to_owned(),
            last_name: last.to_owned(),
            company_name: format!("Company of {home}"),
            email: user_name,
            two_factor: random.pick(&two_factor).copied().unwrap_or_default(),
            mail_format: if random.chance(10) { MailFormat::PlainText } else { MailFormat::Html },
            require_external_login: random.chance(3),
            org_user: if random.chance(30) { format!("{last}{number}") } else { String::new() },
            phone_number: format!("+41 44 {:07}", number % 10_000_000),
            city: "Bern".to_owned(),
            country: "CH".to_owned(),
            ..Profile::default()
        },
        expire_time,
        person: None,
        default_role: Some(RoleId::parse(if kind == PeerKind::Person { role } else { "mspcontrol.device" })?),
        create_time: Timestamp::from_micros(create),
        update_time: Timestamp::from_micros(create),
        delete_time: (status == PeerStatus::Deleted).then(|| Timestamp::from_micros(now)),
        last_login_time,
        last_active_time,
        photo: None,
        version: 1,
        update_revision: 0,
    })
}

fn binding(random: &mut Random, peer: &Peer) -> Result<Binding> {
    Ok(Binding {
        id: BindingId::from(random.uuid()),
        principal: Principal::Peer(peer.id),
        role: peer.default_role.clone().context("a role")?,
        account: peer.home.clone(),
        reach: Reach::Subtree,
        mode: Mode::Active,
        window: Window::parse(None, None)?,
        justification: String::new(),
        creator: None,
        create_time: peer.create_time,
        update_time: peer.create_time,
        version: 1,
        update_revision: 0,
    })
}
