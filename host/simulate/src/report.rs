use serde::{Deserialize, Serialize};

/// What came of all runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How many runs.
    pub seeds: u64,
    /// Inputs that the core took in.
    pub steps: u64,
    /// Reconcile passes.
    pub passes: u64,
    /// Runs in which something did not hold that must.
    pub violations: u64,
    /// Decisions to scale a service.
    pub decisions: u64,
    /// Negotiations that got all they wanted.
    pub won: u64,
    /// Negotiations that got less.
    pub reduced: u64,
    /// Negotiations that got nothing.
    pub failed: u64,
    /// Scaling requests that were answered with a verdict or accepted.
    pub acknowledged: u64,
    /// Callers that were answered with an error.
    pub refused: u64,
    /// Commits that became durable.
    pub commits: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Messages to and from parties elsewhere.
    pub messages: u64,
    /// Calls of plugins.
    pub consultations: u64,
    /// Crashes of the host.
    pub crashes: u64,
    /// Jumps of the clock.
    pub jumps: u64,
    /// Capacity that providers took back with notice.
    pub reclaims: u64,
    /// Times that a state was restored from disk and compared.
    pub compared: u64,
    /// Stands for everything that happened, in hexadecimal: equal for equal runs.
    pub digest: String,
    /// The violations, by seed.
    pub found: Vec<Violation>,
}

/// Something did not hold that must.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The run that shows it.
    pub seed: u64,
    /// The step at which it was seen.
    pub step: u64,
    /// What did not hold.
    pub rule: Rule,
    /// What was seen.
    pub text: String,
    /// What of the run is enough to show it.
    pub needs: String,
    /// The shortest trace that was found, up to the violation.
    pub trace: Vec<String>,
}

/// What must hold at every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// Held plus confirmed exceeds no capacity at any moment, in memory and on disk, but for what was promised
    /// before the capacity was lowered.
    Capacity,
    /// What was promised before a capacity was lowered ends with the notice.
    Notice,
    /// Reclaims of a unit add up until it is restocked or described anew.
    Reclaims,
    /// The leases of the durable state are those on disk, and what leaves the host is on disk before.
    Durability,
    /// A state restored from disk is the durable state.
    Restore,
    /// A commit that fails leaves no trace in the newest state.
    Undone,
    /// A request that was acknowledged is known for ever, with all of its windows.
    Acknowledged,
    /// What a request was granted for a certain time stays reserved until that is over or it is cancelled.
    Reserved,
    /// What has ended on disk does not come back: leases, and cancelled requests.
    Ended,
    /// The journal has no gaps, and the actions of a service never go back in it.
    Journal,
    /// No service is ordered beyond its leases, but for the replicas that it has in any case.
    Leased,
    /// A service returns to where it came from within its stabilization window for a cause only.
    Flapping,
    /// Everybody who asks is answered once and in time.
    Answer,
    /// A plugin that fails changes nothing for services that it does not decide for.
    Isolation,
    /// Once nothing more happens, no negotiation is open and nobody waits.
    Rest,
    /// The core does not panic.
    Panic,
}

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) passes: u64,
    pub(crate) decisions: u64,
    pub(crate) won: u64,
    pub(crate) reduced: u64,
    pub(crate) failed: u64,
    pub(crate) acknowledged: u64,
    pub(crate) refused: u64,
    pub(crate) commits: u64,
    pub(crate) failed_commits: u64,
    pub(crate) messages: u64,
    pub(crate) consultations: u64,
    pub(crate) crashes: u64,
    pub(crate) jumps: u64,
    pub(crate) reclaims: u64,
    pub(crate) compared: u64,
    pub(crate) digest: u64,
}

impl Report {
    pub(crate) fn sum(tallies: Vec<Tally>, found: Vec<Violation>) -> Self {
        let total = |field: fn(&Tally) -> u64| tallies.iter().map(field).sum();
        let mut digest = Fnv::default();
        tallies.iter().for_each(|tally| digest.add(&tally.digest.to_le_bytes()));
        Self {
            seeds: tallies.len() as u64,
            steps: total(|t| t.steps),
            passes: total(|t| t.passes),
            violations: found.len() as u64,
            decisions: total(|t| t.decisions),
            won: total(|t| t.won),
            reduced: total(|t| t.reduced),
            failed: total(|t| t.failed),
            acknowledged: total(|t| t.acknowledged),
            refused: total(|t| t.refused),
            commits: total(|t| t.commits),
            failed_commits: total(|t| t.failed_commits),
            messages: total(|t| t.messages),
            consultations: total(|t| t.consultations),
            crashes: total(|t| t.crashes),
            jumps: total(|t| t.jumps),
            reclaims: total(|t| t.reclaims),
            compared: total(|t| t.compared),
            digest: format!("{:016x}", digest.0),
            found,
        }
    }
}

/// FNV-1a, 64 bits: the same on every machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fnv(pub(crate) u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
