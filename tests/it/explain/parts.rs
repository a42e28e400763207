//! What a trace says of the parts of a condition: what was there, and what is wanted.

use peerage::transport::grpc::pb;
use peerage::transport::grpc::pb::condition_trace::Found;

use super::{Scene, ask, decided, send};
use crate::conditions::{context, number, text, when};
use crate::roles::mask;
use crate::support::policy::{allow, binding};
use crate::support::{Client, request_id};

fn wanted() -> pb::Condition {
    use pb::attribute_match::Demand;

    let is = |attribute: &str, demand| pb::AttributeMatch { attribute: attribute.to_owned(), demand: Some(demand) };
    let metals = ["gold", "silver"].map(text).to_vec();
    // A minute of the year's shortest window, which no test meets.
    let window = pb::WeeklyWindow {
        days: vec![pb::DayOfWeek::Monday.into()],
        start_minute: 540,
        end_minute: 541,
        time_zone: "Asia/Kathmandu".to_owned(),
    };
    pb::Condition {
        source_networks: vec!["203.0.113.0/24".to_owned(), "2001:db8::/32".to_owned()],
        weekly_windows: vec![window],
        resource_attributes: vec![
            is("seats", Demand::Range(pb::IntRange { start: Some(5), end: Some(50) })),
            is("tier", Demand::AnyOf(pb::AttributeValueList { values: metals })),
            is("unit", Demand::Prefix("lab-".to_owned())),
        ],
        account_labels: vec![pb::AccountLabelMatch { key: "env".to_owned(), values: vec!["test".to_owned()] }],
    }
}

async fn label(client: &Client, account: &str, value: &str) {
    let labels = [("env".to_owned(), value.to_owned())].into();
    let request = pb::UpdateAccountRequest {
        account: Some(pb::Account { name: account.to_owned(), labels, ..Default::default() }),
        update_mask: mask(&["labels"]),
        request_id: request_id(),
        ..Default::default()
    };
    client.accounts().update_account(request).await.unwrap();
}

#[tokio::test]
async fn a_condition_that_fails_is_shown_with_what_was_asked_and_what_was_wanted() {
    let scene = Scene::start().await;
    let operator = scene.server.operator();
    label(&operator, &scene.msp, "prod").await;
    let held = scene.bound(&[when(allow("users.view"), wanted())], |_| {}).await;
    let circumstances = context("::ffff:198.51.100.7", &[("seats", number(50)), ("tier", text("iron\nALLOW"))]);
    let question = pb::ExplainAuthorizationRequest {
        context: Some(circumstances),
        ..ask(&scene.emily.name, "users.view", &scene.contoso)
    };
    let told = send(&operator, question.clone()).await.unwrap();
    assert_eq!(decided(&told), pb::DecisionReason::NoMatchingGrant);
    let trace = told.grants.iter().find(|trace| trace.role_binding == held.name).unwrap();
    assert_eq!((trace.outcome(), trace.redacted), (pb::GrantOutcome::ConditionNotMet, false));
    assert_eq!(trace.condition, Some(wanted()));
    let parts: Vec<_> = trace
        .condition_parts
        .iter()
        .map(|part| (part.part(), part.index, part.outcome(), part.found.clone()))
        .collect();
    use pb::{ConditionOutcome as Outcome, ConditionPart as Part};
    let expected = [
        (Part::AccountLabel, 0, Outcome::Fails, Some(Found::LabelValue("prod".to_owned()))),
        (Part::WeeklyWindows, 0, Outcome::Fails, None),
        (Part::SourceNetworks, 0, Outcome::Fails, Some(Found::SourceAddress("198.51.100.7".to_owned()))),
        (Part::ResourceAttribute, 0, Outcome::Fails, Some(Found::AttributeValue(number(50)))),
        (Part::ResourceAttribute, 1, Outcome::Fails, Some(Found::AttributeValue(text("iron\nALLOW")))),
        (Part::ResourceAttribute, 2, Outcome::Missing, None),
    ];
    assert_eq!(parts, expected);
    let clock = &trace.condition_parts[1].local_times[0];
    // Nepal is five hours and three quarters ahead; 1970 began on a Thursday.
    let minutes = told.evaluate_time.unwrap().seconds / 60 + 5 * 60 + 45;
    let day = i32::try_from((minutes / 1440 + 3) % 7 + 1).unwrap();
    assert_eq!((clock.time_zone.as_str(), clock.day, i64::from(clock.minute)), ("Asia/Kathmandu", day, minutes % 1440));
    for line in [
        "the account's label `env` is \"prod\", and is to be \"test\"",
        "Asia/Kathmandu is not in MONDAY 09:00-09:01 Asia/Kathmandu",
        "the source address 198.51.100.7 is not in 203.0.113.0/24 or 2001:db8::/32",
        "the attribute `seats` is 50, and is to be a number from 5 to before 50",
        "the attribute `tier` is \"iron\\nALLOW\", and is to be \"gold\" or \"silver\"",
        "the request lacks the attribute `unit`, which is to begin with \"lab-\"",
    ] {
        assert!(told.text.lines().any(|told| told.ends_with(line)), "{line}: {}", told.text);
    }

    // A label may come from above: without a view of the account it is not told, whether or not there is one.
    let own = |told: &pb::ExplainAuthorizationResponse| {
        let trace = told.grants.iter().find(|trace| trace.role_binding == held.name).unwrap();
        (trace.redacted, trace.condition_parts[0].clone())
    };
    let blind = send(&scene.emily.client, question.clone()).await.unwrap();
    let (redacted, part) = own(&blind);
    assert!(redacted && part.redacted && part.found.is_none(), "{part:?}");
    assert!(blind.text.contains("the account's label `env` is not \"test\"") && !blind.text.contains("prod"));
    // The subject's role that shows accounts shows it.
    let viewer = scene.role(&[allow("accounts.view")]).await;
    crate::bindings::bind(&operator, binding(&scene.emily.name, &viewer, &scene.contoso)).await.unwrap();
    let (redacted, part) = own(&send(&scene.emily.client, question).await.unwrap());
    assert!(!redacted && part.found == Some(Found::LabelValue("prod".to_owned())), "{part:?}");
    scene.server.stop().await;
}

#[tokio::test]
async fn the_parts_of_a_condition_stay_hidden_with_its_role() {
    let scene = Scene::start().await;
    let service = scene
        .server
        .peer(&scene.contoso, "rmm", "roles/core.backend_service", pb::PeerKind::Integration, &[&scene.contoso])
        .await;
    scene.bound(&[when(allow("users.view"), wanted())], |_| {}).await;
    let told = send(&service.client, ask(&scene.emily.name, "users.view", &scene.contoso)).await.unwrap();
    let trace = &told.grants[0];
    let decider = told.decision.as_ref().is_some_and(|decision| decision.role == trace.role && !trace.role.is_empty());
    assert!(!decider && trace.redacted && trace.condition_parts.is_empty() && trace.condition.is_none(), "{told:#?}");
    for secret in ["203.0.113.0", "silver", "Kathmandu", "seats"] {
        assert!(!told.text.contains(secret), "{secret}: {}", told.text);
    }
    scene.server.stop().await;
}
