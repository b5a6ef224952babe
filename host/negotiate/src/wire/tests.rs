use haggle_model::Timestamp;
use proptest::prelude::*;

use super::{Content, DecodeError, Message, Party, Proposed};
use crate::{
    MessageId, Offer,
    testing::{name, rps},
};

fn message(content: Content) -> Message {
    Message {
        session: "n1".into(),
        message: MessageId(3),
        in_reply_to: Some(MessageId(2)),
        at: Timestamp::from_millis(1_000),
        from: Party::Service(name("cart")),
        to: Party::Session,
        content,
    }
}

#[test]
fn reads_what_a_stranger_writes() {
    let text = r#"{"session": "n1", "message": 3, "in_reply_to": 2, "from": {"service": "cart"},
        "type": "counter", "data": {"quantities": {"requests_per_second": 5}, "reason": "full"}}"#;
    let offer = Offer { quantities: rps(5.0), reason: "full".into() };
    let mut wanted = message(Content::Counter(offer));
    wanted.at = Timestamp::default();
    assert_eq!(Message::decode(text.as_bytes()), Ok(wanted));
    let all = r#"{"session": "n1", "message": 3, "in_reply_to": 2, "at": 1,
        "from": {"service": "cart"}, "type": "propose", "data": "all"}"#;
    let wanted = message(Content::Propose(Proposed::All));
    assert_eq!(Message::decode(all.as_bytes()), Ok(wanted));
}

#[test]
fn says_what_is_wrong() {
    for (data, part) in [
        (r#"{"quantities": {"requests_per_second": -5}, "reason": ""}"#, "between 0"),
        (r#"{"quantities": {"requests_per_second": 1e300}, "reason": ""}"#, "between 0"),
        (r#"{"quantities": {"wishes": 5}, "reason": ""}"#, "wishes"),
        (r#"{"reason": ""}"#, "quantities"),
    ] {
        let text = format!(
            r#"{{"session": "n1", "message": 3, "from": {{"service": "cart"}}, "type": "counter", "data": {data}}}"#
        );
        let error = Message::decode(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let long = vec![b' '; Message::MOST_BYTES + 1];
    assert_eq!(Message::decode(&long), Err(DecodeError::TooLong(long.len())));
}

proptest! {
    /// Any bytes decode to a message or an error. A decoded message survives another round trip unchanged.
    #[test]
    fn decoding_never_panics_and_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(Message::decode(&message.encode().unwrap()), Ok(message));
        }
    }

    #[test]
    fn offers_read_back(amount in 0.0..1e12_f64, reason in "\\PC*") {
        let sent = message(Content::Counter(Offer { quantities: rps(amount), reason }));
        prop_assert_eq!(Message::decode(&sent.encode().unwrap()), Ok(sent));
    }
}
