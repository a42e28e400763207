//! The seeded numbers that generated worlds are made from.

pub(crate) use peerage::application::generate::Random;
