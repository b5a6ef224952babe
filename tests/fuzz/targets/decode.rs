//! Any bytes decode to a message or an error, and a decoded message stays the same when it is encoded and decoded
//! again.
#![no_main]

use haggle_negotiate::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::decode(bytes) {
        let written = message.encode().expect("what was read has only finite numbers");
        assert_eq!(Message::decode(&written).expect("what was written can be read"), message);
    }
});
