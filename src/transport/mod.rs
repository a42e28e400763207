//! The doors: gRPC, and HTTP for probes and metrics. Nothing is decided here; requests are read,
//! handed on, and answered.

pub mod grpc;
pub mod http;
pub mod socket;
