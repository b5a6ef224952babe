//! The core's slow work: plugin calls, messages to remote parties, and driver actions.

use std::{
    future::Future,
    sync::{Arc, mpsc::Sender},
    time::{Duration, Instant},
};

use haggle_actuate::ActuateError;
use haggle_control::{Action, Consultation, Event, EventKind, Input, ReplicaReport};
use haggle_model::{Endpoint, Name};
use haggle_negotiate::Message;
use haggle_plugins::{Consulted, Timeliness};
use haggle_transport::{Reply, Transport};

use super::{Beside, Mail, Reactor};
use crate::shared::Shared;

impl Reactor {
    pub(super) fn consult(&mut self, consultation: Consultation) {
        let now = self.shared.clock.now();
        match &self.beside {
            Beside::Inline(_) => {
                let decider = &self.shared.plugins.decider;
                let answers = decider.consult(now, consultation, Timeliness::InTime);
                consulted(answers).into_iter().for_each(|input| self.note(input));
            }
            Beside::Live { mail, .. } => {
                let Some(under_way) = self.shared.under_way.begin(&consultation.messages) else {
                    return;
                };
                let (shared, mail) = (Arc::clone(&self.shared), mail.clone());
                let plugin = consultation.plugin.clone();
                let refused: Vec<Message> = consultation.messages.clone();
                // Half of the time is reserved for the fallback.
                let late_at = Instant::now() + Duration::from(consultation.patience(now)) / 2;
                let taken = self.shared.lanes.ask(&plugin, late_at, move |timeliness| {
                    let now = shared.clock.now();
                    let answers = shared.plugins.decider.consult(now, consultation, timeliness);
                    drop(under_way);
                    for input in consulted(answers) {
                        drop(mail.send(Mail::Happened(input)));
                    }
                });
                if !taken {
                    let why = || Err(format!("too many calls of plugin {plugin} wait already"));
                    let answers = refused.into_iter().map(|message| (message, why())).collect();
                    self.note(Input::Consulted(answers));
                }
            }
        }
    }

    pub(super) fn deliver(&mut self, endpoint: Endpoint, message: Message) {
        let shared = Arc::clone(&self.shared);
        match &self.beside {
            Beside::Inline(_) => {
                let asked = message.clone();
                let reply = self
                    .shared
                    .wait_for(async move { shared.transport.deliver(&endpoint, &asked).await });
                if let Some(input) = reply.and_then(|reply| heard(message, reply)) {
                    self.note(input);
                }
            }
            Beside::Live { mail, .. } => {
                // Do not send a message again while its delivery is in progress.
                let Some(under_way) = shared.under_way.begin(std::slice::from_ref(&message)) else {
                    return;
                };
                let mail = mail.clone();
                self.shared.edge.spawn(async move {
                    let reply = shared.transport.deliver(&endpoint, &message).await;
                    drop(under_way);
                    if let Some(input) = heard(message, reply) {
                        drop(mail.send(Mail::Happened(input)));
                    }
                });
            }
        }
    }

    /// Makes the driver carry out these actions. A stepped host hands them over together, in order.
    pub(super) fn actuate(&mut self, actions: Vec<Action>) {
        if actions.is_empty() {
            return;
        }
        match &self.beside {
            Beside::Inline(_) => {
                let shared = Arc::clone(&self.shared);
                let reports = self.shared.wait_for(async move {
                    let mut reports = Vec::with_capacity(actions.len());
                    for action in actions {
                        reports.extend(shared.apply(action).await);
                    }
                    reports
                });
                self.note(Input::Driver(reports.unwrap_or_default()));
            }
            Beside::Live { mail, .. } => {
                for action in actions {
                    self.shared.actuate(action, mail.clone());
                }
            }
        }
    }

    pub(super) fn beside_driver(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        match &self.beside {
            Beside::Inline(_) => {
                self.shared.wait_for(work);
            }
            Beside::Live { .. } => {
                self.shared.edge.spawn(work);
            }
        }
    }
}

/// The inputs to the core that result from the answers to a consultation.
fn consulted(answers: Vec<Consulted>) -> Vec<Input> {
    let mut remarks = Vec::new();
    let answer = |Consulted { question, answer, remark }| {
        remarks.extend(remark.map(|remark| (Message::clone(&question), remark)));
        (question, answer)
    };
    let answers = answers.into_iter().map(answer).collect();
    let mut inputs = Vec::with_capacity(2);
    if !remarks.is_empty() {
        inputs.push(Input::Remarked(remarks));
    }
    inputs.push(Input::Consulted(answers));
    inputs
}

/// The input to the core that results from a delivered message, if any.
fn heard(message: Message, reply: Reply) -> Option<Input> {
    let message = Box::new(message);
    Some(match reply {
        Reply::Said(content) => Input::Replied(message, *content),
        Reply::Nothing => return None,
        Reply::Unreadable(why) => Input::Unreadable {
            caller: None,
            session: message.session.clone(),
            from: message.to.clone(),
            about: message.message,
            why,
        },
        Reply::Unreached(why) => {
            tracing::debug!(session = message.session, party = %message.to, why, "not delivered");
            Input::Unreached(message, why)
        }
        Reply::Never(why) => Input::Undeliverable(message, why),
    })
}

impl Shared {
    /// Carries out an action beside the core, unless a worker of the same service will take it.
    fn actuate(self: &Arc<Self>, action: Action, mail: Sender<Mail>) {
        let name = action.service.name.clone();
        if !self.actions.put(action) {
            return;
        }
        let shared = Arc::clone(self);
        self.edge.spawn(async move {
            while let Some(action) = shared.actions.next(&name) {
                if let Some(report) = shared.apply(action).await {
                    drop(mail.send(Mail::Happened(Input::Driver(vec![report]))));
                }
            }
        });
    }

    /// Runs a driver action, and reports the service's replicas afterwards. A failure is reported as an
    /// event; the next pass retries.
    pub(crate) async fn apply(&self, action: Action) -> Option<ReplicaReport> {
        let Action { service, replicas, resources, sequence } = action;
        let name: Name = service.name.clone();
        let action = haggle_actuate::Action {
            service: service.as_ref().clone(),
            replicas,
            resources,
            sequence,
        };
        let now = self.clock.now();
        match self.driver.apply(now, action).await {
            Ok(()) | Err(ActuateError::Superseded { .. }) => {}
            Err(error) => self.events.emit(Event {
                at: now,
                kind: EventKind::Alert,
                subject: name.to_string(),
                message: format!("not scaled to {replicas}: {error}"),
                detail: serde_json::json!({}),
            }),
        }
        let status = self.driver.status(self.clock.now(), &name)?;
        Some(ReplicaReport { service: name, desired: status.desired, ready: status.ready })
    }
}
