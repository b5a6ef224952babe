//! The text of a trace.

use haggle_control::{Effect, Input, Record, Write};
use haggle_negotiate::{Content, Message};

pub(super) fn brief_input(input: &Input) -> String {
    match input {
        Input::Tick => "tick".into(),
        Input::Reconcile(_) => "pass".into(),
        Input::Consulted(answers) => {
            let answers = answers.iter().map(|(question, answer)| {
                let said = match answer {
                    Ok(content) => kind(content),
                    Err(why) => why.clone(),
                };
                format!("{} of {} says {said}", question.session, question.to)
            });
            format!("consulted: {}", answers.collect::<Vec<_>>().join(", "))
        }
        Input::Message { message, .. } => format!("message: {}", brief(message)),
        Input::Replied(question, content) => {
            format!("replied to {}: {}", brief(question), kind(content))
        }
        Input::Unreached(message, _) => format!("unreached: {}", brief(message)),
        Input::Undeliverable(message, _) => format!("undeliverable: {}", brief(message)),
        Input::Observed(all) => {
            let all = all.iter().map(|one| format!("{} {:.1}", one.service, one.load));
            format!("observed: {}", all.collect::<Vec<_>>().join(", "))
        }
        Input::Forecasts(all) => {
            let all = all.iter().map(|one| match &one.outlook {
                Ok(outlook) => {
                    let mean = outlook.mean.first().copied().unwrap_or_default();
                    format!("{} {mean:.1} ({:.1})", one.service, outlook.confidence)
                }
                Err(why) => format!("{} {why}", one.service),
            });
            format!("forecast: {}", all.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

pub(super) fn brief_effect(effect: &Effect) -> String {
    let text = match effect {
        Effect::Commit { id, writes } => {
            let writes: Vec<String> = writes.iter().map(brief_write).collect();
            format!("commit {}: {}", id.0, writes.join("; "))
        }
        Effect::Consult(consultation) => {
            let messages: Vec<String> = consultation.messages.iter().map(brief).collect();
            format!("consult {}: {}", consultation.plugin, messages.join(", "))
        }
        Effect::Deliver { message, .. } => format!("deliver {}", brief(message)),
        Effect::Answer { caller, answer } => match answer {
            Ok(answer) => format!("answer {}: {answer:?}", caller.0),
            Err(error) => format!("answer {}: {error}", caller.0),
        },
        Effect::Actuate(action) => format!(
            "actuate {}: {} (decision {})",
            action.service.name, action.replicas, action.sequence
        ),
        Effect::Publish(event) => format!("publish {}: {}", event.subject, event.message),
        other => format!("{other:?}"),
    };
    format!("    {text}")
}

fn brief_write(write: &Write) -> String {
    match write {
        Write::Put(Record::Lease(lease)) => format!(
            "put {} of {} to {}, {} ({}) {} to {}",
            lease.id,
            lease.owner,
            lease.holder,
            lease.amounts,
            lease.replicas,
            lease.window.start,
            lease.window.end
        ),
        Write::Put(record @ (Record::State(..) | Record::Request(_))) => format!("put {record:?}"),
        Write::Put(record) => format!("put {:?}", record.key()),
        Write::Delete(key) => format!("delete {key:?}"),
        Write::Append(decision) => format!(
            "decision {}: {} {} -> {} ({})",
            decision.sequence, decision.service, decision.from, decision.to, decision.explanation
        ),
    }
}

fn kind(content: &Content) -> String {
    match content {
        Content::Counter(offer) => format!("counter {}", offer.quantities),
        Content::Refuse { reason } => format!("refuse: {reason}"),
        other => other.kind().to_owned(),
    }
}

fn brief(message: &Message) -> String {
    let Message { session, message: id, from, to, content, .. } = message;
    format!("{session}/{id} {} {from} to {to}", content.kind())
}
