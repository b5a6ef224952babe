//! One session with everything that it has said and waits for.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use haggle_model::{Lease, LeaseId, Name, Owner, Timestamp};
use imbl::{OrdMap, OrdSet, Vector};

use super::{
    Agreed, Effect, Persist, Retry, SessionRecord, Setting,
    check::Reply,
    lowest_first,
    question::{Closed, Kind, Question},
};
use crate::{Answer, Begun, Input, MessageId, Outcome, Output, Party, Said, Session};

mod apply;
mod outbound;

/// A clone copies what may change with every message, and shares the rest.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) id: String,
    pub(super) requester: Name,
    pub(super) deadline: Timestamp,
    dry_run: bool,
    /// None once it has ended and only waits until everybody knows.
    pub(super) session: Option<Arc<Session>>,
    pub(super) questions: OrdMap<MessageId, Arc<Question>>,
    pub(super) closed: OrdMap<MessageId, Closed>,
    gathering: Option<Gathering>,
    /// On its way to disk.
    pub(super) committing: Option<Committing>,
    /// What was accepted of whom in this round, and is to be confirmed or released.
    accepted: Arc<BTreeMap<Party, Vec<Lease>>>,
    proposed: OrdSet<Party>,
    changes: Arc<BTreeMap<LeaseId, Lease>>,
    pub(super) recorded: bool,
    last_message: u64,
    keeps_transcript: bool,
    /// How much that makes no sense was said.
    refused: usize,
    said: Vector<Arc<Said>>,
    /// The size of what is kept, as JSON.
    said_bytes: usize,
    /// How much more was said.
    left_out: u64,
    /// Nothing is due before.
    pub(super) due: Option<Timestamp>,
    /// When the engine looks at it again.
    pub(super) scheduled: Option<Timestamp>,
}

/// Several answers that a session takes as one.
#[derive(Clone, Debug)]
enum Gathering {
    Wave { output: MessageId, answers: Vector<Given>, missing: usize },
    Accepts { output: MessageId, missing: usize },
}

/// What one party has answered, once it has.
type Given = Option<Arc<Result<Answer, String>>>;

#[derive(Clone, Debug)]
pub(super) struct Committing {
    output: MessageId,
    begun: Arc<Begun>,
}

/// What a session is told next, and what it wants then.
pub(super) struct Step<'a, 'b> {
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
            dry_run: demand.dry_run,
            due: Some(session.deadline()),
            session: Some(Arc::new(session)),
            questions: OrdMap::new(),
            closed: OrdMap::new(),
            gathering: None,
            committing: None,
            accepted: Arc::default(),
            proposed: OrdSet::new(),
            changes: Arc::default(),
            recorded: false,
            last_message: 0,
            keeps_transcript: transcripts,
            refused: 0,
            said: Vector::new(),
            said_bytes: 0,
            left_out: 0,
            scheduled: None,
        }
    }

    /// Writes down that it exists, and does what the session wants first. Of a dry run there is nothing to
    /// carry on after a restart.
    pub(super) fn begin(&mut self, outputs: Vec<Output>, step: &mut Step<'_, '_>) {
        if self.dry_run {
            return self.pursue(outputs, step);
        }
        self.recorded = true;
        let record = Some(self.record(None));
        step.effects.push(Effect::Persist(Persist {
            session: self.id.clone(),
            record,
            leases: Vec::new(),
            awaited: false,
        }));
        self.pursue(outputs, step);
    }

    /// Takes up an agreement of an earlier run: everybody is told once more.
    pub(super) fn resume(record: SessionRecord, agreed: &Agreed, step: &mut Step<'_, '_>) -> Self {
        let mut running = Self {
            accepted: Arc::new(by_party(agreed.leases.iter().cloned())),
            recorded: true,
            // Beyond anything that was said after the record was written.
            last_message: agreed.last_message.saturating_add(1 << 20),
            ..Self::over(record.session, record.requester, record.deadline)
        };
        running.finish(Outcome::Agreed(agreed.agreement.clone()), step);
        running
    }

    /// One that has ended, in which something is still to be said: beyond all that was said before.
    pub(super) fn over(id: String, requester: Name, deadline: Timestamp) -> Self {
        Self {
            id,
            requester,
            deadline,
            dry_run: false,
            session: None,
            due: None,
            questions: OrdMap::new(),
            closed: OrdMap::new(),
            gathering: None,
            committing: None,
            accepted: Arc::default(),
            proposed: OrdSet::new(),
            changes: Arc::default(),
            recorded: false,
            last_message: 1 << 40,
            keeps_transcript: false,
            refused: 0,
            said: Vector::new(),
            said_bytes: 0,
            left_out: 0,
            scheduled: None,
        }
    }

    /// Of what was agreed, this is not needed any more. After a crash nobody is told of the agreement again.
    pub(super) fn give_back_agreed(&mut self, leases: Vec<Lease>, step: &mut Step<'_, '_>) {
        self.close_all(|_| true);
        self.accepted = Arc::new(by_party(leases));
        self.give_back(step);
        self.forget(step);
    }

    /// Whether it waits for agreements of others to come from their way to disk.
    pub(super) fn is_waiting(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_waiting())
    }

    /// Tells the session what has happened, if it still listens.
    pub(super) fn tell(&mut self, input: Input, step: &mut Step<'_, '_>) {
        if let Some(session) = &mut self.session {
            let outputs = Arc::make_mut(session).step(input, &step.setting.context());
            self.pursue(outputs, step);
        }
    }

    /// Does what the session wants, and what it wants then.
    fn pursue(&mut self, outputs: Vec<Output>, step: &mut Step<'_, '_>) {
        let mut queue = VecDeque::from(outputs);
        while let Some(output) = queue.pop_front() {
            let Some(input) = self.carry_out(output, step) else { continue };
            if let Some(session) = &mut self.session {
                queue.extend(Arc::make_mut(session).step(input, &step.setting.context()));
            }
        }
    }

    /// The disk has answered.
    pub(super) fn persisted(&mut self, result: Result<(), String>, step: &mut Step<'_, '_>) {
        let Some(Committing { output, begun }) = self.committing.take() else { return };
        self.due_by(self.deadline);
        let result = match result {
            Ok(()) => {
                let changed = step.setting.ledger.finish(Arc::unwrap_or_clone(begun));
                let owners: BTreeSet<&Owner> = changed.iter().map(|lease| &lease.owner).collect();
                let Setting { world, ledger, now } = &mut *step.setting;
                let cut = |owner| ledger.cut_back(owner, *now, lowest_first(*world));
                let cut: Vec<Lease> = owners.into_iter().flat_map(cut).collect();
                let changes = changed.iter().chain(&cut);
                Arc::make_mut(&mut self.changes).extend(changes.map(|l| (l.id.clone(), l.clone())));
                if !cut.is_empty() {
                    step.effects.push(Effect::Reclaimed(cut));
                }
                Ok(changed)
            }
            Err(why) => {
                step.setting.ledger.abandon(&begun);
                Err(format!("it could not be made durable: {why}"))
            }
        };
        self.tell(Input::Confirmed { message: output, result }, step);
    }

    /// A party has answered a question, which is closed.
    pub(super) fn heard(&mut self, question: &Question, reply: Reply, step: &mut Step<'_, '_>) {
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
            (Reply::Held(result), Kind::Accept) => {
                if result.is_err() {
                    self.tell(Input::Unreliable(party.clone()), step);
                }
                self.note_hold(&party, result)
            }
            _ => None,
        };
        if let Some(input) = input {
            self.tell(input, step);
        }
    }

    fn note_answer(&mut self, place: usize, answer: Result<Answer, String>) -> Option<Input> {
        let Some(Gathering::Wave { output, answers, missing }) = &mut self.gathering else {
            return None;
        };
        // Each question is closed by its first answer, so each place is filled once.
        *answers.get_mut(place)? = Some(Arc::new(answer));
        *missing = missing.saturating_sub(1);
        if *missing > 0 {
            return None;
        }
        let (message, answers) = (*output, std::mem::take(answers));
        self.gathering = None;
        let answers = answers.into_iter().flatten().map(Arc::unwrap_or_clone).collect();
        Some(Input::Answers { message, answers })
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

/// Those that each party has to say something about.
fn by_party(leases: impl IntoIterator<Item = Lease>) -> BTreeMap<Party, Vec<Lease>> {
    let mut all: BTreeMap<Party, Vec<Lease>> = BTreeMap::new();
    for lease in leases {
        all.entry(party(&lease.owner)).or_default().push(lease);
    }
    all
}

/// Who has to say something about the capacity of this owner.
fn party(owner: &Owner) -> Party {
    match owner {
        Owner::Service(name) => Party::Service(name.clone()),
        Owner::Unit { provider, .. } => Party::Provider(provider.clone()),
    }
}
