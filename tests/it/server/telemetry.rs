//! OpenTelemetry: a server process exports to a collector that this test runs, which speaks the real
//! protocol; and one whose collector is away serves as if there were none.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use peerage::transport::grpc::pb;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};

use crate::support::{self, Client};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
pub(super) const TOKEN: &str = "collector-token";

/// What a collector was sent.
#[derive(Clone, Default)]
pub(super) struct Collector {
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    logs: Arc<Mutex<Vec<ExportLogsServiceRequest>>>,
}

fn assert_token<T>(request: &Request<T>) {
    assert_eq!(request.metadata().get("x-token").unwrap(), TOKEN);
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        assert_token(&request);
        self.traces.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        assert_token(&request);
        self.metrics.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        assert_token(&request);
        self.logs.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

impl Collector {
    pub(super) async fn listen(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()))
            .add_service(LogsServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)));
        url
    }

    fn spans(&self) -> Vec<Span> {
        let traces = self.traces.lock().unwrap();
        let scopes = traces.iter().flat_map(|one| &one.resource_spans).flat_map(|one| &one.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Everything that was sent, as text to search in.
    pub(super) fn everything(&self) -> String {
        format!("{:?}{:?}{:?}", self.traces.lock().unwrap(), self.metrics.lock().unwrap(), self.logs.lock().unwrap())
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value?;
    match value {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server process in a folder that was prepared.
async fn serve(folder: &Path, settings: &str) -> (Child, Client) {
    let listen = support::free_address();
    std::fs::write(folder.join("peerage.toml"), settings).unwrap();
    let mut command = super::peerage(folder, &["serve", "--config", "peerage.toml", "--listen", &listen]);
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let channel = Endpoint::from_shared(format!("http://{listen}")).unwrap().connect_lazy();
    support::until_serving(channel.clone()).await;
    let key = std::fs::read_to_string(folder.join("operator.key")).unwrap().trim().to_owned();
    (child, Client::new(channel, &key))
}

pub(super) async fn end(mut child: Child) -> Duration {
    let began = Instant::now();
    let sent = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert!(tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap().success());
    began.elapsed()
}

fn traced<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{PARENT}-{flags}").parse().unwrap());
    request
}

fn check() -> pb::AuthorizeRequest {
    pb::AuthorizeRequest {
        permission: "accounts.view".to_owned(),
        account: "accounts/platform".to_owned(),
        ..Default::default()
    }
}

fn new_peer(user_name: &str) -> pb::CreatePeerRequest {
    pb::CreatePeerRequest {
        peer: Some(pb::Peer {
            user_name: user_name.to_owned(),
            display_name: "Emily Chen".to_owned(),
            kind: pb::PeerKind::Person.into(),
            home_account: "accounts/platform".to_owned(),
            ..Default::default()
        }),
        role: "roles/core.auditor".to_owned(),
        access: Some(pb::PeerAccess { scope: Some(pb::peer_access::Scope::All(true)) }),
        justification: "confidential reason".to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_metrics_and_logs_reach_a_collector_without_anything_personal() {
    let collector = Collector::default();
    let url = collector.listen().await;
    let folder = super::prepared();
    let settings = format!(
        "[log]\nformat = \"json\"\n[shutdown]\ndrain_delay_ms = 0\n[telemetry]\nendpoint = \"{url}\"\n\
         export_interval_ms = 100\ndecision_sample_ratio = 0.0\nheaders = {{ x-token = \"{TOKEN}\" }}\n"
    );
    let (child, operator) = serve(folder.path(), &settings).await;
    operator.access().authorize(traced(check(), "01")).await.unwrap();
    operator.access().authorize(traced(check(), "00")).await.unwrap();
    operator.access().authorize(check()).await.unwrap();
    let user_name = "emily.chen@example.com";
    let peer = operator.peers().create_peer(traced(new_peer(user_name), "01")).await.unwrap().into_inner();
    operator.peers().create_peer(new_peer(user_name)).await.unwrap_err();
    let secret = pb::ApiKey { peer: peer.name.clone(), title: "mine".to_owned(), ..Default::default() };
    let secret = pb::CreateApiKeyRequest { api_key: Some(secret), ..Default::default() };
    let key = operator.auth().create_api_key(secret).await.unwrap().into_inner().key;
    end(child).await;

    let spans = collector.spans();
    let of = |method: &str| spans.iter().filter(|span| span.name.ends_with(method)).collect::<Vec<_>>();
    let [authorize] = of("/Authorize")[..] else { panic!("{spans:?}") };
    assert_eq!((hex(&authorize.trace_id), hex(&authorize.parent_span_id)), (TRACE.to_owned(), PARENT.to_owned()));
    assert_eq!(authorize.name, "peerage.v1.AccountAccessService/Authorize");
    assert_eq!(text(&authorize.attributes, "rpc.grpc.status_code").as_deref(), Some("0"));
    assert_eq!(text(&authorize.attributes, "decision.effect").as_deref(), Some("ALLOW"));
    let [first, second] = of("/CreatePeer")[..] else { panic!("{spans:?}") };
    assert_eq!(hex(&first.trace_id), TRACE);
    assert!(hex(&second.trace_id) != TRACE && second.parent_span_id.is_empty(), "a call of its own begins a trace");
    assert_eq!(text(&second.attributes, "rpc.grpc.status_code").as_deref(), Some("6"));
    assert!(text(&second.attributes, "actor.uid").is_some());

    // Audit events carry the id of the trace, whoever began it.
    let [api_key] = of("/CreateApiKey")[..] else { panic!("{spans:?}") };
    let database = std::fs::read(folder.path().join("peerage.db")).unwrap();
    for id in [TRACE.to_owned(), hex(&api_key.trace_id)] {
        assert!(database.windows(id.len()).any(|window| window == id.as_bytes()), "{id}");
    }

    let requests = collector.metrics.lock().unwrap().clone();
    let resource = requests[0].resource_metrics[0].resource.clone().unwrap();
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("peerage"));
    let last = &requests.last().unwrap().resource_metrics[0].scope_metrics[0].metrics;
    let decisions = last.iter().find(|metric| metric.name == "peerage_decisions_total").unwrap();
    let Some(Data::Sum(sum)) = &decisions.data else { panic!("{decisions:?}") };
    let allowed = sum.data_points.iter().find(|point| text(&point.attributes, "outcome").as_deref() == Some("allow"));
    assert!(format!("{:?}", allowed.unwrap().value).contains("3.0"), "the last export holds everything");
    let durations = last.iter().find(|metric| metric.name == "peerage_rpc_duration_seconds").unwrap();
    let Some(Data::Histogram(histogram)) = &durations.data else { panic!("{durations:?}") };
    for point in &histogram.data_points {
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
    }

    let logs = format!("{:?}", collector.logs.lock().unwrap());
    assert!(logs.contains("serving") && logs.contains("draining"), "{logs}");
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.lines().count() > 1);
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    let operator_key = std::fs::read_to_string(folder.path().join("operator.key")).unwrap();
    for told in [collector.everything(), log] {
        for secret in [operator_key.trim(), &key, user_name, "emily", "Emily", "confidential", TOKEN, "@"] {
            assert!(!told.contains(secret), "`{secret}` is in {told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_slows_and_stops_nothing() {
    let folder = super::prepared();
    // It accepts connections and answers nothing, which is worse than nobody.
    let hole = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = format!(
        "[shutdown]\ndrain_delay_ms = 0\n[telemetry]\nendpoint = \"http://{}\"\nexport_interval_ms = 50\n\
         export_timeout_ms = 500\ndecision_sample_ratio = 1.0\n",
        hole.local_addr().unwrap()
    );
    let (child, operator) = serve(folder.path(), &settings).await;
    let began = Instant::now();
    for _ in 0..3_000 {
        operator.access().authorize(check()).await.unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(end(child).await < Duration::from_secs(10), "the last telemetry is given up");
}
