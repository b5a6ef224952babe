//! Any bytes are a message or an error; what was read is written and read again as it is.
#![no_main]

use haggle_negotiate::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::decode(bytes) {
        let written = message.encode().expect("what was read has only finite numbers");
        assert_eq!(Message::decode(&written).expect("what was written can be read"), message);
    }
});
