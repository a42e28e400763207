//! Layers around every service, outermost first in [`super::server`].

pub mod gate;
