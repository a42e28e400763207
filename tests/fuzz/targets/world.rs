//! Files of `peerage apply`: a wrong one is told apart from a right one, with lines that it has.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage::cli;

fuzz_target!(|text: &str| {
    if let Err(problems) = cli::check_world("world", text) {
        assert!(!problems.is_empty());
    }
});
