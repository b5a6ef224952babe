//! What a trace says.

use haggle_model::Timestamp;
use haggle_negotiate::{Content, Message, Outcome};

pub(super) fn millis(at: Timestamp) -> String {
    format!("{}ms", at.as_millis())
}

pub(super) fn end(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Agreed(agreement) => {
            let leases: Vec<&str> = agreement.leases.iter().map(|id| id.0.as_str()).collect();
            let mut text =
                format!("agreed on {:.3} of it with {}", agreement.fraction, leases.join(", "));
            if !agreement.alternatives.is_empty() {
                text.push_str(&format!(", {:?}", agreement.alternatives));
            }
            text.extend(agreement.borrowed.iter().map(|id| format!(", in place of {id}")));
            text
        }
        Outcome::Failed { reasons, .. } => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            format!("failed: {}", reasons.join("; "))
        }
    }
}

/// A message on one line.
pub(super) fn brief(message: &Message) -> String {
    let Message { session, message: id, from, content, .. } = message;
    let detail = match content {
        Content::Counter(offer) => format!(" of {}", offer.quantities),
        Content::Accept { leases } | Content::Confirm { leases } => {
            leases.iter().map(|lease| format!(" {}", lease.id)).collect()
        }
        Content::Release { leases } => leases.iter().map(|id| format!(" {id}")).collect(),
        Content::Refuse { reason } => format!(" because {reason}"),
        _ => String::new(),
    };
    format!("{session}/{id} {}{detail} of {from}", content.kind())
}
