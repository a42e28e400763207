//! The gRPC door.

pub mod pb;
