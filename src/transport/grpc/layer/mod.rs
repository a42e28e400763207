//! Layers around every service; their order is seen in `transport::grpc::server`.

pub mod admission;
mod arrival;
pub mod gate;
pub mod observe;
pub mod turns;
pub mod web;
