//! Pictures: whatever comes is refused with a reason or becomes two squares, within the memory and the
//! time that libFuzzer is told to allow.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage::domain::photo::square;

fuzz_target!(|bytes: &[u8]| {
    let Ok(photo) = square(bytes) else { return };
    for side in [&photo.large, &photo.small] {
        assert!(side.starts_with(&[0xFF, 0xD8]) && side.ends_with(&[0xFF, 0xD9]), "a JPEG, and nothing behind it");
    }
});
