//! Values that others own, read when somebody asks for metrics: the snapshot, the database's pools,
//! and what else keeps a count of its own.
//!
//! A part of the server that has such a value gets a gauge in `Gauges` and a line in `sample`; its
//! own path then pays nothing.

use prometheus::{Gauge, IntGauge, IntGaugeVec, Opts, Registry};

use super::metrics::Metrics;
use crate::application::Ctx;

/// The gauges that `sample` sets.
#[derive(Debug)]
pub(super) struct Gauges {
    revision: IntGauge,
    age: Gauge,
    facts: IntGaugeVec,
    ready: IntGauge,
    pool: IntGaugeVec,
    jobs: IntGaugeVec,
    shadow: IntGaugeVec,
}

impl Gauges {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauges = Self {
            revision: IntGauge::new("peerage_snapshot_revision", "The policy's revision that decisions are made at.")?,
            age: Gauge::new("peerage_snapshot_age_seconds", "Time since the snapshot was known to be the newest.")?,
            facts: IntGaugeVec::new(Opts::new("peerage_snapshot_facts", "What the snapshot holds."), &["kind"])?,
            ready: IntGauge::new("peerage_ready", "Whether facts are loaded and followed: 1 or 0.")?,
            pool: IntGaugeVec::new(
                Opts::new("peerage_database_connections", "Connections to the database."),
                &["pool", "state"],
            )?,
            jobs: IntGaugeVec::new(
                Opts::new("peerage_jobs", "Jobs that run or wait for the threads kept for them, and their limit."),
                &["threads", "state"],
            )?,
            shadow: IntGaugeVec::new(
                Opts::new(
                    "peerage_shadow_decisions",
                    "Decisions that plain casbin was asked about too, since the start.",
                ),
                &["result"],
            )?,
        };
        registry.register(Box::new(gauges.revision.clone()))?;
        registry.register(Box::new(gauges.age.clone()))?;
        registry.register(Box::new(gauges.facts.clone()))?;
        registry.register(Box::new(gauges.ready.clone()))?;
        registry.register(Box::new(gauges.pool.clone()))?;
        registry.register(Box::new(gauges.jobs.clone()))?;
        registry.register(Box::new(gauges.shadow.clone()))?;
        Ok(gauges)
    }
}

/// Reads what others own into the gauges.
pub fn sample(metrics: &Metrics, ctx: &Ctx) {
    let gauges = &metrics.sampled;
    let snapshot = ctx.snapshot();
    gauges.revision.set(snapshot.revision());
    // Before the first, no age is old enough.
    gauges.age.set(ctx.policy.age().map_or(f64::INFINITY, |age| age.as_secs_f64()));
    let sizes = snapshot.sizes();
    for (kind, count) in [
        ("accounts", sizes.accounts),
        ("peers", sizes.peers),
        ("roles", sizes.roles),
        ("bindings", sizes.bindings),
        ("groups", sizes.groups),
        ("permissions", sizes.permissions),
        ("api_keys", sizes.api_keys),
    ] {
        gauges.facts.with_label_values(&[kind]).set(whole(count));
    }
    gauges.ready.set(i64::from(ctx.policy.is_ready()));
    for pool in ctx.store.pools() {
        gauges.pool.with_label_values(&[pool.name, "idle"]).set(whole(pool.idle));
        gauges.pool.with_label_values(&[pool.name, "used"]).set(whole(pool.open.saturating_sub(pool.idle)));
        gauges.pool.with_label_values(&[pool.name, "limit"]).set(whole(pool.limit));
    }
    for pool in [&ctx.pools.hashing, &ctx.pools.pictures] {
        gauges.jobs.with_label_values(&[pool.name(), "taken"]).set(whole(pool.taken()));
        gauges.jobs.with_label_values(&[pool.name(), "limit"]).set(whole(pool.room()));
    }
    let shadow = ctx.shadow.counts();
    for (result, count) in [
        ("alike", shadow.alike),
        ("different", shadow.different),
        ("dropped", shadow.dropped),
        ("failed", shadow.failed),
    ] {
        gauges.shadow.with_label_values(&[result]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
