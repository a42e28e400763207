//! Layers around every service; their order is seen in [`super::server::stack`].

pub mod admission;
pub mod gate;
pub mod observe;
pub mod turns;
pub mod web;
