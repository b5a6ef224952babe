//! Carries out the entries of the script.

use haggle_control::{Change, Input, ReclaimRequest, ScalingRequest, ScalingWindow};
use haggle_model::{Name, Span};

use super::Run;
use crate::{
    books::Entry,
    checker::{Check, dependencies},
    script::{Amount, Asking, Happening, load_of},
    subject::Subject,
};

impl<S: Subject> Run<'_, S> {
    pub(super) fn happen(&mut self, number: usize) -> Check {
        let Some((_, happening)) = self.script.happenings.get(number).cloned() else {
            return Ok(());
        };
        self.say(|| format!("h{number}: {happening:?}"));
        match happening {
            Happening::Crash { effects, down } => {
                if self.up {
                    self.crash = Some((effects, down));
                }
                return Ok(());
            }
            Happening::StoreFails { lasts } => {
                self.fails_until = self.now + lasts;
                return Ok(());
            }
            Happening::StoreStalls { lasts } => {
                self.stalls_until = self.now + lasts;
                return Ok(());
            }
            Happening::Jump(millis) => return self.jump(millis),
            _ if !self.up => return Ok(()),
            _ => {}
        }
        match happening {
            Happening::Change(change) => self.change(*change),
            Happening::Request(asking) => self.ask(&asking),
            Happening::Amend { request, after, lease, replicas } => {
                let Some(id) = self.checker.requests.ids.get(&request).cloned() else {
                    return Ok(());
                };
                let start = (!after.is_zero()).then(|| self.clock() + after);
                let (lease, replicas) = (Some(lease), Some(replicas));
                let window =
                    ScalingWindow { start, duration: lease, replicas, ..ScalingWindow::default() };
                let caller = self.caller(Span::from_mins(60));
                self.checker.requests.amends(caller.0, &id);
                self.checker.flapping.everybody();
                self.feed(Input::Amend { caller, id, window: Box::new(window) })
            }
            Happening::Cancel { request } => {
                let Some(id) = self.checker.requests.ids.get(&request).cloned() else {
                    return Ok(());
                };
                let caller = self.caller(Span::ZERO);
                self.checker.requests.cancels(caller.0, &id);
                self.checker.flapping.everybody();
                self.feed(Input::Cancel { caller, id })
            }
            Happening::Reclaim { provider, request, after } => {
                let at = after.map(|after| self.clock() + after);
                let request = ReclaimRequest { at, ..request };
                let caller = self.caller(Span::ZERO);
                let entry = Entry::Reclaim(provider.clone(), request.clone());
                self.checker.books.asked(caller.0, entry, self.clock());
                self.checker.flapping.everybody();
                self.feed(Input::Reclaim { caller, provider, request })
            }
            Happening::Restock { provider, unit } => {
                let caller = self.caller(Span::ZERO);
                let entry = Entry::Restock(provider.clone(), unit.clone());
                self.checker.books.asked(caller.0, entry, self.clock());
                self.checker.flapping.everybody();
                self.feed(Input::Restock { caller, provider, unit })
            }
            Happening::Plugin(change) => {
                let caller = self.caller(Span::ZERO);
                self.feed(Input::Plugin { caller, change })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn change(&mut self, change: Change) -> Check {
        if !self.up {
            return Ok(());
        }
        let caller = self.caller(Span::ZERO);
        if let Change::DeleteService(name) = &change {
            self.checker.requests.deletes(name, self.subject.newest());
        }
        let entry = Entry::Change(Box::new(change.clone()));
        self.checker.books.asked(caller.0, entry, self.clock());
        self.checker.flapping.everybody();
        self.feed(Input::Change { caller, change: Box::new(change) })
    }

    fn ask(&mut self, asking: &Asking) -> Check {
        let now = self.clock();
        let window = |(start, lease, amount): &(Option<Span>, Option<Span>, Amount)| {
            let (start, lease) = (start.map(|after| now + after), *lease);
            let (replicas, load) = match amount {
                Amount::Replicas(replicas) => (Some(*replicas), None),
                other => (None, Some(load_of(*other))),
            };
            ScalingWindow { start, end: None, duration: lease, replicas, load }
        };
        let windows: Vec<ScalingWindow> = asking.windows.iter().map(window).collect();
        let mut request = ScalingRequest {
            service: asking.service.clone(),
            replicas: None,
            load: None,
            start: None,
            duration: None,
            windows: None,
            deadline: asking.deadline,
            dry_run: asking.dry_run,
        };
        if asking.several {
            request.windows = Some(windows);
        } else if let Some(ScalingWindow { start, duration, replicas, load, .. }) =
            windows.into_iter().next()
        {
            request = ScalingRequest { start, duration, replicas, load, ..request };
        }
        let policies = self.checker.books.policies.values();
        let longest = policies.map(|policy| policy.negotiation.deadline).max().unwrap_or_default();
        let caller = self.caller(match asking.respond_early && !asking.dry_run {
            true => Span::ZERO,
            false => asking.deadline.unwrap_or(longest),
        });
        self.checker.requests.asks(caller.0, asking);
        self.checker.flapping.everybody();
        let respond_early = asking.respond_early;
        let request = Box::new(request);
        self.feed(Input::Request { caller, request, arrived: now, respond_early })
    }

    fn jump(&mut self, millis: i64) -> Check {
        self.tally.jumps += 1;
        let before = self.clock();
        self.ahead += millis;
        self.wake = None;
        self.checker.jumped();
        self.checker.requests.over(before.max(self.clock()));
        self.checker.flapping.everybody();
        Ok(())
    }

    /// Records the services whose decisions the input may cause.
    pub(super) fn note_causes(&mut self, input: &Input) {
        let now = self.clock();
        let flapping = &mut self.checker.flapping;
        flapping.next(now);
        let state = self.subject.newest();
        let changed: Vec<Name> = match input {
            Input::Observed(all) => {
                let differs = |one: &&haggle_control::Observed| {
                    let known = state.service(&one.service).ok().and_then(|(_, s)| s.observed);
                    known.is_none_or(|(_, load)| load != one.load)
                };
                all.iter().filter(differs).map(|one| one.service.clone()).collect()
            }
            Input::Forecasts(all) => {
                let differs = |one: &&haggle_control::Forecast| {
                    let known = state.service(&one.service).ok();
                    let known = known.and_then(|(_, s)| s.forecast.as_ref());
                    let values = |of: &haggle_control::Forecast| {
                        let outlook = of.outlook.as_ref().ok()?;
                        Some((outlook.intervals.clone(), outlook.confidence))
                    };
                    known.is_none_or(|known| values(known) != values(one))
                };
                all.iter().filter(differs).map(|one| one.service.clone()).collect()
            }
            Input::Risks(all) => {
                let differs = |one: &&haggle_control::Risk| {
                    let known = state.service(&one.service).ok().and_then(|(_, s)| s.risk);
                    known != one.probability
                };
                all.iter().filter(differs).map(|one| one.service.clone()).collect()
            }
            // Fewer ready replicas affect the objectives of the service.
            Input::Driver(all) => {
                let fewer = |one: &&haggle_control::ReplicaReport| {
                    let known = state.service(&one.service).ok().and_then(|(_, s)| s.seen);
                    known.is_some_and(|(_, ready)| one.ready < ready)
                };
                all.iter().filter(fewer).map(|one| one.service.clone()).collect()
            }
            Input::Tiers(_) => {
                flapping.everybody();
                Vec::new()
            }
            _ => Vec::new(),
        };
        // The requests to its dependencies change with it.
        let all = dependencies(changed, state);
        all.into_iter().for_each(|name| flapping.load(name));
    }
}
