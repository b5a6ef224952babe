//! The setup documents of a run, its passes, and its plugin calls.

use haggle_control::{Consultation, Input, Scope};
use haggle_model::Span;

use super::{Event, Run};
use crate::{checker::Check, loads::Facts, plugin, subject::Subject};

impl<S: Subject> Run<'_, S> {
    /// Applies the setup documents one after another.
    pub(super) fn set_up(&mut self, place: usize) -> Check {
        let Some(change) = self.setup.get(place).cloned() else { return Ok(()) };
        self.schedule(Span::from_millis(20), Event::Setup(place + 1));
        self.change(change)
    }

    pub(super) fn pass(&mut self, pass: u64) -> Check {
        if !self.up {
            return Ok(());
        }
        self.tally.passes += 1;
        self.checker.flapping.pass();
        let (now, known) = (self.clock(), if self.plan.moves { pass } else { 0 });
        let mut facts = Facts::default();
        for (service, loads) in &self.loads {
            loads.facts(service, known, now, &mut facts);
        }
        let Facts { observed, forecasts, risks, tiers } = facts;
        let reports = self.driver.reports(self.chance, self.now);
        let inputs = [
            (observed.is_empty(), Input::Observed(observed)),
            (forecasts.is_empty(), Input::Forecasts(forecasts)),
            (risks.is_empty(), Input::Risks(risks)),
            (tiers.is_empty(), Input::Tiers(tiers)),
            (reports.is_empty(), Input::Driver(reports)),
        ];
        for (is_empty, input) in inputs {
            if !is_empty {
                self.feed(input)?;
            }
        }
        self.feed(Input::Reconcile(Scope::All))?;
        if !self.up {
            return Ok(());
        }
        let snapshot = self.subject.snapshot();
        self.checker.passed(self.subject.newest(), &snapshot, &self.disk)
    }

    pub(super) fn call(&mut self, consultation: &Consultation) {
        self.tally.consultations += 1;
        let faults = self.plan.faults;
        let said = plugin::call(
            consultation,
            self.chance,
            (faults, self.shape),
            self.plan.delays,
            self.now,
        );
        if let Some(said) = said {
            let (epoch, answers) = (self.epoch, said.answers);
            self.schedule(said.after, Event::Consulted { epoch, answers });
        }
    }
}
