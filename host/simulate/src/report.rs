use serde::{Deserialize, Serialize};

/// The result of all runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The number of runs.
    pub seeds: u64,
    /// The number of inputs to the core.
    pub steps: u64,
    /// The number of reconcile passes.
    pub passes: u64,
    /// The number of runs that violated a rule.
    pub violations: u64,
    /// The number of decisions to scale a service.
    pub decisions: u64,
    /// The number of negotiations that got the full demand.
    pub approved: u64,
    /// The number of negotiations that got a part.
    pub reduced: u64,
    /// The number of negotiations that were denied.
    pub denied: u64,
    /// The number of scaling requests that were accepted or got a verdict.
    pub acknowledged: u64,
    /// The number of callers that got an error.
    pub refused: u64,
    /// The number of durable commits.
    pub commits: u64,
    /// The number of failed commits.
    pub failed_commits: u64,
    /// The number of messages to and from remote parties.
    pub messages: u64,
    /// The number of plugin calls.
    pub consultations: u64,
    /// The number of crashes of the host.
    pub crashes: u64,
    /// The number of clock jumps.
    pub jumps: u64,
    /// The number of reclaims by providers.
    pub reclaims: u64,
    /// The number of times that a state was restored from disk and compared.
    pub compared: u64,
    /// A hash of everything that happened, in hexadecimal; equal for equal runs.
    pub digest: String,
    /// The violations, sorted by seed.
    pub found: Vec<Violation>,
}

/// A violation of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The seed of the run.
    pub seed: u64,
    /// The step at which it was detected.
    pub step: u64,
    /// The violated rule.
    pub rule: Rule,
    /// A description.
    pub text: String,
    /// The parts of the run that are enough to reproduce it.
    pub needs: String,
    /// The shortest trace found, up to the violation.
    pub trace: Vec<String>,
}

/// An invariant that must hold at every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// Held plus confirmed amounts never exceed capacity at any moment, in memory and on disk, except for
    /// promises made before the capacity was lowered.
    Capacity,
    /// Promises made before a capacity was lowered end with the notice.
    Notice,
    /// Reclaims of a unit add up until it is restocked or described anew.
    Reclaims,
    /// The leases of the durable state equal those on disk. Whatever leaves the host is on disk first.
    Durability,
    /// A state restored from disk equals the durable state.
    Restore,
    /// A failed commit leaves no trace in the newest state.
    Undone,
    /// An acknowledged request stays known with all its windows.
    Acknowledged,
    /// A granted window with a fixed end stays reserved until it ends or is cancelled.
    Reserved,
    /// Leases and cancelled requests that have ended on disk do not come back.
    Ended,
    /// The journal has no gaps, and the actions of a service never go back in it.
    Journal,
    /// No service is scaled beyond its leases, except for its minimum.
    Leased,
    /// A service reverses a decision within its stabilization window only for a cause.
    Flapping,
    /// Every caller gets exactly one answer, in time.
    Answer,
    /// A failing plugin does not affect services that it does not decide for.
    Isolation,
    /// Once nothing more happens, no negotiation is open and no caller waits.
    Rest,
    /// The core does not panic.
    Panic,
}

/// The counters of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) passes: u64,
    pub(crate) decisions: u64,
    pub(crate) approved: u64,
    pub(crate) reduced: u64,
    pub(crate) denied: u64,
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
            approved: total(|t| t.approved),
            reduced: total(|t| t.reduced),
            denied: total(|t| t.denied),
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

/// FNV-1a, 64 bits; identical on every machine.
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
