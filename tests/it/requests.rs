//! What a call is named by its caller: a repeat of the same call does nothing more.

use std::time::Duration;

use peerage::transport::grpc::pb;
use peerage::transport::grpc::rules::{Audit, Escalation, RULES};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

use crate::support::{Server, bad_fields, reason, request_id};

#[tokio::test]
async fn a_request_id_may_be_used_again_when_its_day_is_over() {
    let server = Server::start().await;
    let api_key = pb::ApiKey { peer: "peers/me".to_owned(), title: "daily".to_owned(), ..Default::default() };
    let request = pb::CreateApiKeyRequest { api_key: Some(api_key), request_id: request_id(), ..Default::default() };
    let mut auth = server.operator().auth();
    let first = auth.create_api_key(request.clone()).await.unwrap().into_inner().api_key.unwrap().name;
    server.advance(Duration::from_hours(24) - Duration::from_micros(1));
    let repeated = auth.create_api_key(request.clone()).await.unwrap().into_inner().api_key.unwrap().name;
    assert_eq!(repeated, first);
    server.advance(Duration::from_micros(1));
    let second = auth.create_api_key(request).await.unwrap().into_inner().api_key.unwrap().name;
    assert_ne!(second, first);
    server.stop().await;
}

#[tokio::test]
async fn a_request_id_is_the_same_however_it_is_spelled() {
    let server = Server::start().await;
    let id = request_id();
    let create = async |request_id: String, title: &str| {
        let api_key = pb::ApiKey { peer: "peers/me".to_owned(), title: title.to_owned(), ..Default::default() };
        let request = pb::CreateApiKeyRequest { api_key: Some(api_key), request_id, ..Default::default() };
        let made = server.operator().auth().create_api_key(request).await?.into_inner();
        Ok::<_, tonic::Status>(made.api_key.unwrap().name)
    };
    let first = create(id.clone(), "one").await.unwrap();
    let spelled = id.to_uppercase();
    assert_eq!(create(spelled.clone(), "one").await.unwrap(), first, "{spelled}");
    let other = create(spelled, "another").await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
    // Hyphens belong to it, and nothing else does.
    for spelled in [id.replace('-', ""), format!("{{{id}}}"), format!("urn:uuid:{id}")] {
        let status = create(spelled.clone(), "one").await.unwrap_err();
        assert_eq!(bad_fields(&status), ["request_id"], "{spelled}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_bad_request_id_is_named_beside_the_other_bad_fields() {
    let server = Server::start().await;
    let operator = server.raw_operator();
    let pool = DescriptorPool::decode(pb::DESCRIPTOR).unwrap();
    for rule in RULES {
        match rule.audit {
            Audit::Mutation(Escalation::Test(_) | Escalation::None(_)) => {}
            Audit::Mutation(Escalation::NotBuilt) | Audit::Read => continue,
        }
        let (service, method) = rule.method.trim_start_matches('/').split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap();
        let method = service.methods().find(|found| found.name() == method).unwrap();
        let mut message = DynamicMessage::new(method.input());
        message.set_field_by_name("request_id", Value::String("no-uuid".to_owned()));
        let status = operator.call(rule.method, message.encode_to_vec()).await.unwrap_err();
        let fields = bad_fields(&status);
        assert!(fields.len() > 1 && fields.contains(&"request_id".to_owned()), "{}: {fields:?}", rule.method);
    }
    // Alone it is refused too.
    let api_key = pb::ApiKey { peer: "peers/me".to_owned(), title: "one".to_owned(), ..Default::default() };
    let request = pb::CreateApiKeyRequest { api_key: Some(api_key), request_id: "x".to_owned(), ..Default::default() };
    let status = server.operator().auth().create_api_key(request).await.unwrap_err();
    assert_eq!(bad_fields(&status), ["request_id"]);
    server.stop().await;
}
