//! The simulated disk and its effects on the core.

use haggle_control::{Effect, Input};
use haggle_model::Span;

use super::{COMPARED, Event, Run};
use crate::{
    checker::{Check, fail},
    disk::Commit,
    report::Rule,
    subject::Subject,
    world::{self, Shape},
};

impl<S: Subject> Run<'_, S> {
    /// Starts the host from the state on disk.
    pub(super) fn start(&mut self) -> Check {
        self.up = true;
        self.say(|| "host: starts".into());
        let now = self.clock();
        let effects = self.subject.restore(world::control(), self.disk.restored(), now);
        self.checker.flapping.forget();
        let writes = effects.iter().find_map(|effect| match effect {
            Effect::Commit { writes, .. } => Some(writes.as_slice()),
            _ => None,
        });
        self.checker.stepped(self.subject.newest(), writes.unwrap_or_default())?;
        self.carry_out(effects)
    }

    pub(super) fn commit(&mut self, commit: Commit) {
        // A commit after a failed one does not become durable either.
        if self.disk.refusing.is_some() {
            return;
        }
        self.disk.in_flight.push_back(commit);
        // With delays, the halves would wait for each other's commits.
        let latency = match self.plan.delays && self.shape == Shape::Whole {
            true => self.chance.rng("disk", self.now.as_millis()).u64(0..30),
            false => 1,
        };
        let at = (self.now + Span::from_millis(latency)).max(self.stalls_until);
        self.last_write = self.last_write.max(at);
        let epoch = self.epoch;
        self.schedule(self.last_write.since(self.now), Event::Write { epoch });
    }

    pub(super) fn write(&mut self) -> Check {
        let epoch = self.epoch;
        if self.now < self.fails_until && self.disk.refusing.is_none() {
            let first = self.disk.in_flight.iter().position(|commit| !commit.is_written);
            if let Some(place) = first
                && let Some(id) = self.disk.in_flight.get(place).map(|commit| commit.id)
            {
                self.say(|| format!("disk: commit {} fails", id.0));
                self.tally.failed_commits += (self.disk.in_flight.len() - place) as u64;
                self.disk.in_flight.truncate(place);
                self.disk.refusing = Some(id);
                self.schedule(Span::from_millis(200), Event::Refuse { epoch, id });
            }
            return Ok(());
        }
        let written =
            self.disk.write_next().or_else(|text| fail(Rule::Journal, text).map(|()| None));
        let Some(id) = written? else { return Ok(()) };
        self.tally.commits += 1;
        let clock = self.clock();
        self.checker.written(&self.disk, clock)?;
        let latency = match self.plan.delays && self.shape == Shape::Whole {
            true => self.chance.rng("acknowledgement", self.now.as_millis()).u64(0..5),
            false => 0,
        };
        self.schedule(Span::from_millis(latency), Event::Acknowledge { epoch, id });
        Ok(())
    }

    pub(super) fn acknowledge(&mut self, id: haggle_control::CommitId) -> Check {
        let is_open = self.disk.in_flight.front().is_some_and(|first| first.id <= id);
        if !is_open {
            return Ok(());
        }
        // Sometimes the next acknowledgement covers this commit too.
        let waits = self.disk.in_flight.iter().any(|commit| commit.id > id);
        if waits && self.chance.rng("group", id.0).u8(0..3) == 0 {
            return Ok(());
        }
        self.disk.in_flight.retain(|commit| commit.id > id);
        self.feed(Input::Committed(id))?;
        if self.up && id.0.is_multiple_of(COMPARED) {
            self.compare()?;
        }
        Ok(())
    }

    /// Checks that a restart would restore the durable state.
    fn compare(&mut self) -> Check {
        let snapshot = self.subject.snapshot();
        let now = snapshot.now();
        if self.disk.written().is_some()
            || snapshot.ledger().leases().any(|lease| !lease.is_active(now))
        {
            return Ok(());
        }
        self.tally.compared += 1;
        let restored = self.disk.restored();
        let (control, _) = haggle_control::Control::restore(world::control(), restored, now);
        match snapshot.same_durable(control.newest()) {
            Ok(()) => Ok(()),
            Err(text) => fail(Rule::Restore, text),
        }
    }

    pub(super) fn refuse(&mut self, id: haggle_control::CommitId) -> Check {
        self.disk.refusing = None;
        if let Some(written) = self.disk.written() {
            self.disk.in_flight.clear();
            self.feed(Input::Committed(written))?;
        }
        self.checker.flapping.forget();
        self.feed(Input::CommitFailed(id, "the disk is full".into()))
    }

    /// Writes a random prefix of the commits that were in progress at the crash.
    pub(super) fn lose(&mut self) -> Check {
        let clock = self.clock();
        let open = self.disk.in_flight.iter().filter(|commit| !commit.is_written).count();
        let written = self.chance.rng("prefix", self.tally.steps).usize(0..=open);
        for _ in 0..written {
            let next = self.disk.write_next();
            next.or_else(|text| fail(Rule::Journal, text).map(|()| None))?;
            self.checker.written(&self.disk, clock)?;
        }
        self.disk.in_flight.clear();
        self.disk.refusing = None;
        self.last_write = self.now;
        let Some(state) = self.disk.state.clone() else {
            // Nothing was ever written.
            let nothing = self.subject.snapshot();
            self.checker.crashed(&nothing, &self.disk);
            return Ok(());
        };
        let now = state.now();
        let restored = self.disk.restored();
        let _ = self.subject.restore(world::control(), restored, now);
        if state.ledger().leases().all(|lease| lease.is_active(now)) {
            self.tally.compared += 1;
            if let Err(text) = state.same_durable(self.subject.newest()) {
                return fail(Rule::Restore, text);
            }
        }
        self.checker.crashed(&state, &self.disk);
        Ok(())
    }
}
