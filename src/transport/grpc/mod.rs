//! The gRPC door. A request passes [`layer::gate`] (credential, method, deadline), a [`service`] that
//! reads it with [`convert`] and hands it to the application, and leaves as a message or, through
//! [`status`] alone, as an error.

pub mod call;
pub mod convert;
pub mod layer;
pub mod pb;
pub mod rules;
pub mod server;
pub mod service;
pub mod status;
