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

/// The deciding core.
///
/// # What counts when
///
/// A step that writes something emits [`Effect::Commit`]. Its other effects follow once that commit is
/// reported durable, behind those of earlier steps; only [`Effect::Consult`] goes out at once. Later steps
/// build on the new state meanwhile. If a commit fails, its step and all later ones are undone, and whoever
/// waited for their answer gets an error.
#[derive(Debug)]
pub struct Control {
    options: Arc<Options>,
    /// Ahead of the disk by what is staged.
    state: State,
    durable: Arc<State>,
    staged: VecDeque<Staged>,
    last_commit: CommitId,
    version: Version,
    /// What a restart has changed and no commit has made durable yet.
    owed: Vec<Write>,
    /// The commit under way that has it.
    owed_in: Option<CommitId>,
    /// How many commits have failed since the last that was durable.
    failures: u32,
    /// No tick counts before this, after commits have failed.
    rests_until: Timestamp,
}

/// Between a failed commit and the next tick: at first, and at most. It doubles with each failure.
const FIRST_REST: Span = Span::from_millis(100);
const LONGEST_REST: Span = Span::from_secs(2);

/// Counts how often the durable state has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

/// A step on its way to disk, and later steps that wrote nothing.
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

    /// A core after a restart. What was read counts at once, and its effects are due at once; what the
    /// restart itself writes goes along with commits until one of them is durable.
    pub(crate) fn restarted(options: Options, done: Done) -> (Self, Vec<Effect>) {
        let Done { state, writes, effects, consultations } = done;
        let mut control = Self::with_state(options, state.clone());
        control.owed = writes;
        let nothing = Done { state, writes: Vec::new(), effects: Vec::new(), consultations };
        let mut now = control.stage(nothing);
        now.extend(effects);
        (control, now)
    }

    /// A core that knows nothing yet.
    #[must_use]
    pub fn new(options: Options, now: Timestamp) -> Self {
        let mut state = State::new(now);
        state.engine = haggle_negotiate::Engine::new(options.engine);
        Self::with_state(options, state)
    }

    /// Takes in what has happened and says what is to be done.
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

    /// Changes whenever [`Control::snapshot`] does.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The newest state, which may not be durable yet.
    #[must_use]
    pub const fn newest(&self) -> &State {
        &self.state
    }

    /// Whether a window of a scaling request waits that the next [`Input::Tick`] begins to negotiate for.
    #[must_use]
    pub fn can_open_window(&self) -> bool {
        self.state.can_open_window()
    }

    /// When [`Input::Tick`] is due at the latest. While the store fails that is less and less often: what is
    /// due would be negotiated and undone again and again.
    #[must_use]
    pub fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let rest = if self.rests(now) { self.rests_until } else { Timestamp::default() };
        self.state.next_due().map(|due| due.max(rest))
    }

    /// A clock that was set back does not make it rest longer.
    fn rests(&self, now: Timestamp) -> bool {
        self.rests_until > now && self.rests_until.since(now) <= LONGEST_REST
    }

    /// Whether nothing is on its way to disk.
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

    /// Undoes everything that is not durable. What waits in the durable state goes on waiting; everybody
    /// else gets an error.
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
        // Plugins may have been asked about what is undone: its numbers are not given again.
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
