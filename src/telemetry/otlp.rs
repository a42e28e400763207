//! OTLP over gRPC: one channel to the collector for traces, metrics and logs.
//!
//! Spans and log records go through the SDK's batch processors. Metrics are what [`Metrics::gather`]
//! returns, written as OTLP messages here; why, is said in `metrics`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, SpanExporter, WithTonicConfig as _};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceMessage;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{BatchConfigBuilder as LogBatch, BatchLogProcessor, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder as SpanBatch, BatchSpanProcessor, SdkTracerProvider, Tracer};
use prometheus::proto::{LabelPair, MetricFamily, MetricType};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{MetadataKey, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::metrics::Metrics;
use super::sampled;
use crate::application::Ctx;
use crate::config::Telemetry;

/// What instruments are said to come from.
const SCOPE: &str = "peerage";

/// Exports that run. [`Export::finish`] sends what is left.
#[derive(Debug)]
pub struct Export {
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
    timeout: Duration,
}

impl Export {
    /// Starts what is configured, without waiting for the collector.
    ///
    /// # Errors
    /// Where the endpoint cannot be used.
    pub(super) fn start(telemetry: &Telemetry) -> anyhow::Result<Option<Self>> {
        let Some(channel) = channel(telemetry)? else { return Ok(None) };
        let metadata = metadata(telemetry)?;
        let resource = resource(telemetry);
        let traces = if telemetry.traces {
            let exporter = SpanExporter::builder().with_tonic().with_channel(channel.clone());
            let exporter = exporter.with_metadata(metadata.clone()).build()?;
            let batch = SpanBatch::default().with_scheduled_delay(telemetry.export_interval()).build();
            let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batch).build();
            let provider = SdkTracerProvider::builder().with_resource(resource.clone()).with_span_processor(processor);
            Some(provider.build())
        } else {
            None
        };
        let logs = if telemetry.logs {
            let exporter = LogExporter::builder().with_tonic().with_channel(channel).with_metadata(metadata).build()?;
            let batch = LogBatch::default().with_scheduled_delay(telemetry.export_interval()).build();
            let processor = BatchLogProcessor::builder(exporter).with_batch_config(batch).build();
            Some(SdkLoggerProvider::builder().with_resource(resource).with_log_processor(processor).build())
        } else {
            None
        };
        Ok(Some(Self { traces, logs, timeout: telemetry.export_timeout() }))
    }

    pub(super) fn tracer(&self) -> Option<Tracer> {
        self.traces.as_ref().map(|provider| provider.tracer(SCOPE))
    }

    pub(super) fn log_bridge(&self) -> Option<OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>> {
        self.logs.as_ref().map(OpenTelemetryTracingBridge::new)
    }

    /// Sends what is left, for at most the time of one export each.
    pub async fn finish(self) {
        let Self { traces, logs, timeout } = self;
        // The SDK waits on a thread, which must not be one that carries the export.
        let sent = tokio::task::spawn_blocking(move || {
            let traces = traces.map(|provider| provider.shutdown_with_timeout(timeout));
            let logs = logs.map(|provider| provider.shutdown_with_timeout(timeout));
            [traces, logs].into_iter().flatten().filter_map(Result::err).map(|error| error.to_string()).collect()
        });
        let failed: Vec<String> = sent.await.unwrap_or_default();
        for error in failed {
            tracing::warn!(error, "the last telemetry could not be sent");
        }
    }
}

/// The channel to the collector, if there is one. It connects when it is first needed.
fn channel(telemetry: &Telemetry) -> anyhow::Result<Option<Channel>> {
    let Some(url) = &telemetry.endpoint else { return Ok(None) };
    let endpoint = Endpoint::from_shared(url.clone()).with_context(|| format!("`telemetry.endpoint`: `{url}`"))?;
    let mut endpoint = endpoint.timeout(telemetry.export_timeout()).connect_timeout(telemetry.export_timeout());
    if url.starts_with("https://") {
        let mut tls = ClientTlsConfig::new().with_enabled_roots();
        if let Some(file) = &telemetry.ca_file {
            let text = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
            tls = tls.ca_certificate(Certificate::from_pem(text));
        }
        endpoint = endpoint.tls_config(tls).context("`telemetry.ca_file` cannot be used")?;
    }
    Ok(Some(endpoint.connect_lazy()))
}

fn metadata(telemetry: &Telemetry) -> anyhow::Result<MetadataMap> {
    let mut metadata = MetadataMap::new();
    for (name, value) in &telemetry.headers {
        let key = MetadataKey::from_bytes(name.as_bytes());
        let key = key.with_context(|| format!("`telemetry.headers`: `{name}` is no name of a header"))?;
        // The value may be a secret, and is not repeated.
        let mut value = value.parse::<tonic::metadata::AsciiMetadataValue>();
        if let Ok(value) = &mut value {
            value.set_sensitive(true);
        }
        metadata.insert(key, value.with_context(|| format!("the value of `telemetry.headers.{name}`"))?);
    }
    Ok(metadata)
}

/// Who the telemetry is of; `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(telemetry: &Telemetry) -> Resource {
    Resource::builder()
        .with_service_name(telemetry.service_name.clone())
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Sends metrics at every interval until it is told to stop, and then once more. Where they are sent
/// nowhere, it only waits to be told.
///
/// # Errors
/// Where the endpoint cannot be used. A collector that is away is tried again at the next interval.
pub async fn push_metrics(
    telemetry: Telemetry,
    metrics: Arc<Metrics>,
    ctx: Arc<Ctx>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(channel) = channel(&telemetry)?.filter(|_| telemetry.metrics) else {
        stop.cancelled().await;
        return Ok(());
    };
    let mut client = MetricsServiceClient::new(channel);
    let metadata = metadata(&telemetry)?;
    let resource = message(&resource(&telemetry));
    let start = nanos(&ctx);
    let mut ticks = tokio::time::interval(telemetry.export_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_reported = false;
    loop {
        let is_last = tokio::select! {
            () = stop.cancelled() => true,
            _ = ticks.tick() => false,
        };
        sampled::sample(&metrics, &ctx);
        let metrics = metrics.gather().iter().filter_map(|family| convert(family, (start, nanos(&ctx)))).collect();
        let scope = InstrumentationScope { name: SCOPE.to_owned(), ..InstrumentationScope::default() };
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() }];
        let mut request = tonic::Request::new(ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(resource.clone()),
                scope_metrics,
                schema_url: String::new(),
            }],
        });
        *request.metadata_mut() = metadata.clone();
        let sent = tokio::time::timeout(telemetry.export_timeout(), client.export(request)).await;
        let is_sent = matches!(sent, Ok(Ok(_)));
        // Said once for each time that the collector is away.
        if !is_sent && !is_reported {
            tracing::warn!("metrics could not be sent to the collector");
        }
        is_reported = !is_sent;
        if is_last {
            return Ok(());
        }
    }
}

fn nanos(ctx: &Ctx) -> u64 {
    u64::try_from(ctx.clock.now().as_micros()).unwrap_or(0).saturating_mul(1000)
}

fn message(resource: &Resource) -> ResourceMessage {
    let attributes = resource.iter().map(|(key, value)| text(key.as_str(), value.as_str().as_ref())).collect();
    ResourceMessage { attributes, ..ResourceMessage::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn attributes(labels: &[LabelPair]) -> Vec<KeyValue> {
    labels.iter().map(|label| text(label.name(), label.value())).collect()
}

/// One family as OTLP writes it; the two that are not used here are left out.
fn convert(family: &MetricFamily, (start, now): (u64, u64)) -> Option<Metric> {
    let temporality = AggregationTemporality::Cumulative.into();
    let point = |metric: &prometheus::proto::Metric, value: f64| NumberDataPoint {
        attributes: attributes(metric.get_label()),
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    };
    let metrics = family.get_metric();
    let data = match family.get_field_type() {
        MetricType::COUNTER => metric::Data::Sum(Sum {
            data_points: metrics.iter().map(|one| point(one, one.get_counter().get_value())).collect(),
            aggregation_temporality: temporality,
            is_monotonic: true,
        }),
        MetricType::GAUGE => metric::Data::Gauge(Gauge {
            data_points: metrics.iter().map(|one| point(one, one.get_gauge().get_value())).collect(),
        }),
        MetricType::HISTOGRAM => metric::Data::Histogram(Histogram {
            data_points: metrics.iter().map(|one| histogram(one, (start, now))).collect(),
            aggregation_temporality: temporality,
        }),
        MetricType::SUMMARY | MetricType::UNTYPED => return None,
    };
    Some(Metric {
        name: family.name().to_owned(),
        description: family.help().to_owned(),
        data: Some(data),
        ..Metric::default()
    })
}

/// Prometheus counts what is at most a bound, OTLP what is between two.
fn histogram(metric: &prometheus::proto::Metric, (start, now): (u64, u64)) -> HistogramDataPoint {
    let histogram = metric.get_histogram();
    let count = histogram.get_sample_count();
    let finite = || histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite());
    let mut below = 0;
    let mut bucket_counts: Vec<u64> = finite()
        .map(|bucket| {
            let between = bucket.cumulative_count().saturating_sub(below);
            below = bucket.cumulative_count();
            between
        })
        .collect();
    bucket_counts.push(count.saturating_sub(below));
    HistogramDataPoint {
        attributes: attributes(metric.get_label()),
        start_time_unix_nano: start,
        time_unix_nano: now,
        count,
        sum: Some(histogram.get_sample_sum()),
        bucket_counts,
        explicit_bounds: finite().map(|bucket| bucket.upper_bound()).collect(),
        ..HistogramDataPoint::default()
    }
}
