use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use haggle_model::{Span, Timestamp};

use crate::{
    ControlError, Effect, Input, Options, State,
    id::{Caller, CommitId},
    record::Write,
    step::{Done, Step, last_of_each},
};

/// The decision core.
///
/// # Durability
///
/// A step that writes emits [`Effect::Commit`]. Its other effects follow once the caller reports that
/// commit as durable, after the effects of earlier steps. Only [`Effect::Consult`] is emitted at once.
/// Later steps build on the new state in the meantime. If a commit fails, the core undoes its step and all
/// later ones, and answers the affected callers with an error.
#[derive(Debug)]
pub struct Control {
    options: Arc<Options>,
    /// The newest state; it is ahead of the durable state by the staged steps.
    state: State,
    durable: Arc<State>,
    staged: VecDeque<Staged>,
    last_commit: CommitId,
    version: Version,
    /// Writes of a restart that no commit has made durable yet.
    owed: Vec<Write>,
    /// The commit in progress that contains the owed writes.
    owed_in: Option<CommitId>,
    /// The number of failed commits since the last durable one.
    failures: u32,
    /// After failed commits, ticks before this time are ignored.
    rests_until: Timestamp,
}

/// The pause between a failed commit and the next tick: the initial value and the maximum. It doubles with
/// each failure.
const FIRST_REST: Span = Span::from_millis(100);
const LONGEST_REST: Span = Span::from_secs(2);

/// The number of changes of the durable state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// A step whose commit is in progress, combined with later steps that wrote nothing.
#[derive(Debug)]
struct Staged {
    id: CommitId,
    state: State,
    effects: Vec<Effect>,
}

impl Control {
    pub(crate) fn with_state(options: Options, state: State) -> Self {
        Self {
            options: Arc::new(options),
            durable: Arc::new(state.clone()),
            state,
            staged: VecDeque::new(),
            last_commit: CommitId::default(),
            version: Version::default(),
            owed: Vec::new(),
            owed_in: None,
            failures: 0,
            rests_until: Timestamp::default(),
        }
    }

    /// Creates a core after a restart. The restored state counts at once, and its effects are emitted at
    /// once. The writes of the restart accompany each commit until one of these commits is durable.
    pub(crate) fn restarted(options: Options, done: Done) -> (Self, Vec<Effect>) {
        let Done { state, writes, effects, consultations } = done;
        let mut control = Self::with_state(options, state.clone());
        control.owed = writes;
        let nothing = Done { state, writes: Vec::new(), effects: Vec::new(), consultations };
        let mut now = control.stage(nothing);
        now.extend(effects);
        (control, now)
    }

    /// Creates a core with an empty state.
    #[must_use]
    pub fn new(options: Options, now: Timestamp) -> Self {
        let mut state = State::new(now);
        state.engine = haggle_negotiate::Engine::new(options.engine);
        Self::with_state(options, state)
    }

    /// Applies an input and returns the effects to carry out.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        match input {
            Input::Committed(id) => self.committed(id),
            Input::CommitFailed(id, why) => self.failed(now, id, &why),
            Input::Tick if self.rests(now) => Vec::new(),
            input => {
                let mut step = Step::new(&self.options, self.state.clone(), now);
                step.apply(input);
                self.stage(step.done())
            }
        }
    }

    /// The durable state, for readers.
    #[must_use]
    pub fn snapshot(&self) -> Arc<State> {
        Arc::clone(&self.durable)
    }

    /// The version of the state that [`Control::snapshot`] returns.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The newest state; it may not be durable yet.
    #[must_use]
    pub const fn newest(&self) -> &State {
        &self.state
    }

    /// Whether a window of a scaling request waits and the next [`Input::Tick`] will open its negotiation.
    #[must_use]
    pub fn can_open_window(&self) -> bool {
        self.state.can_open_window()
    }

    /// The latest time for the next [`Input::Tick`]. While the store fails, ticks become less frequent,
    /// because each would negotiate and undo the same work.
    #[must_use]
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let rest = if self.rests(now) { self.rests_until } else { Timestamp::default() };
        self.state.next_due().map(|due| due.max(rest))
    }

    /// Whether ticks pause after failed commits. A clock that was set back does not extend the pause.
    fn rests(&self, now: Timestamp) -> bool {
        self.rests_until > now && self.rests_until.since(now) <= LONGEST_REST
    }

    /// Whether no commit is in progress.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.staged.is_empty()
    }

    pub(crate) fn stage(&mut self, done: Done) -> Vec<Effect> {
        let Done { state, mut writes, effects, consultations } = done;
        self.state = state;
        if self.owed_in.is_none() && !self.owed.is_empty() {
            writes = last_of_each(self.owed.iter().cloned().chain(writes).collect());
            self.owed_in = Some(CommitId(self.last_commit.0 + 1));
        }
        let mut now: Vec<Effect> = consultations.into_iter().map(Effect::Consult).collect();
        if !writes.is_empty() {
            self.last_commit = CommitId(self.last_commit.0 + 1);
            let id = self.last_commit;
            self.staged.push_back(Staged { id, state: self.state.clone(), effects });
            now.push(Effect::Commit { id, writes });
        } else if let Some(last) = self.staged.back_mut() {
            last.state = self.state.clone();
            last.effects.extend(effects);
        } else {
            self.publish(self.state.clone());
            now.extend(effects);
        }
        now
    }

    fn committed(&mut self, id: CommitId) -> Vec<Effect> {
        let mut effects = Vec::new();
        (self.failures, self.rests_until) = (0, Timestamp::default());
        while let Some(first) = self.staged.front()
            && first.id <= id
        {
            let Some(Staged { state, effects: released, .. }) = self.staged.pop_front() else {
                break;
            };
            self.publish(state);
            effects.extend(released);
        }
        if self.owed_in.is_some_and(|owed| owed <= id) {
            (self.owed, self.owed_in) = (Vec::new(), None);
        }
        effects
    }

    /// Undoes everything that is not durable. Callers that wait in the durable state keep waiting; all
    /// others get an error.
    fn failed(&mut self, now: Timestamp, id: CommitId, why: &str) -> Vec<Effect> {
        if self.staged.front().is_none_or(|first| first.id > id) {
            return Vec::new();
        }
        let doubled = FIRST_REST.as_millis().saturating_mul(1 << self.failures.min(16));
        self.rests_until = now + Span::from_millis(doubled).min(LONGEST_REST);
        self.failures = self.failures.saturating_add(1);
        let still: BTreeSet<Caller> = self.durable.waiting.values().copied().collect();
        let mut lost: BTreeSet<Caller> = self.state.waiting.values().copied().collect();
        for effect in self.staged.drain(..).flat_map(|staged| staged.effects) {
            if let Effect::Answer { caller, .. } = effect {
                lost.insert(caller);
            }
        }
        // Plugins may have been asked about undone negotiations, so their numbers are not reused.
        let number = self.state.number;
        self.state = State { number, ..self.durable.as_ref().clone() };
        self.owed_in = None;
        let answer = |caller| {
            let answer = Err(ControlError::Store(why.to_owned()));
            Effect::Answer { caller, answer }
        };
        lost.difference(&still).copied().map(answer).collect()
    }

    fn publish(&mut self, state: State) {
        self.durable = Arc::new(state);
        self.version.0 += 1;
    }
}
