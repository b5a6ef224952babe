//! Runs the reconcile passes of a stepped host.

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

/// The result of a pass of a stepped host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pass {
    /// The core's report.
    pub report: PassReport,
    /// The counts since the previous pass.
    pub counts: Counts,
}

impl Host {
    /// Runs one reconcile pass of a stepped host: observe, forecast, assess, tier, decide, act. All work is
    /// done when this returns.
    ///
    /// # Errors
    /// [`HostError::Task`] for a live host, which reconciles by itself.
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
