//! Domain values to store, each with every field away from its default.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use peerage::domain::account::{
    Account, AccountKind, OwnershipRequest, PartnerAccess, Settings, Suspension, SuspensionScope,
};
use peerage::domain::api_key::ApiKey;
use peerage::domain::binding::{Binding, Mode, Principal, Reach};
use peerage::domain::group::{Group, Member};
use peerage::domain::ids::{AccountId, ApiKeyId, BindingId, GroupId, PeerId, RoleId};
use peerage::domain::peer::{MailFormat, Peer, PeerKind, PeerStatus, PhotoReference, Profile, TwoFactor, UserName};
use peerage::domain::permission::{Permission, PermissionFlags, PermissionName, PermissionOwner};
use peerage::domain::role::{
    AssuranceLevel, Condition, Effect, Grant, Requirements, Role, RoleOrigin, RoleRules, StepUp,
};
use peerage::domain::time::{Timestamp, Window};
use peerage::storage::{Store, accounts, peers, roles};
use uuid::Uuid;

/// A condition with every part that there is.
const CONDITION: &str = r#"{
    "source_networks": ["10.0.0.0/8", "2001:db8::/32"],
    "weekly_windows": [{"days": ["MONDAY"], "start_minute": 540, "end_minute": 1020, "time_zone": "Europe/Vienna"}],
    "resource_attributes": [
        {"attribute": "name", "prefix": "srv-"},
        {"attribute": "seats", "range": {"start": 1, "end": 50}},
        {"attribute": "tier", "any_of": ["gold", 7, true]}
    ],
    "account_labels": {"env": ["stage", "test"]}
}"#;

/// Ids that rise, as the server's do, and are the same in every run.
pub(super) fn fresh() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Uuid::from_u64_pair(0x0193_a7b2_0000_7000, 0x8000_0000_0000_0000 | NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

pub(super) fn id(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

pub(super) fn account(name: &str, parent: Option<&str>, kind: AccountKind) -> Account {
    Account {
        id: id(name),
        parent: parent.map(id),
        kind,
        title: format!("Title of {name}, Zoë"),
        labels: BTreeMap::from([("env".to_owned(), "test".to_owned())]),
        suspension: Some(Suspension {
            scope: SuspensionScope::OwnPeers,
            reason: "unpaid".to_owned(),
            suspend_time: at(2),
        }),
        settings: Settings {
            partner_access: Some(PartnerAccess::SessionOnly),
            role_packs: Some(vec!["msp-panel".to_owned()]),
            password_policy: Default::default(),
        },
        first_peer: Some(PeerId::from(fresh())),
        ownership_request: Some(OwnershipRequest {
            new_owner: PeerId::from(fresh()),
            requester: PeerId::from(fresh()),
            reason: "leaving".to_owned(),
            request_time: at(2),
        }),
        create_time: at(1),
        update_time: at(2),
        version: 3,
        update_revision: 4,
    }
}

pub(super) fn peer(user_name: &str, home: &str) -> Peer {
    Peer {
        id: PeerId::from(fresh()),
        user_name: UserName::parse(user_name).unwrap(),
        kind: PeerKind::Person,
        home: id(home),
        status: PeerStatus::Enabled,
        profile: Profile {
            first_name: "Sarah".into(),
            last_name: "Wilson".into(),
            display_name: "Sarah Wilson".into(),
            company_name: "Contoso".into(),
            email: "Sarah@contoso.example".into(),
            mail_format: MailFormat::PlainText,
            two_factor: TwoFactor::Totp,
            password_never_expires: true,
            org_user: "swilson".into(),
            time_zone: "Europe/Berlin".into(),
            ..Profile::default()
        },
        expire_time: Some(at(5)),
        person: Some(PeerId::from(fresh())),
        default_role: Some(RoleId::parse("core.auditor").unwrap()),
        create_time: at(1),
        update_time: at(2),
        delete_time: None,
        last_login_time: Some(at(3)),
        last_active_time: Some(at(4)),
        photo: Some(PhotoReference { etag: "0123abcd".into(), update_time: at(5) }),
        version: 6,
        update_revision: 7,
    }
}

pub(super) fn role(role: RoleId, origin: RoleOrigin, title: &str) -> Role {
    let grant = Grant {
        pattern: peerage::domain::permission::Pattern::parse("devices.*").unwrap(),
        effect: Effect::Allow,
        requirements: Requirements {
            step_up: Some(StepUp { level: AssuranceLevel::Totp, max_age_seconds: 900 }),
            approval: true,
        },
        condition: serde_json::from_str::<Condition>(CONDITION).unwrap(),
    };
    Role {
        id: role,
        origin,
        title: title.to_owned(),
        description: "What it is for".to_owned(),
        grants: vec![grant],
        rules: RoleRules {
            max_holders: Some(2),
            peer_kinds: vec![PeerKind::Person],
            session_role: Some(RoleId::parse("core.auditor").unwrap()),
            ..RoleRules::default()
        },
        copied_from: Some(RoleId::parse("core.auditor").unwrap()),
        create_time: at(1),
        update_time: at(2),
        version: 3,
        update_revision: 4,
    }
}

pub(super) fn built_in(name: &str) -> Role {
    role(RoleId::parse(name).unwrap(), RoleOrigin::BuiltIn, "Technician")
}

pub(super) fn custom(owner: &str, title: &str, inheritable: bool) -> Role {
    role(RoleId::custom(fresh()), RoleOrigin::Custom { owner: id(owner), inheritable }, title)
}

pub(super) fn binding(principal: Principal, role: &RoleId, account: &str) -> Binding {
    Binding {
        id: BindingId::from(fresh()),
        principal,
        role: role.clone(),
        account: id(account),
        reach: Reach::Subtree,
        mode: Mode::Active,
        window: Window::ALWAYS,
        justification: "ticket 7".to_owned(),
        creator: None,
        create_time: at(1),
        update_time: at(2),
        version: 3,
        update_revision: 4,
    }
}

pub(super) fn group(account: &str, title: &str) -> Group {
    Group {
        id: GroupId::from(fresh()),
        account: id(account),
        title: title.to_owned(),
        description: "Who is in it".to_owned(),
        create_time: at(1),
        update_time: at(2),
        version: 3,
        update_revision: 4,
    }
}

pub(super) fn member(group: GroupId, peer: PeerId) -> Member {
    let window = Window::parse(Some(at(10)), Some(at(20))).unwrap();
    Member { group, peer, mode: Mode::Eligible, window, create_time: at(1), update_revision: 1 }
}

pub(super) fn api_key(peer: PeerId, first: u8) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from(fresh()),
        peer,
        title: "for the nightly job".to_owned(),
        hash: [first; 32],
        creator: Some(peer),
        create_time: at(1),
        expire_time: None,
        revoke_time: None,
        last_used_time: None,
        update_revision: 4,
    }
}

pub(super) fn permission(name: &str) -> Permission {
    Permission {
        name: PermissionName::parse(name).unwrap(),
        title: "A permission".to_owned(),
        feature: "Devices".to_owned(),
        flags: PermissionFlags { privileged: true, on_suspended: true, ..PermissionFlags::default() },
        owner: PermissionOwner::Pack("core".to_owned()),
    }
}

/// The tree `platform > msp > {contoso > sales, fabrikam}`, and a role.
pub(super) async fn tree(store: &Store) -> Role {
    use AccountKind::{Customer, Department, Partner, Platform};
    let transaction = store.begin().await.unwrap();
    let conn = transaction.connection();
    for (name, parent, kind) in [
        ("platform", None, Platform),
        ("msp", Some("platform"), Partner),
        ("contoso", Some("msp"), Customer),
        ("sales", Some("contoso"), Department),
        ("fabrikam", Some("msp"), Customer),
    ] {
        accounts::insert(conn, &account(name, parent, kind)).await.unwrap();
    }
    let role = built_in("opspilot365.technician");
    roles::insert(conn, &role).await.unwrap();
    transaction.commit().await.unwrap();
    role
}

/// Stores a peer and returns it.
pub(super) async fn add_peer(store: &Store, user_name: &str, home: &str) -> Peer {
    let peer = peer(user_name, home);
    let transaction = store.begin().await.unwrap();
    peers::insert(transaction.connection(), &peer).await.unwrap();
    transaction.commit().await.unwrap();
    peer
}
