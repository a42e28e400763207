//! The peers of a world with all that lists show of them, their bindings, groups and memberships.

use uuid::Builder;

use super::{BEGIN, CHUNK, Counts, DAY, END, Made, Random, World};
use crate::application::error::{Error, Result};
use crate::domain::account::Account;
use crate::domain::binding::{Binding, Mode, Principal, Reach};
use crate::domain::group::{Group, Member};
use crate::domain::ids::{AccountId, BindingId, GroupId, PeerId, RoleId};
use crate::domain::peer::{MailFormat, Peer, PeerKind, PeerStatus, Profile, TwoFactor, UserName};
use crate::domain::time::{Timestamp, Window};
use crate::storage::{bindings, groups, peers};

const FIRST: [&str; 24] = [
    "Emily", "Sarah", "Zoë", "Jürgen", "Ana", "Luís", "Mei", "Olga", "Noah", "Amir", "Priya", "Kofi", "Åsa", "Tom",
    "Ivan", "Léa", "Hugo", "Nina", "Omar", "Yuki", "Rosa", "Paul", "Vera", "Ben",
];
const LAST: [&str; 32] = [
    "Chen", "Wilson", "Müller", "Silva", "Novak", "Okafor", "Patel", "Kim", "Dubois", "Rossi", "Larsen", "Popov",
    "Garcia", "Smith", "Johnson", "Haddad", "Tanaka", "Weber", "Costa", "Jansen", "Moreau", "Kowalski", "Nguyen",
    "Brown", "Ito", "Fischer", "Lopez", "Marino", "Berg", "Adeyemi", "Sato", "Keller",
];
/// The first roles of people, of packs that lists know by name.
const ROLES: [&str; 6] = [
    "mspcontrol.read_only",
    "mspcontrol.help_desk",
    "opspilot365.technician",
    "opspilot365.read_only",
    "opspilot365.manager",
    "mspcontrol.web_developer",
];
const ADMINISTRATOR: &str = "mspcontrol.administrator";
const DEVICE: &str = "mspcontrol.device";
/// How many peers of each kind hold very much.
const STARS: usize = 4;
/// The members of a group, those aside who are in very many.
const MEMBERS: usize = 20;

pub(super) async fn write(
    world: &World<'_>,
    random: &mut Random,
    logs: &mut Counts,
    report: &mut impl FnMut(usize),
) -> Result<Made> {
    let World { ctx, scale, accounts, roles } = *world;
    let mut made = Made::default();
    let large = (accounts.len() / 10).max(1);
    // The large partner's peers come in the middle, all at once.
    let middle = scale.peers / 2..scale.peers / 2 + scale.peers / 10;
    let mut known = Vec::new();
    while made.peers < scale.peers {
        let chunk = CHUNK.min(scale.peers - made.peers);
        let (mut rows, mut bound) = (Vec::with_capacity(chunk), Vec::with_capacity(3 * chunk));
        for number in made.peers..made.peers + chunk {
            let place = match middle.contains(&number) {
                true => random.below(large),
                false => large + random.below(accounts.len() - large),
            };
            let Some(home) = accounts.get(place) else { continue };
            logs.count(place);
            let peer = peer(random, number, &home.id)?;
            let first = peer.default_role.clone();
            bound.extend(first.map(|role| binding(random, &peer, role, home.id.clone())));
            // Two more of three, elsewhere among the accounts of the same partner.
            for _ in 0..2 {
                let near = accounts.get(place + random.below(accounts.len().min(place + 10) - place));
                let role = random.pick(roles).cloned();
                bound.extend(near.zip(role).map(|(near, role)| binding(random, &peer, role, near.id.clone())));
            }
            if number < STARS {
                bound.extend(many(random, world, &peer));
            }
            // Of the others a few become members; more need not be remembered.
            if number.is_multiple_of((scale.peers / 10_000).max(1)) && peer.status == PeerStatus::Enabled {
                known.push(peer.id);
            }
            rows.push(peer);
        }
        let transaction = ctx.store.begin().await?;
        peers::insert_many(transaction.connection(), &rows).await?;
        bindings::insert_many(transaction.connection(), &bound).await?;
        transaction.commit().await?;
        made.peers += rows.len();
        made.bindings += bound.len();
        report(made.peers);
    }
    members(world, random, &known, &mut made).await?;
    Ok(made)
}

/// The bindings of a peer that holds very many, each at another account.
fn many(random: &mut Random, world: &World<'_>, peer: &Peer) -> Vec<Binding> {
    let count = world.accounts.len();
    let accounts = world.accounts.iter().cycle().skip(random.below(count)).take(count);
    let role = |account: &Account| world.roles.get(account.id.as_str().len() % world.roles.len().max(1)).cloned();
    let wanted = accounts.take(world.scale.many_bindings());
    wanted.filter_map(|account| Some(binding(random, peer, role(account)?, account.id.clone()))).collect()
}

/// Groups of customers and partners, each with two roles.
async fn members(world: &World<'_>, random: &mut Random, known: &[PeerId], made: &mut Made) -> Result<()> {
    let World { ctx, scale, accounts, roles } = *world;
    let transaction = ctx.store.begin().await?;
    let conn = transaction.connection();
    for number in 0..scale.groups() {
        let Some(account) = random.pick(accounts) else { continue };
        let group = Group {
            id: GroupId::from(random.uuid()),
            account: account.id.clone(),
            title: format!("Group {number}"),
            description: String::new(),
            create_time: BEGIN,
            update_time: BEGIN,
            version: 1,
            update_revision: 0,
        };
        groups::insert(conn, &group).await?;
        made.groups += 1;
        let given = random.pick(roles).cloned().into_iter().chain(random.pick(roles).cloned());
        let given: Vec<Binding> =
            given.map(|role| bound(random, Principal::Group(group.id), role, account.id.clone(), BEGIN)).collect();
        bindings::insert_many(conn, &given).await?;
        made.bindings += given.len();
        let stars = known.iter().take(STARS).filter(|_| number < scale.many_groups());
        let mut peers: Vec<PeerId> =
            (0..MEMBERS).filter_map(|_| random.pick(known).copied()).chain(stars.copied()).collect();
        peers.sort();
        peers.dedup();
        for peer in peers {
            let member = Member {
                group: group.id,
                peer,
                mode: Mode::Active,
                window: Window::ALWAYS,
                create_time: BEGIN,
                update_revision: 0,
            };
            groups::members::insert(conn, &member).await?;
            made.members += 1;
        }
    }
    transaction.commit().await?;
    Ok(())
}

fn peer(random: &mut Random, number: usize, home: &AccountId) -> Result<Peer> {
    let wrong = |why: crate::domain::invalid::Invalid| Error::Internal(why.into());
    let create = BEGIN.plus_micros(i64::try_from(number).unwrap_or(0) * 30_000_000);
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
    let (last_login_time, last_active_time) = (back(random, 80), back(random, 85));
    let expire_time = back(random, 5).map(|time| time.plus_micros(800 * DAY));
    let two_factor = [TwoFactor::None, TwoFactor::Email, TwoFactor::Totp, TwoFactor::Totp];
    let user_name = format!("{first}.{last}.{number}@{home}.example").to_lowercase();
    let role = random.pick(&ROLES).copied().unwrap_or_default();
    let role = if random.chance(4) { ADMINISTRATOR } else { role };
    let role = if kind == PeerKind::Person { role } else { DEVICE };
    let mut bytes = [0; 10];
    bytes.iter_mut().zip(random.uuid().into_bytes()).for_each(|(to, from)| *to = from);
    let millis = u64::try_from(create.as_micros() / 1000).unwrap_or(0);
    Ok(Peer {
        id: PeerId::from(Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()),
        user_name: UserName::parse(&user_name).map_err(wrong)?,
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
            phone_number: format!("+4144{:07}", number % 10_000_000),
            city: "Bern".to_owned(),
            country: "CH".to_owned(),
            ..Profile::default()
        },
        expire_time,
        person: None,
        default_role: Some(RoleId::parse(role).map_err(wrong)?),
        create_time: create,
        update_time: create,
        delete_time: (status == PeerStatus::Deleted).then_some(END),
        last_login_time,
        last_active_time,
        photo: None,
        version: 1,
        update_revision: 0,
    })
}

/// A time of the last 400 days, for so many of a hundred.
fn back(random: &mut Random, percent: usize) -> Option<Timestamp> {
    let seconds = i64::try_from(random.below(400 * 86_400)).unwrap_or(0);
    random.chance(percent).then(|| END.plus_micros(-seconds * 1_000_000))
}

fn binding(random: &mut Random, peer: &Peer, role: RoleId, account: AccountId) -> Binding {
    bound(random, Principal::Peer(peer.id), role, account, peer.create_time)
}

fn bound(random: &mut Random, principal: Principal, role: RoleId, account: AccountId, time: Timestamp) -> Binding {
    Binding {
        id: BindingId::from(random.uuid()),
        principal,
        role,
        account,
        reach: Reach::Subtree,
        mode: Mode::Active,
        window: Window::ALWAYS,
        justification: String::new(),
        creator: None,
        create_time: time,
        update_time: time,
        version: 1,
        update_revision: 0,
    }
}
