//! One session with its transcript and its pending questions.

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

/// A clone copies the fields that may change with every message and shares the rest.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) id: String,
    pub(super) requester: Name,
    pub(super) deadline: Timestamp,
    dry_run: bool,
    /// `None` once the session has ended and only waits for acknowledgements.
    pub(super) session: Option<Arc<Session>>,
    pub(super) questions: OrdMap<MessageId, Arc<Question>>,
    pub(super) closed: OrdMap<MessageId, Closed>,
    gathering: Option<Gathering>,
    /// The commit in progress.
    pub(super) committing: Option<Committing>,
    /// The leases accepted from each party in this round. They are later confirmed or released.
    accepted: Arc<BTreeMap<Party, Vec<Lease>>>,
    proposed: OrdSet<Party>,
    changes: Arc<BTreeMap<LeaseId, Lease>>,
    pub(super) recorded: bool,
    last_message: u64,
    keeps_transcript: bool,
    /// The number of refused messages.
    refused: usize,
    said: Vector<Arc<Said>>,
    /// The size of the kept messages as JSON, in bytes.
    said_bytes: usize,
    /// The number of messages that were not kept.
    left_out: u64,
    /// The earliest time at which anything is due.
    pub(super) due: Option<Timestamp>,
    /// The time of the engine's timer for this session.
    pub(super) scheduled: Option<Timestamp>,
}

/// Several answers that the session receives as one input.
#[derive(Clone, Debug)]
enum Gathering {
    Wave { output: MessageId, answers: Vector<Given>, missing: usize },
    Accepts { output: MessageId, missing: usize },
}

/// The answer of one party; `None` until it arrives.
type Given = Option<Arc<Result<Answer, String>>>;

#[derive(Clone, Debug)]
pub(super) struct Committing {
    output: MessageId,
    begun: Arc<Begun>,
}

/// The environment of one step of a session, and the effects it emits.
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

    /// Persists that the session exists and carries out its first outputs. A dry run is not recorded,
    /// because there is nothing to resume after a restart.
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

    /// Resumes an agreement of an earlier run and notifies all parties again.
    pub(super) fn resume(record: SessionRecord, agreed: &Agreed, step: &mut Step<'_, '_>) -> Self {
        let mut running = Self {
            accepted: Arc::new(by_party(agreed.leases.iter().cloned())),
            recorded: true,
            // This exceeds the id of every message sent after the record was written.
            last_message: agreed.last_message.saturating_add(1 << 20),
            ..Self::over(record.session, record.requester, record.deadline)
        };
        running.finish(Outcome::Agreed(agreed.agreement.clone()), step);
        running
    }

    /// An ended session that still sends messages. Their ids exceed those of all earlier messages.
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

    /// Releases leases of an agreement. After a crash, no party is notified of that agreement again.
    pub(super) fn give_back_agreed(&mut self, leases: Vec<Lease>, step: &mut Step<'_, '_>) {
        self.close_all(|_| true);
        self.accepted = Arc::new(by_party(leases));
        self.give_back(step);
        self.forget(step);
    }

    /// Whether the session waits for commits of other sessions.
    pub(super) fn is_waiting(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.is_waiting())
    }

    /// Passes an input to the session if it is still open, and carries out the outputs.
    pub(super) fn tell(&mut self, input: Input, step: &mut Step<'_, '_>) {
        if let Some(session) = &mut self.session {
            let outputs = Arc::make_mut(session).step(input, &step.setting.context());
            self.pursue(outputs, step);
        }
    }

    /// Carries out the outputs of the session, and those that follow from them.
    fn pursue(&mut self, outputs: Vec<Output>, step: &mut Step<'_, '_>) {
        let mut queue = VecDeque::from(outputs);
        while let Some(output) = queue.pop_front() {
            let Some(input) = self.carry_out(output, step) else { continue };
            if let Some(session) = &mut self.session {
                queue.extend(Arc::make_mut(session).step(input, &step.setting.context()));
            }
        }
    }

    /// Handles the result of the commit.
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

    /// Handles the reply to a question, which is already closed.
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
        // The first answer closes the question, so each place is filled once.
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

    /// One party that does not hold its proposal makes the whole hold fail.
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

    /// Recomputes the due time. Answers need not call this, because an early wake-up is harmless.
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

/// Groups leases by the party that answers for them.
fn by_party(leases: impl IntoIterator<Item = Lease>) -> BTreeMap<Party, Vec<Lease>> {
    let mut all: BTreeMap<Party, Vec<Lease>> = BTreeMap::new();
    for lease in leases {
        all.entry(party(&lease.owner)).or_default().push(lease);
    }
    all
}

/// The party that answers for the capacity of this owner.
fn party(owner: &Owner) -> Party {
    match owner {
        Owner::Service(name) => Party::Service(name.clone()),
        Owner::Unit { provider, .. } => Party::Provider(provider.clone()),
    }
}
