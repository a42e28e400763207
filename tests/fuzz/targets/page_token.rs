//! Page tokens: one that was not sealed here opens nowhere, and one that was gives its place back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use peerage::crypto::page_token::{Context, NONCE, PageKey};
use peerage::domain::time::Timestamp;

const NOW: Timestamp = Timestamp::from_micros(1_000);
const END: Timestamp = Timestamp::from_micros(2_000);
const HERE: Context = Context([7; 32]);
const ELSEWHERE: Context = Context([8; 32]);

fuzz_target!(|bytes: &[u8]| {
    let key = PageKey::new(&[3; 32]);
    if let Ok(token) = std::str::from_utf8(bytes) {
        assert_eq!(key.open(token, HERE, NOW), None, "a made up token opens");
    }
    let Some((change, place)) = bytes.split_first_chunk::<3>() else { return };
    let Some(token) = key.seal([5; NONCE], place, HERE, END) else { return };
    assert_eq!(key.open(&token, HERE, NOW).as_deref(), Some(place));
    assert_eq!(key.open(&token, ELSEWHERE, NOW), None);
    assert_eq!(key.open(&token, HERE, END), None);
    // One character is another one, or a piece is cut off.
    let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % token.len();
    assert_eq!(key.open(&token[..at], HERE, NOW), None);
    let mut forged = token.clone().into_bytes();
    if forged[at] != change[2] {
        forged[at] = change[2];
        if let Ok(forged) = String::from_utf8(forged) {
            assert_eq!(key.open(&forged, HERE, NOW), None, "{at}");
        }
    }
});
