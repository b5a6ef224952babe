//! A host that does nothing by itself takes its passes one by one.

use std::{sync::Arc, time::Instant};

use haggle_control::{Input, PassReport, Scope};
use rayon::prelude::*;

use crate::{
    HostError,
    host::{Host, Mode},
    lock::lock,
    metrics::Counts,
    pass_timer::reports,
    reactor::Mail,
};

/// What a pass of a stepped host has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pass {
    /// What the core says.
    pub report: PassReport,
    /// What has been counted since the pass before.
    pub counts: Counts,
}

impl Host {
    /// Takes one reconcile pass of a stepped host: observe, forecast, assess, tier, decide, act. All of it is
    /// done when this returns.
    ///
    /// # Errors
    /// [`HostError::Task`] of a live host, which reconciles by itself.
    pub fn pass(&self) -> Result<Pass, HostError> {
        let Mode::Inline(reactor) = &self.mode else {
            return Err(HostError::Task("a live host reconciles by itself".to_owned()));
        };
        let before = self.counts();
        let started = Instant::now();
        let mut reactor = lock(reactor);
        reactor.tick();
        let now = self.now();
        let driver = Arc::clone(&self.shared().driver);
        let seen = self.shared().wait_for(async move { driver.observe(now).await });
        reactor.take(Mail::Happened(Input::Driver(reports(seen.unwrap_or_default()))));
        let snapshot = self.snapshot();
        let jobs = self.shared().prediction.jobs(&snapshot, now);
        let inputs: Vec<Vec<Input>> = jobs.into_par_iter().map(|job| job.run()).collect();
        for input in inputs.into_iter().flatten() {
            reactor.take(Mail::Happened(input));
        }
        reactor.take(Mail::Happened(Input::Reconcile(Scope::All)));
        drop(reactor);
        self.shared().history().prune(now);
        self.shared().plugins.flush_journal();
        let report = self.snapshot().report().clone();
        self.shared().metrics.pass(report.services, started.elapsed().as_secs_f64());
        let after = self.counts();
        let counts = Counts {
            approved: after.approved - before.approved,
            reduced: after.reduced - before.reduced,
            denied: after.denied - before.denied,
            decisions: after.decisions - before.decisions,
        };
        Ok(Pass { report, counts })
    }
}
