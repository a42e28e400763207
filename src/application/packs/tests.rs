//! What the packs of this release say, what a bad pack is told, and what installing does.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use super::*;
use crate::application::context::{Clock, Ctx};
use crate::application::write::Write;
use crate::decision::Snapshot;
use crate::domain::audit::AuditEvent;
use crate::domain::fact::Fact;
use crate::domain::ids::AccountId;
use crate::domain::permission::{PermissionFlags, PermissionOwner};
use crate::domain::role::Effect;
use crate::storage::{self, Store, StoreOptions};

fn packs() -> Packs {
    Packs::embedded().unwrap()
}

/// The packs of this release with one text exchanged in one of them.
fn edited(id: &str, from: &str, to: &str) -> std::result::Result<Packs, PackError> {
    let mut files = EMBEDDED;
    let file = files.iter_mut().find(|(known, _)| *known == id).unwrap();
    assert!(file.1.contains(from), "`{from}` is not in {id}");
    let text = file.1.replacen(from, to, 1);
    file.1 = &text;
    Packs::read(&files)
}

#[test]
fn every_pack_is_read() {
    let packs = packs();
    let ids: Vec<&str> = packs.iter().map(|pack| pack.id.as_str()).collect();
    assert_eq!(ids, ["core", "mspcontrol", "msp-panel", "opspilot365", "keepit"]);
    for pack in packs.iter() {
        assert!(!pack.roles.is_empty(), "{}", pack.id);
        assert_eq!(pack.matrix.is_some(), pack.id != CORE, "{}", pack.id);
    }
    assert!(packs.role(&RoleId::parse(OPERATOR).unwrap()).is_some());
}

#[test]
fn every_matrix_is_what_the_engine_answers() {
    packs().verify(&mut Compiler::new().unwrap()).unwrap();
}

#[test]
fn a_matrix_that_the_engine_contradicts_is_refused() {
    let mut compiler = Compiler::new().unwrap();
    for (id, from, to, says) in [
        (
            "opspilot365",
            "cells: [YES, WITH_APPROVAL, NO]",
            "cells: [YES, YES, NO]",
            "row `OP-36`, column `opspilot365.technician`: the pack says YES, the engine WITH_APPROVAL",
        ),
        (
            "msp-panel",
            "NO, { partial: [billing.view] }, NO]",
            "NO, YES, NO]",
            "the pack says YES, the engine { partial: [billing.view] }",
        ),
        ("msp-panel", "{ role: end_client, scope: ASSIGNED }", "{ role: end_client, scope: ALL }", "scope All"),
        ("keepit", "      - { allow: api_tokens.create }\n", "", "row `KP-TOKENS`, column `keepit.master_admin`"),
    ] {
        let error = edited(id, from, to).unwrap().verify(&mut compiler).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn grants_of_packs_have_conditions_of_every_kind() {
    let plain = "when: { account_labels: { env: [test] } }";
    let with = |condition: &str| edited("mspcontrol", plain, &format!("when: {condition}"));
    let packs = with(
        "{ account_labels: { env: [test, stage, test] }, source_networks: ['2001:db8::/32', 10.0.0.0/8], \
         weekly_windows: [{ days: [FRIDAY, MONDAY], start_minute: 540, end_minute: 1020, time_zone: Europe/Vienna }], \
         resource_attributes: [{ attribute: tier, any_of: [gold, '7', 7, true] }, { attribute: name, prefix: srv- }, \
         { attribute: size, range: { end: 10 } }] }",
    )
    .unwrap();
    let grants = packs.iter().flat_map(|pack| &pack.roles).flat_map(|role| &role.fact.grants);
    let conditions: Vec<String> = grants
        .filter(|grant| !grant.condition.is_empty())
        .map(|grant| serde_json::to_string(&grant.condition).unwrap())
        .collect();
    let expected = concat!(
        r#"{"source_networks":["10.0.0.0/8","2001:db8::/32"],"weekly_windows":[{"days":["MONDAY","FRIDAY"],"#,
        r#""start_minute":540,"end_minute":1020,"time_zone":"Europe/Vienna"}],"resource_attributes":["#,
        r#"{"attribute":"name","prefix":"srv-"},{"attribute":"size","range":{"end":10}},"#,
        r#"{"attribute":"tier","any_of":["7","gold",7,true]}],"account_labels":{"env":["stage","test"]}}"#
    );
    assert!(conditions.iter().any(|condition| condition == expected), "{conditions:?}");
    for bad in [
        "{ source_networks: [10.0.0.1/8] }",
        "{ weekly_windows: [{ days: [MONDAY], start_minute: 0, end_minute: 1, time_zone: Mars/Here }] }",
        "{ weekly_windows: [{ days: [MONDAY], start_minute: 1440, end_minute: 1, time_zone: Etc/UTC }] }",
        "{ resource_attributes: [{ attribute: tier }] }",
        "{ account_labels: { env: [] } }",
        "{ at_night: true }",
    ] {
        assert!(with(bad).is_err(), "{bad}");
    }
}

#[test]
fn ownership_belongs_to_owners() {
    let packs = packs();
    let name = "accounts.request_ownership_transfer";
    let permission = packs.catalogue().iter().find(|permission| permission.name.as_str() == name).unwrap();
    let holds = |role: &&PackRole| {
        let allows = |grant: &&crate::domain::role::Grant| grant.effect == Effect::Allow;
        role.fact.grants.iter().filter(allows).any(|grant| grant.pattern.matches(permission))
    };
    let holders: Vec<&str> = packs.roles().filter(holds).map(|role| role.fact.id.as_str()).collect();
    assert_eq!(holders, ["core.operator", "mspcontrol.customer_admin_peer", "msp-panel.owner"]);
}

#[test]
fn the_operator_names_every_reserved_permission() {
    let packs = packs();
    let operator = packs.role(&RoleId::parse(OPERATOR).unwrap()).unwrap();
    for permission in packs.catalogue().iter().filter(|permission| permission.flags.reserved) {
        let named = operator.fact.grants.iter().any(|grant| grant.pattern.matches(permission));
        assert!(named, "{}", permission.name);
    }
}

#[test]
fn a_shared_permission_belongs_to_the_first_pack() {
    let packs = packs();
    let named: Vec<_> = packs.catalogue().iter().filter(|known| known.name.as_str() == "devices.view").collect();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0].owner, PermissionOwner::Pack("mspcontrol".to_owned()));
    let error = edited("opspilot365", "title: View devices", "title: See devices").unwrap_err().to_string();
    assert_eq!(error, "pack `opspilot365` lists `devices.view` otherwise than pack `mspcontrol`, which owns it");
}

#[test]
fn a_bad_pack_is_told_where() {
    for (id, from, to, says) in [
        ("core", "source: The", "sauce: The", "cannot be read"),
        ("core", "pack: core", "pack: kernel", "pack `core`, pack: `kernel` must look like"),
        ("core", "flags: [reserved] }", "flags: [reserved, reserved] }", "`accounts.create_partner`: a flag"),
        ("core", "{ allow: access.check }", "{ allow: access.chek }", "role `backend_service`, grant 1: `access.chek`"),
        (
            "core",
            "{ allow: \"*.view\" }",
            "{ allow: \"a*.view\" }",
            "role `auditor`, grant 1: `a*.view` must look like",
        ),
        ("core", "{ allow: audit.export }", "{ allow: a.b, deny: a.b }", "exactly one of `allow` and `deny`"),
        ("core", "{ allow: audit.export }", "{ deny: audit.export, approval: true }", "carries no requirements"),
        ("core", "id: auditor", "id: operator", "roles: `core.operator` contains"),
        ("core", "id: auditor", "id: Auditor", "roles: `Auditor` must look like"),
        ("mspcontrol", "\"websites.*\"", "\"webistes.*\"", "role `web_developer`, grant 1: `webistes.*` is unknown"),
        ("mspcontrol", "{ env: [test] }", "{ Env: [test] }", "grant 1: `Env` must look like"),
        ("msp-panel", "first_peer_role: owner", "first_peer_role: msp_user", "template of Partner: the role cannot"),
        ("msp-panel", "first_peer_role: owner", "first_peer_role: boss", "template of Partner: `boss` is unknown"),
        ("msp-panel", "cells: [YES, YES, YES, NO, YES]", "cells: [YES, YES]", "row `MP-VIEW`: a row has one cell"),
        (
            "msp-panel",
            "partial: [billing.view]",
            "partial: [devices.view]",
            "a partial cell: `devices.view` is unknown",
        ),
        ("opspilot365", "id: OP-33", "id: OP-32", "matrix rows: `OP-32` contains"),
        ("keepit", "session_role: keepit.partner_session", "session_role: keepit.nobody", "`keepit.nobody` is unknown"),
        (
            "keepit",
            "level: NONE, max_age_minutes: 5",
            "level: NONE, max_age_minutes: 0",
            "the step-up asks for nothing",
        ),
    ] {
        let error = edited(id, from, to).unwrap_err().to_string();
        assert!(error.starts_with(&format!("pack `{id}`")) && error.contains(says), "{from} -> {to}: {error}");
    }
}

#[test]
fn keys_are_neither_unknown_nor_repeated() {
    for (from, to) in [
        ("title: Core", "title: Core\ntitle: Core"),
        ("title: Core", "title: Core\nversion: 1"),
        ("    title: Operator", "    title: Operator\n    asignable: false"),
        ("{ allow: audit.record }", "{ allow: audit.record, aproval: true }"),
        ("flags: [reserved]", "flags: [secret]"),
        ("reaches: [SUBTREE]", "reaches: [subtree]"),
    ] {
        assert!(matches!(edited("core", from, to), Err(PackError::Yaml { .. })), "{to}");
    }
}

#[test]
fn templates_are_never_guessed() {
    use AccountKind::{Customer, Department, Partner};
    let packs = packs();
    let on = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<String>>();
    let role = |kind, on: Option<&[String]>, named| {
        packs.template(kind, on, named).map(|found| found.map(|template| template.first_peer_role.to_string()))
    };
    let keepit = on(&["keepit"]);
    assert_eq!(role(Partner, Some(&keepit), None).unwrap().as_deref(), Some("keepit.msp_partner"));
    assert_eq!(role(Customer, None, Some("mspcontrol")).unwrap().as_deref(), Some("mspcontrol.customer_admin_peer"));
    assert_eq!(role(Department, None, None).unwrap(), None);
    assert_eq!(role(Partner, Some(&[]), None).unwrap(), None);
    let all = "mspcontrol, msp-panel, opspilot365, keepit";
    for (kind, on, named, wanted, subject) in [
        (Partner, None, None, Precondition::TemplateAmbiguous, all),
        (Customer, None, None, Precondition::TemplateAmbiguous, "mspcontrol, keepit"),
        (Customer, Some(&*keepit), Some("mspcontrol"), Precondition::TemplateNotAvailable, "mspcontrol"),
        (Customer, None, Some("msp-panel"), Precondition::TemplateNotAvailable, "msp-panel"),
        (Customer, None, Some("nobody"), Precondition::TemplateNotAvailable, "nobody"),
    ] {
        match role(kind, on, named) {
            Err(Error::Precondition { reason, subject: named }) => assert_eq!((reason, &*named), (wanted, subject)),
            other => panic!("{other:?}"),
        }
    }
    let keepit = packs.template(Customer, Some(&keepit), None).unwrap().unwrap();
    assert_eq!(keepit.partner_access, Some(PartnerAccess::SessionOnly));
}

async fn open(folder: &tempfile::TempDir, packs: Packs) -> Ctx {
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("peerage.db").display());
    let store = Store::connect(&url, &StoreOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    let clock = Clock::Manual(Arc::new(AtomicI64::new(1_800_000_000_000_000)));
    Ctx::new(
        store,
        clock,
        Arc::new(packs),
        (Snapshot::default(), Compiler::new().unwrap()),
        crate::application::Pools::start().unwrap(),
    )
}

async fn events(ctx: &Ctx) -> Vec<AuditEvent> {
    let sealed = storage::audit::events_after(ctx.store.reader(), &AccountId::platform(), 0, 100).await.unwrap();
    sealed.iter().map(|event| crate::domain::audit::open(&event.bytes, &event.personal).unwrap()).collect()
}

#[tokio::test]
async fn installing_is_one_change_and_then_none() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = open(&folder, packs()).await;
    install(&ctx).await.unwrap();
    let snapshot = ctx.snapshot();
    assert_eq!((snapshot.revision(), ctx.store.revision().await.unwrap()), (1, 1));
    assert_eq!(snapshot.permissions(), ctx.packs.catalogue());
    assert_eq!(snapshot.roles().count(), ctx.packs.roles().count());
    assert!(snapshot.find_account("platform").is_some());
    let stored = storage::roles::get(ctx.store.reader(), &RoleId::parse("msp-panel.owner").unwrap()).await.unwrap();
    assert_eq!((&*stored.title, stored.version, stored.update_revision), ("Owner", 1, 1));

    install(&ctx).await.unwrap();
    assert_eq!((ctx.snapshot().revision(), ctx.store.revision().await.unwrap()), (1, 1));
    let events = events(&ctx).await;
    assert_eq!(events.len(), 1);
    assert_eq!((&*events[0].body.action, events[0].position.revision), ("packs.install", Some(1)));
    assert_eq!(events[0].body.changes.len(), 5 + ctx.packs.catalogue().len() + ctx.packs.roles().count());
}

#[tokio::test]
async fn a_later_release_changes_what_is_different_only() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = open(&folder, packs()).await;
    install(&ctx).await.unwrap();
    let later =
        edited("msp-panel", "      - { allow: reports.view }\n\n  - id: billing_only", "\n  - id: billing_only");
    let ctx = open(&folder, later.unwrap()).await;
    install(&ctx).await.unwrap();
    assert_eq!(ctx.snapshot().revision(), 2);
    let fields: Vec<String> = events(&ctx).await[1].body.changes.iter().map(|change| change.field.clone()).collect();
    assert_eq!(fields, ["packs.msp-panel", "roles.msp-panel.msp_user"]);
    let id = RoleId::parse("msp-panel.msp_user").unwrap();
    let stored = storage::roles::get(ctx.store.reader(), &id).await.unwrap();
    assert_eq!((stored.version, stored.update_revision), (2, 2));
    assert!(!stored.grants.iter().any(|grant| grant.pattern.as_str() == "reports.view"));

    // A release without that role takes it from nobody; texts alone make no revision.
    let text = edited("msp-panel", "Views the billing section", "Sees the billing section").unwrap();
    let mut fewer = text.clone();
    fewer.packs[2].roles.retain(|role| role.fact.id != id);
    let ctx = open(&folder, fewer).await;
    install(&ctx).await.unwrap();
    assert_eq!(ctx.snapshot().revision(), 2);
    assert!(storage::roles::find(ctx.store.reader(), &id).await.unwrap().is_some());
    assert_eq!(events(&ctx).await.len(), 3);
}

#[tokio::test]
async fn the_operator_keeps_what_services_registered() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = open(&folder, packs()).await;
    install(&ctx).await.unwrap();
    let reserved = Permission {
        name: PermissionName::parse("vaults.open").unwrap(),
        title: "Open vaults".to_owned(),
        feature: "Vaults".to_owned(),
        flags: PermissionFlags { reserved: true, ..PermissionFlags::default() },
        owner: PermissionOwner::Account(AccountId::platform()),
    };
    let mut write = Write::begin_system(&ctx, "test").await.unwrap();
    write.change_as_system(None, Some(Fact::Permission(reserved.clone()))).unwrap();
    storage::permissions::insert_many(write.connection(), &[reserved], write.revision()).await.unwrap();
    write.commit(()).await.unwrap();

    let ctx = open(&folder, edited("core", "title: Operator", "title: The operator").unwrap()).await;
    install(&ctx).await.unwrap();
    let id = RoleId::parse(OPERATOR).unwrap();
    let operator = storage::roles::get(ctx.store.reader(), &id).await.unwrap();
    assert_eq!(operator.title, "The operator");
    assert_eq!(operator.grants.last().unwrap().pattern.as_str(), "vaults.open");

    let ctx = open(&folder, packs()).await;
    install(&ctx).await.unwrap();
    let again = storage::roles::get(ctx.store.reader(), &id).await.unwrap();
    assert_eq!((again.grants, &*again.title), (operator.grants, "Operator"));

    // A pack that lists a service's permission otherwise does not overrule it.
    let line = "  - { name: vaults.open, title: Open vaults, feature: Vaults }\n\nroles:";
    let ctx = open(&folder, edited("core", "\nroles:", line).unwrap()).await;
    let refused = install(&ctx).await;
    assert!(matches!(refused, Err(Error::AlreadyExists { .. })), "{refused:?}");
}
