//! Lists: filters, texts, orders, pages and subtrees, on both databases; and what they do not tell.

use std::collections::BTreeSet;
use std::time::Duration;

use peerage::transport::grpc::pb;
use tonic::Code;

use super::{AUDITOR, all, below, names, of, on_both, page, personal, record, report, service};
use crate::support::{Client, Server, bad_fields, reason};

/// Two customers of one provider, with some users reported at each; returns the provider.
async fn world(server: &Server) -> String {
    let msp = server.partner("msp", &["opspilot365"]).await;
    for (customer, users) in [("contoso", ["jane@contoso.com", "Zoë"]), ("fabrikam", ["joe@fabrikam.com", "JANE"])] {
        let customer = server.customer(customer, &msp).await;
        for user in users {
            server.advance(Duration::from_secs(60));
            record(&server.operator(), vec![report(&customer, user)]).await.unwrap();
        }
    }
    msp
}

/// The numbers of the events of a log that a filter and a text leave.
async fn seqs(client: &Client, account: &str, filter: &str, query: &str) -> Vec<i64> {
    let (filter, query) = (filter.to_owned(), query.to_owned());
    let request = pb::ListAuditEventsRequest { filter, query, ..of(account) };
    all(client, request).await.iter().map(|event| event.seq).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_44_a_log_is_filtered_by_time_actor_action_target_outcome_and_reason() {
    on_both(|server| async move {
        let msp = server.partner("msp", &["opspilot365"]).await;
        let (operator, customer) = (server.operator(), server.customer("contoso", &msp).await);
        let service = service(&server, "service", &[]).await;
        server.advance(Duration::from_secs(100));
        let denied = pb::ReportedEvent {
            outcome: pb::AuditOutcome::Denied.into(),
            reason: "NOT_TODAY".to_owned(),
            ..report(&customer, "jane")
        };
        let thing = Some(pb::ReportedText { value: "things/7".to_owned(), public: true });
        let named = pb::ReportedEvent { target_name: thing, actor: service.name.clone(), ..report(&customer, "") };
        record(&service.client, vec![denied, named]).await.unwrap();
        // 1 is the making of the account, then the two reports.
        let request = pb::GetPeerRequest { name: "peers/me".to_owned(), ..Default::default() };
        let me = operator.peers().get_peer(request).await.unwrap().into_inner().name;
        let begin = "2026-01-05T08:00:50Z";
        for (filter, wanted) in [
            (String::new(), vec![1, 2, 3]),
            ("outcome = DENIED".to_owned(), vec![2]),
            ("outcome != DENIED".to_owned(), vec![1, 3]),
            ("reason = NOT_TODAY".to_owned(), vec![2]),
            ("reason:*".to_owned(), vec![2]),
            ("NOT reason:*".to_owned(), vec![1, 3]),
            ("reason != NOT_TODAY".to_owned(), vec![1, 3]),
            ("action = \"accounts.create\"".to_owned(), vec![1]),
            ("action = \"accounts.create\" OR target = \"things/7\"".to_owned(), vec![1, 3]),
            ("target = \"things/7\"".to_owned(), vec![3]),
            ("target != \"things/7\"".to_owned(), vec![1, 2]),
            ("actor = peers/me".to_owned(), vec![1]),
            (format!("actor = {me}"), vec![1]),
            (format!("actor = {}", service.name), vec![2, 3]),
            (format!("actor = {} AND NOT outcome = DENIED", service.name), vec![3]),
            ("reporter:*".to_owned(), vec![2, 3]),
            (format!("reporter != {}", service.name), vec![1]),
            (format!("occur_time < \"{begin}\""), vec![1]),
            (format!("record_time >= \"{begin}\" AND outcome = SUCCESS"), vec![3]),
            ("account = accounts/contoso AND outcome = FAILED".to_owned(), vec![]),
            ("account != accounts/contoso".to_owned(), vec![]),
        ] {
            assert_eq!(seqs(&operator, &customer, &filter, "").await, wanted, "{filter}");
        }
        server.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_44_a_text_is_found_in_names_reasons_and_changes_until_it_is_erased() {
    on_both(|server| async move {
        let msp = server.partner("msp", &["opspilot365"]).await;
        let customer = server.customer("contoso", &msp).await;
        let change = |before: &str, after: &str| pb::ReportedChange {
            field: "phone".to_owned(),
            before: personal(before),
            after: personal(after),
        };
        let with = |user: &str, event: pb::ReportedEvent| pb::ReportedEvent { target_name: personal(user), ..event };
        let plain = report(&customer, "x");
        let events = vec![
            with("jane@contoso.com", pb::ReportedEvent { justification: "Called in".to_owned(), ..plain.clone() }),
            with("Zoë 100%_", pb::ReportedEvent { changes: vec![change("+1 555", "+1 777")], ..plain.clone() }),
            with("JANET", pb::ReportedEvent { source_address: "203.0.113.9".to_owned(), ..plain.clone() }),
            with(
                "x",
                pb::ReportedEvent {
                    outcome: pb::AuditOutcome::Failed.into(),
                    reason: "DIRECTORY_AWAY".to_owned(),
                    user_agent: "unsearched/1".to_owned(),
                    ..plain
                },
            ),
        ];
        record(&server.operator(), events).await.unwrap();
        let operator = server.operator();
        for (query, wanted) in [
            ("jane", vec![2, 4]),
            ("Jane@Contoso", vec![2]),
            ("ZOE\u{308}", vec![3]),
            ("100%_", vec![3]),
            ("0%", vec![3]),
            ("%_", vec![3]),
            ("%%%", vec![]),
            ("777", vec![3]),
            ("555", vec![3]),
            ("called IN", vec![2]),
            ("203.0.113", vec![4]),
            ("directory", vec![5]),
            ("reset_password", vec![2, 3, 4, 5]),
            ("unsearched", vec![]),
            ("operator", vec![1, 2, 3, 4, 5]),
            ("\"jane\" OR", vec![]),
            ("'; --", vec![]),
        ] {
            assert_eq!(seqs(&operator, &customer, "", query).await, wanted, "{query}");
        }
        assert_eq!(seqs(&operator, &customer, "outcome = FAILED", "reset_password").await, [5]);
        // Erasing a value deletes its row, and with that the index forgets it.
        let store = &server.running().ctx().store;
        let transaction = store.begin().await.unwrap();
        let erase = "DELETE FROM audit_personal WHERE path = '/target/name' AND seq = 2";
        sea_orm::ConnectionTrait::execute_unprepared(transaction.connection(), erase).await.unwrap();
        transaction.commit().await.unwrap();
        for (query, wanted) in
            [("jane", vec![4]), ("ja", vec![4]), ("called in", vec![2]), ("reset_p", vec![2, 3, 4, 5])]
        {
            assert_eq!(seqs(&operator, &customer, "", query).await, wanted, "{query}");
        }
        let event = all(&operator, of(&customer)).await.remove(1);
        assert!(event.target.unwrap().target_name.unwrap().erased);
        server.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn op_44_a_subtree_is_one_list_in_one_order_with_each_act_once() {
    on_both(|server| async move {
        let msp = world(&server).await;
        let operator = server.operator();
        let oldest = all(&operator, below(&msp)).await;
        let newest =
            all(&operator, pb::ListAuditEventsRequest { order_by: "record_time desc".to_owned(), ..below(&msp) }).await;
        let mut reversed = names(&newest);
        reversed.reverse();
        assert_eq!(reversed, names(&oldest));
        let times: Vec<_> = oldest.iter().map(|event| event.record_time.unwrap().seconds).collect();
        assert!(times.is_sorted(), "{times:?}");
        // The makings of the accounts stand in two logs each.
        let made: Vec<_> = oldest.iter().filter(|event| event.action == "accounts.create").collect();
        assert_eq!(made.len(), 3, "{made:?}");
        let logs: BTreeSet<&str> = oldest.iter().map(|event| event.account.as_str()).collect();
        assert_eq!(logs, BTreeSet::from(["accounts/contoso", "accounts/fabrikam", "accounts/msp"]));
        let whole = all(&operator, below("accounts/platform")).await;
        let within: Vec<String> = names(&whole).into_iter().filter(|name| names(&oldest).contains(name)).collect();
        assert_eq!(within, names(&oldest), "the order of a part is that of the whole");
        for size in [1, 2, 3] {
            for order_by in ["record_time", "record_time desc"] {
                let (page_size, order_by) = (size, order_by.to_owned());
                let wanted = if order_by.ends_with("desc") { names(&newest) } else { names(&oldest) };
                let request = pb::ListAuditEventsRequest { page_size, order_by, ..below(&msp) };
                assert_eq!(names(&all(&operator, request).await), wanted, "{size}");
            }
        }
        // What is asked of one log is asked of all, and an account that is named is shown as it is.
        let of_jane = pb::ListAuditEventsRequest { query: "jane".to_owned(), ..below(&msp) };
        let found: Vec<String> = all(&operator, of_jane).await.into_iter().map(|event| event.account).collect();
        assert_eq!(found, ["accounts/contoso", "accounts/fabrikam"]);
        let filter = "account = accounts/msp AND action = \"accounts.create\"".to_owned();
        let found = all(&operator, pb::ListAuditEventsRequest { filter, ..below(&msp) }).await;
        assert_eq!(found.len(), 3, "with the copies of acts that stand in other logs too");
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn op_44_a_hidden_log_is_not_there_and_a_subtree_tells_nothing_of_it() {
    let server = Server::start().await;
    let msp = world(&server).await;
    let other = server.partner("other", &["opspilot365"]).await;
    let technician = server.person_on(&msp, "emily", "roles/opspilot365.technician", &["accounts/contoso"]).await;
    let auditor = server.person_on(&msp, "sarah", AUDITOR, &["accounts/contoso"]).await;
    for hidden in [msp.as_str(), "accounts/fabrikam", "accounts/platform", other.as_str(), "accounts/nowhere"] {
        for request in [of(hidden), below(hidden)] {
            let status = page(&auditor.client, &request).await.unwrap_err();
            assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"), "{hidden}");
        }
        let watch = pb::WatchAuditEventsRequest { account: hidden.to_owned(), ..Default::default() };
        let status = auditor.client.audit().watch_audit_events(watch).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{hidden}");
    }
    // Who may view an account and not its log is told so.
    let viewer = server.custom_role(&msp, &["accounts.view", "audit.view", "role_bindings.view"]).await;
    let blind = server.custom_role(&msp, &["accounts.view", "!audit.view"]).await;
    let mike = server.person(&msp, "mike", &viewer).await;
    server.bind(&mike.name, &blind, "accounts/fabrikam").await;
    let status = page(&mike.client, &of("accounts/fabrikam")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    // Neither the rows nor the pages of a subtree show what one may not view in it.
    let seen = all(&mike.client, below(&msp)).await;
    assert!(seen.iter().any(|event| event.account == "accounts/contoso"));
    assert!(seen.iter().all(|event| event.account != "accounts/fabrikam"), "{:?}", names(&seen));
    let text = format!("{:?}", seen.iter().filter(|event| event.action == "users.reset_password").collect::<Vec<_>>());
    assert!(text.contains("jane@contoso.com") && !text.contains("joe@fabrikam.com"), "{text}");
    for query in ["joe@fabrikam.com", "JANE"] {
        let request = pb::ListAuditEventsRequest { query: query.to_owned(), ..below(&msp) };
        assert!(all(&mike.client, request).await.iter().all(|event| event.account == "accounts/contoso"), "{query}");
    }
    let request = pb::ListAuditEventsRequest { filter: "account = accounts/fabrikam".to_owned(), ..below(&msp) };
    assert_eq!(all(&mike.client, request).await, []);
    drop(technician);
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_named() {
    let server = Server::start().await;
    let operator = server.operator();
    let msp = server.partner("msp", &["opspilot365"]).await;
    let customer = server.customer("contoso", &msp).await;
    let department = server.department("sales", &customer).await;
    let good = of(&customer);
    type Request = pb::ListAuditEventsRequest;
    for (field, why, wrong) in [
        ("filter", "FILTER_INVALID", Request { filter: "secret = x".to_owned(), ..good.clone() }),
        ("filter", "FILTER_INVALID", Request { filter: "action = ".to_owned(), ..good.clone() }),
        ("filter", "FILTER_INVALID", Request { filter: "outcome = GOOD".to_owned(), ..good.clone() }),
        ("filter", "FILTER_INVALID", Request { filter: "actor = peers/@emily".to_owned(), ..good.clone() }),
        ("order_by", "ORDER_BY_INVALID", Request { order_by: "seq".to_owned(), ..good.clone() }),
        ("page_token", "PAGE_TOKEN_INVALID", Request { page_token: "x".to_owned(), ..good.clone() }),
        ("page_size", "INVALID_FIELDS", Request { page_size: -1, ..good.clone() }),
        ("start_seq", "INVALID_FIELDS", Request { start_seq: -1, ..good.clone() }),
        ("start_seq", "INVALID_FIELDS", Request { start_seq: 1, ..below(&customer) }),
        ("query", "INVALID_FIELDS", Request { query: "x".repeat(129), ..good.clone() }),
        ("account", "INVALID_FIELDS", of("contoso")),
        ("account", "INVALID_FIELDS", of(&department)),
    ] {
        let status = page(&operator, &wrong).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, why), "{wrong:?}");
        assert_eq!(bad_fields(&status), [field], "{wrong:?}");
    }
    let many = Request { filter: "x = y".to_owned(), start_seq: -1, order_by: "x".to_owned(), ..of("") };
    let mut fields = bad_fields(&page(&operator, &many).await.unwrap_err());
    fields.sort();
    assert_eq!(fields, ["account", "filter", "order_by", "start_seq"]);
    // A message of the error says where in the filter.
    let wrong = Request { filter: "action = a AND secret = x".to_owned(), ..good };
    assert!(page(&operator, &wrong).await.unwrap_err().message().contains("at character 16"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_neither_skip_nor_repeat_while_events_arrive() {
    on_both(|server| async move {
        let msp = server.partner("msp", &["opspilot365"]).await;
        let (left, right) = (server.customer("aa", &msp).await, server.customer("zz", &msp).await);
        let operator = server.operator();
        let add = async |count: usize| {
            for number in 0..count {
                server.advance(Duration::from_millis(7));
                let at = if number % 3 == 0 { &left } else { &right };
                record(&operator, vec![report(at, &format!("user-{number}")), report(at, "same")]).await.unwrap();
            }
        };
        add(20).await;
        for (filter, query) in [("", ""), ("action = \"users.reset_password\"", ""), ("", "user-"), ("", "e")] {
            for order_by in ["record_time", "record_time desc"] {
                let list = pb::ListAuditEventsRequest {
                    page_size: 7,
                    filter: filter.to_owned(),
                    query: query.to_owned(),
                    order_by: order_by.to_owned(),
                    ..below(&msp)
                };
                let there = names(&all(&operator, list.clone()).await);
                let (mut seen, mut request) = (Vec::new(), list);
                loop {
                    let page = page(&operator, &request).await.unwrap();
                    seen.extend(names(&page.audit_events));
                    if page.next_page_token.is_empty() || seen.len() > there.len() + 60 {
                        break;
                    }
                    request.page_token = page.next_page_token;
                    add(1).await;
                }
                let unique: BTreeSet<&String> = seen.iter().collect();
                assert_eq!(unique.len(), seen.len(), "{filter} {query} {order_by}: something came twice");
                let old: Vec<&String> = seen.iter().filter(|name| there.contains(name)).collect();
                assert_eq!(old, there.iter().collect::<Vec<_>>(), "{filter} {query} {order_by}");
                let came = seen.len() > there.len();
                assert_eq!(came, order_by == "record_time", "new events come at the end, if at all");
            }
        }
        server.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_list_begins_at_any_number_in_either_order() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["opspilot365"]).await;
    let customer = server.customer("contoso", &msp).await;
    let events = (0..9).map(|number| report(&customer, &format!("user-{number}"))).collect();
    record(&server.operator(), events).await.unwrap();
    let from = async |start_seq: i64, order_by: &str, page_size: i32| -> Vec<i64> {
        let order_by = order_by.to_owned();
        let request = pb::ListAuditEventsRequest { start_seq, order_by, page_size, ..of(&customer) };
        all(&server.operator(), request).await.iter().map(|event| event.seq).collect()
    };
    for size in [2, 1000] {
        assert_eq!(from(0, "", size).await, (1..=10).collect::<Vec<_>>());
        assert_eq!(from(8, "", size).await, [8, 9, 10]);
        assert_eq!(from(11, "", size).await, [0; 0]);
        assert_eq!(from(3, "record_time desc", size).await, [3, 2, 1]);
        assert_eq!(from(i64::MAX, "record_time desc", size).await, (1..=10).rev().collect::<Vec<_>>());
    }
    server.stop().await;
}

/// Of one page a call reads no more than it may, however little there is to find.
#[tokio::test]
async fn a_page_is_bounded_in_bytes_and_goes_on() {
    let server = Server::start().await;
    let msp = server.partner("msp", &["opspilot365"]).await;
    let customer = server.customer("contoso", &msp).await;
    let long = "x".repeat(4000);
    let change = |number: usize| pb::ReportedChange {
        field: format!("field-{number}"),
        before: personal(&long),
        after: personal(&long),
    };
    let large = pb::ReportedEvent { changes: (0..40).map(change).collect(), ..report(&customer, "jane") };
    for _ in 0..6 {
        record(&server.operator(), vec![large.clone()]).await.unwrap();
    }
    let first = page(&server.operator(), &of(&customer)).await.unwrap();
    assert!((2..6).contains(&first.audit_events.len()), "{}", first.audit_events.len());
    let seqs: Vec<i64> = all(&server.operator(), of(&customer)).await.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=7).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn the_logs_of_deleted_accounts_stay_in_the_list_of_what_is_above_them() {
    let server = Server::start().await;
    let msp = world(&server).await;
    let auditor = server.person(&msp, "sarah", AUDITOR).await;
    let request = pb::DeleteAccountRequest { name: "accounts/contoso".to_owned(), cascade: true, ..Default::default() };
    server.operator().accounts().delete_account(request).await.unwrap();
    for client in [&auditor.client, &server.operator()] {
        let seen = all(client, below(&msp)).await;
        let of_jane = seen.iter().filter(|event| event.summary.contains("jane@contoso.com")).count();
        assert_eq!(of_jane, 1, "{:?}", names(&seen));
        let acts: Vec<&str> = seen.iter().map(|event| event.action.as_str()).collect();
        assert_eq!(acts.iter().filter(|action| **action == "accounts.delete").count(), 1, "{acts:?}");
    }
    server.stop().await;
}

/// More logs than are read side by side: then all events are read, and only those of the subtree shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subtree_of_many_logs_is_the_same_list() {
    on_both(|server| async move {
        let msp = server.partner("msp", &["opspilot365"]).await;
        let other = server.partner("other", &["opspilot365"]).await;
        server.customer("hidden", &other).await;
        for number in 0..260 {
            server.customer(&format!("customer-{number:03}"), &msp).await;
        }
        let auditor = server.person(&msp, "sarah", AUDITOR).await;
        for order_by in ["record_time", "record_time desc"] {
            let request = pb::ListAuditEventsRequest { order_by: order_by.to_owned(), page_size: 100, ..below(&msp) };
            let seen = all(&auditor.client, request).await;
            let made = seen.iter().filter(|event| event.action == "accounts.create").count();
            assert_eq!(made, 261, "{order_by}");
            assert!(seen.iter().all(|event| !event.name.contains("hidden") && !event.name.contains("other")));
            let unique: BTreeSet<String> = names(&seen).into_iter().collect();
            assert_eq!(unique.len(), seen.len());
        }
        let query = "customer-25".to_owned();
        let found = all(&auditor.client, pb::ListAuditEventsRequest { query, ..below(&msp) }).await;
        assert_eq!(found.len(), 10, "{:?}", names(&found));
        server.stop().await;
    })
    .await;
}
