//! The doors: gRPC. Nothing is decided here; requests are read, handed on, and answered.

pub mod grpc;
