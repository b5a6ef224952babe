//! One session with everything that it has said and waits for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use haggle_model::{Lease, LeaseId, LeaseState, Name, Owner, Timestamp};

use super::{
    Agreed, Effect, Ending, Persist, Retry, SessionRecord, Setting,
    check::Reply,
    question::{Closed, Kind, Question},
};
use crate::{
    Answer, Call, Commitment, Content, Fault, Information, Input, Message, MessageError, MessageId,
    Outcome, Output, Party, Session, Transcript,
};

#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: String,
    pub(super) requester: Name,
    pub(super) deadline: Timestamp,
    /// None once it has ended and only waits until everybody knows.
    pub(super) session: Option<Session>,
    pub(super) questions: BTreeMap<MessageId, Question>,
    pub(super) closed: BTreeMap<MessageId, Closed>,
    gathering: Option<Gathering>,
    /// On its way to disk.
    pub(super) committing: Option<Committing>,
    /// What was accepted of whom in this round, and is to be confirmed or released.
    accepted: BTreeMap<Party, Vec<Lease>>,
    proposed: BTreeSet<Party>,
    changes: BTreeMap<LeaseId, Lease>,
    recorded: bool,
    last_message: u64,
    keeps_transcript: bool,
    transcript: Transcript,
    /// Nothing is due before.
    pub(super) due: Option<Timestamp>,
    /// When the engine looks at it again.
    pub(super) scheduled: Option<Timestamp>,
}

/// Several answers that a session takes as one.
#[derive(Debug)]
enum Gathering {
    Wave { output: MessageId, answers: Vec<Option<Result<Answer, String>>>, missing: usize },
    Accepts { output: MessageId, missing: usize },
}

#[derive(Debug)]
pub(super) struct Committing {
    output: MessageId,
    commitment: Commitment,
}

/// What a session is told next, and what it wants then.
pub(super) struct Turn<'a, 'b> {
    pub(super) setting: &'a mut Setting<'b>,
    pub(super) retry: Retry,
    pub(super) effects: &'a mut Vec<Effect>,
}

impl Running {
    pub(super) fn new(session: Session, transcripts: bool) -> Self {
        let demand = session.demand();
        Self {
            id: demand.session.clone(),
            requester: demand.requester.clone(),
            deadline: session.deadline(),
            due: Some(session.deadline()),
            session: Some(session),
            questions: BTreeMap::new(),
            closed: BTreeMap::new(),
            gathering: None,
            committing: None,
            accepted: BTreeMap::new(),
            proposed: BTreeSet::new(),
            changes: BTreeMap::new(),
            recorded: false,
            last_message: 0,
            keeps_transcript: transcripts,
            transcript: Transcript::default(),
            scheduled: None,
        }
    }

    /// Writes down that it exists, and does what the session wants first.
    pub(super) fn begin(&mut self, outputs: Vec<Output>, turn: &mut Turn<'_, '_>) {
        self.recorded = true;
        let record = Some(self.record(None));
        turn.effects.push(Effect::Persist(Persist {
            session: self.id.clone(),
            record,
            leases: Vec::new(),
            awaited: false,
        }));
        self.pursue(outputs, turn);
    }

    /// Takes up an agreement of an earlier run: everybody is told once more.
    pub(super) fn resume(record: SessionRecord, agreed: &Agreed, turn: &mut Turn<'_, '_>) -> Self {
        let mut accepted: BTreeMap<Party, Vec<Lease>> = BTreeMap::new();
        for lease in &agreed.leases {
            accepted.entry(party(&lease.owner)).or_default().push(lease.clone());
        }
        let mut running = Self {
            id: record.session,
            requester: record.requester,
            deadline: record.deadline,
            session: None,
            due: None,
            questions: BTreeMap::new(),
            closed: BTreeMap::new(),
            gathering: None,
            committing: None,
            accepted,
            proposed: BTreeSet::new(),
            changes: BTreeMap::new(),
            recorded: true,
            // Beyond anything that was said after the record was written.
            last_message: agreed.last_message.saturating_add(1 << 20),
            keeps_transcript: false,
            transcript: Transcript::default(),
            scheduled: None,
        };
        running.finish(Outcome::Agreed(agreed.agreement.clone()), turn);
        running
    }

    /// Tells the session what has happened, if it still listens.
    pub(super) fn tell(&mut self, input: Input, turn: &mut Turn<'_, '_>) {
        if let Some(session) = &mut self.session {
            let outputs = session.step(input, &turn.setting.context());
            self.pursue(outputs, turn);
        }
    }

    /// Does what the session wants, and what it wants then.
    fn pursue(&mut self, outputs: Vec<Output>, turn: &mut Turn<'_, '_>) {
        let mut queue = VecDeque::from(outputs);
        while let Some(output) = queue.pop_front() {
            let Some(input) = self.carry_out(output, turn) else { continue };
            if let Some(session) = &mut self.session {
                queue.extend(session.step(input, &turn.setting.context()));
            }
        }
    }

    /// What the session is told at once, if anything.
    fn carry_out(&mut self, output: Output, turn: &mut Turn<'_, '_>) -> Option<Input> {
        match output {
            Output::Ask { message, inquiries } => {
                let (answers, missing) = (vec![None; inquiries.len()], inquiries.len());
                self.gathering = Some(Gathering::Wave { output: message, answers, missing });
                for (place, inquiry) in inquiries.into_iter().enumerate() {
                    let to = Party::Service(inquiry.proposal.service.clone());
                    let call = Content::CallForProposals(Call::Load(inquiry));
                    self.ask(to, call, Kind::Ask(place), turn);
                }
                None
            }
            Output::Inform { inquiries, .. } => {
                for inquiry in inquiries {
                    let to = Party::Service(inquiry.proposal.service.clone());
                    self.say(to, Content::Inform(Information::Load(inquiry)), turn);
                }
                None
            }
            Output::CallForBids { message, provider, request, inventory } => {
                let call = Content::CallForProposals(Call::Bids { request, inventory });
                self.ask(Party::Provider(provider), call, Kind::Bids(message), turn);
                None
            }
            Output::Rank { message, request, bids } => {
                let to = Party::Service(request.service.clone());
                let call = Content::CallForProposals(Call::Scores { request, bids });
                self.ask(to, call, Kind::Scores(message), turn);
                None
            }
            Output::Hold { message, holds } => {
                let now = turn.setting.now;
                if let Err(error) = turn.setting.ledger.hold(&holds, now) {
                    let result = Err(error.to_string());
                    return Some(Input::Held { message, result });
                }
                self.accepted.clear();
                for hold in holds {
                    self.accepted.entry(party(&hold.lease.owner)).or_default().push(hold.lease);
                }
                let missing = self.accepted.len();
                self.gathering = Some(Gathering::Accepts { output: message, missing });
                for (to, leases) in self.accepted.clone() {
                    self.ask(to, Content::Accept { leases }, Kind::Accept, turn);
                }
                None
            }
            Output::Confirm { message, commitment, agreement } => {
                let leases = match turn.setting.ledger.begin(&commitment, turn.setting.now) {
                    Ok(leases) => leases,
                    Err(error) => {
                        let result = Err(error.to_string());
                        return Some(Input::Confirmed { message, result });
                    }
                };
                let begun = |l: &&Lease| commitment.confirm.contains(&l.id);
                let agreed = Agreed {
                    agreement: *agreement,
                    leases: leases.iter().filter(begun).cloned().collect(),
                    last_message: self.last_message,
                };
                turn.effects.push(Effect::Persist(Persist {
                    session: self.id.clone(),
                    record: Some(self.record(Some(agreed))),
                    leases,
                    awaited: true,
                }));
                self.committing = Some(Committing { output: message, commitment });
                None
            }
            Output::Release { leases, .. } => {
                turn.setting.ledger.release(&leases);
                self.give_back(turn);
                None
            }
            Output::Fault(fault) => {
                self.fault(fault, turn);
                None
            }
            Output::Finished(outcome) => {
                self.finish(outcome, turn);
                None
            }
        }
    }

    /// The disk has answered.
    pub(super) fn persisted(&mut self, result: Result<(), String>, turn: &mut Turn<'_, '_>) {
        let Some(Committing { output, commitment }) = self.committing.take() else { return };
        self.due_by(self.deadline);
        let result = match result {
            Ok(()) => {
                let changed = turn.setting.ledger.finish(&commitment);
                self.changes.extend(changed.iter().map(|l| (l.id.clone(), l.clone())));
                Ok(changed)
            }
            Err(why) => {
                turn.setting.ledger.abandon(&commitment);
                Err(format!("it could not be made durable: {why}"))
            }
        };
        self.tell(Input::Confirmed { message: output, result }, turn);
    }

    /// A party has answered a question, which is closed.
    pub(super) fn heard(&mut self, question: &Question, reply: Reply, turn: &mut Turn<'_, '_>) {
        let party = question.message.to.clone();
        let input = match (reply, question.kind) {
            (Reply::Answer(answer), Kind::Ask(place)) => {
                if matches!(answer, Ok(Answer::Accept | Answer::Counter(_))) {
                    self.proposed.insert(party);
                }
                self.note_answer(place, answer)
            }
            (Reply::Bids(bids), Kind::Bids(message)) => {
                if bids.as_ref().is_ok_and(|bids| !bids.is_empty()) {
                    self.proposed.insert(party);
                }
                Some(Input::Bids { message, bids })
            }
            (Reply::Scores(scores), Kind::Scores(message)) => {
                Some(Input::Scores { message, scores })
            }
            (Reply::Held(result), Kind::Accept) => self.note_hold(&party, result),
            _ => None,
        };
        if let Some(input) = input {
            self.tell(input, turn);
        }
    }

    fn note_answer(&mut self, place: usize, answer: Result<Answer, String>) -> Option<Input> {
        let Some(Gathering::Wave { output, answers, missing }) = &mut self.gathering else {
            return None;
        };
        // Each question is closed by its first answer, so each place is filled once.
        *answers.get_mut(place)? = Some(answer);
        *missing = missing.saturating_sub(1);
        if *missing > 0 {
            return None;
        }
        let (message, answers) = (*output, std::mem::take(answers));
        self.gathering = None;
        Some(Input::Answers { message, answers: answers.into_iter().flatten().collect() })
    }

    /// One that does not hold what it proposed is enough to let go.
    fn note_hold(&mut self, from: &Party, result: Result<(), String>) -> Option<Input> {
        let Some(Gathering::Accepts { output, missing }) = &mut self.gathering else {
            return None;
        };
        let message = *output;
        *missing = missing.saturating_sub(1);
        let result = match result {
            Ok(()) if *missing > 0 => return None,
            Ok(()) => Ok(()),
            Err(why) => Err(format!("{from} does not hold what it proposed: {why}")),
        };
        self.gathering = None;
        self.close_all(|kind| kind == Kind::Accept);
        Some(Input::Held { message, result })
    }

    /// Whom something was accepted of is told that it is not needed.
    fn give_back(&mut self, turn: &mut Turn<'_, '_>) {
        self.close_all(|kind| kind != Kind::Notice);
        for (to, leases) in std::mem::take(&mut self.accepted) {
            let leases = leases.into_iter().map(|lease| lease.id).collect();
            self.ask(to, Content::Release { leases }, Kind::Notice, turn);
        }
    }

    fn finish(&mut self, outcome: Outcome, turn: &mut Turn<'_, '_>) {
        self.session = None;
        self.gathering = None;
        self.close_all(|kind| kind != Kind::Notice);
        let agreed = outcome.agreement().is_some();
        let winners: BTreeSet<Party> = self.accepted.keys().cloned().collect();
        for (to, mut leases) in std::mem::take(&mut self.accepted) {
            leases.iter_mut().for_each(|lease| lease.state = LeaseState::Confirmed);
            self.ask(to, Content::Confirm { leases }, Kind::Notice, turn);
        }
        let reason = if agreed { "others were chosen" } else { "no agreement was found" };
        for to in std::mem::take(&mut self.proposed) {
            if !winners.contains(&to) {
                self.say(to, Content::Reject { reason: reason.into() }, turn);
            }
        }
        if !agreed {
            self.forget(turn);
        }
        turn.effects.push(Effect::Finished(Ending {
            session: self.id.clone(),
            outcome,
            changes: std::mem::take(&mut self.changes).into_values().collect(),
            transcript: std::mem::take(&mut self.transcript),
        }));
    }

    /// Whether there is nothing left to do; its record is then deleted.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let over = self.session.is_none() && self.questions.is_empty();
        if over {
            self.forget(turn);
        }
        over
    }

    fn forget(&mut self, turn: &mut Turn<'_, '_>) {
        if std::mem::take(&mut self.recorded) {
            turn.effects.push(Effect::Persist(Persist {
                session: self.id.clone(),
                record: None,
                leases: Vec::new(),
                awaited: false,
            }));
        }
    }

    pub(super) fn fault(&mut self, fault: Fault, turn: &mut Turn<'_, '_>) {
        let content = Content::Inform(Information::Fault(fault.text.clone()));
        let message =
            self.message(fault.message, fault.participant.clone(), content, turn.setting.now);
        self.note(&message);
        turn.effects.push(Effect::Fault { session: self.id.clone(), fault });
    }

    /// Keeps that somebody said what makes no sense.
    pub(super) fn refuse(
        &mut self,
        error: &MessageError,
        from: Party,
        about: MessageId,
        now: Timestamp,
    ) {
        let content = Content::Inform(Information::Fault(error.to_string()));
        let message = self.message(about, from, content, now);
        self.note(&message);
    }

    /// Keeps what was said.
    pub(super) fn note(&mut self, message: &Message) {
        if self.keeps_transcript && self.transcript.messages.len() < MOST_KEPT {
            self.transcript.messages.push(message.clone());
        }
    }

    pub(super) fn close(&mut self, id: MessageId, answer: Option<u64>) -> Option<Question> {
        let question = self.questions.remove(&id)?;
        let asked = question.message.to.clone();
        self.closed.insert(id, Closed { asked, answer });
        Some(question)
    }

    fn close_all(&mut self, which: impl Fn(Kind) -> bool) {
        let ids: Vec<MessageId> =
            self.questions.iter().filter(|(_, q)| which(q.kind)).map(|(id, _)| *id).collect();
        for id in ids {
            self.close(id, None);
        }
    }

    fn ask(&mut self, to: Party, content: Content, kind: Kind, turn: &mut Turn<'_, '_>) {
        let message = self.say(to, content, turn);
        let due = turn.setting.now + turn.retry.wait(1);
        self.due_by(due);
        self.questions.insert(message.message, Question { message, kind, attempts: 1, due });
    }

    fn say(&mut self, to: Party, content: Content, turn: &mut Turn<'_, '_>) -> Message {
        self.last_message += 1;
        let message = self.message(MessageId(self.last_message), to, content, turn.setting.now);
        self.note(&message);
        turn.effects.push(Effect::Deliver(message.clone()));
        message
    }

    fn message(&self, id: MessageId, to: Party, content: Content, at: Timestamp) -> Message {
        Message {
            session: self.id.clone(),
            message: id,
            in_reply_to: None,
            at,
            from: Party::Session,
            to,
            content,
        }
    }

    /// Finds out what is due next. Answers need not do that: being looked at too early does no harm.
    pub(super) fn reschedule(&mut self) {
        let waits = self.session.is_some() && self.committing.is_none();
        let deadline = waits.then_some(self.deadline);
        self.due = self.questions.values().map(|question| question.due).chain(deadline).min();
    }

    fn due_by(&mut self, at: Timestamp) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn record(&self, agreed: Option<Agreed>) -> SessionRecord {
        SessionRecord {
            session: self.id.clone(),
            requester: self.requester.clone(),
            deadline: self.deadline,
            agreed,
        }
    }
}

/// The most messages of one transcript: beyond that somebody is flooding it.
const MOST_KEPT: usize = 100_000;

/// Who has to say something about the capacity of this owner.
fn party(owner: &Owner) -> Party {
    match owner {
        Owner::Service(name) => Party::Service(name.clone()),
        Owner::Unit { provider, .. } => Party::Provider(provider.clone()),
    }
}
