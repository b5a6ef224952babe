//! The answers of simulated plugins: usually sensible, sometimes missing, an error or nonsense.

use haggle_control::Consultation;
use haggle_model::{Span, Timestamp};
use haggle_negotiate::{Content, Message};

use crate::{
    chance::Chance,
    participant::{absurd, propose},
    world::{FLAKY, Shape},
};

/// The answers of a plugin, and the delay before them.
pub(crate) struct Said {
    pub(crate) after: Span,
    pub(crate) answers: Vec<(Message, Result<Content, String>)>,
}

/// Calls a plugin; `None` if it never answers.
pub(crate) fn call(
    consultation: &Consultation,
    chance: Chance,
    (faults, shape): (bool, Shape),
    delays: bool,
    now: Timestamp,
) -> Option<Said> {
    let Consultation { plugin, messages, .. } = consultation;
    let first = messages.first().map(|message| message.to.to_string()).unwrap_or_default();
    let mut rng = chance.rng(&format!("plugin {plugin} {first}"), now.as_millis());
    // The flaky plugin works at times, and fails for minutes.
    let mood = chance.rng("mood", now.as_millis() / 60_000).u8(0..8);
    let trouble = match (faults, plugin.as_str(), shape) {
        (true, FLAKY, _) => mood,
        (true, _, Shape::Whole) => rng.u8(0..100),
        _ => 100,
    };
    let after = Span::from_millis(if delays { rng.u64(1..40) } else { 5 });
    let answer = |message: &Message| {
        // A sensible answer depends only on the party and the second, so that faults of a plugin elsewhere
        // do not change it.
        let mut sense = chance.rng(&format!("sense {}", message.to), now.as_millis() / 1000);
        let mut sensible = || match &message.content {
            Content::CallForProposals(call) => Ok(propose(call, &mut sense)),
            _ => Err("that is no question".to_owned()),
        };
        let mut rng = chance.rng(&format!("nonsense {}", message.to), now.as_millis());
        let answer = match trouble {
            0 => Err("unreachable executed".to_owned()),
            1 => Ok(absurd(&mut rng)),
            2 if rng.bool() => Err("out of fuel".to_owned()),
            2 => Ok(absurd(&mut rng)),
            _ => sensible(),
        };
        (message.clone(), answer)
    };
    let answers = messages.iter().map(answer).collect();
    match trouble {
        3 => None,
        4 => Some(Said { after: after + Span::from_millis(rng.u64(500..9000)), answers }),
        _ => Some(Said { after, answers }),
    }
}
