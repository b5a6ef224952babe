use serde::{Deserialize, Serialize};

/// What came of all runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How many runs.
    pub seeds: u64,
    /// Steps of all runs: something arrived, fell due, was written or crashed.
    pub steps: u64,
    /// Negotiations that began.
    pub sessions: u64,
    /// Runs in which something did not hold that must.
    pub violations: u64,
    /// Negotiations that got all they wanted.
    pub confirmed: u64,
    /// Negotiations that got less.
    pub reduced: u64,
    /// Negotiations that got nothing.
    pub failed: u64,
    /// Negotiations that a crash took before anything of them was written.
    pub vanished: u64,
    /// Rounds that half of the negotiations did not exceed.
    pub rounds_p50: u32,
    /// Rounds that 99% of the negotiations did not exceed.
    pub rounds_p99: u32,
    /// Messages that were sent, repetitions included.
    pub messages: u64,
    /// Crashes of any node.
    pub crashes: u64,
    /// Capacity that providers took back with notice.
    pub reclaims: u64,
    /// Leases that ended early because of that.
    pub cut_short: u64,
    /// Agreements that were negotiated anew near their end.
    pub renewals: u64,
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
pub enum Rule {
    /// Held plus confirmed exceeds no capacity at any moment, in memory and on disk.
    Capacity,
    /// A hold belongs to an open session.
    Hold,
    /// What is over is not kept.
    Expiry,
    /// What counts is on disk, and what is agreed counts.
    Durability,
    /// Nothing is promised on what was taken back once the notice is out, and what was lost to that ends then.
    Notice,
    /// What is renewed goes on without a gap.
    Renewal,
    /// A session ends with all of its leases or none.
    Whole,
    /// What was agreed takes the place of what its requester had agreed before for the same time.
    Replaced,
    /// A session ends once, within its rounds and by its deadline.
    End,
    /// Nobody is bound to what it did not say.
    Consent,
    /// What comes a second time changes nothing.
    Repetition,
    /// In the end nothing is left.
    Rest,
}

/// What came of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) sessions: u64,
    pub(crate) confirmed: u64,
    pub(crate) reduced: u64,
    pub(crate) failed: u64,
    pub(crate) vanished: u64,
    pub(crate) rounds: Vec<u32>,
    pub(crate) messages: u64,
    pub(crate) crashes: u64,
    pub(crate) reclaims: u64,
    pub(crate) cut_short: u64,
    pub(crate) renewals: u64,
    pub(crate) digest: u64,
}

impl Report {
    pub(crate) fn sum(tallies: Vec<Tally>, found: Vec<Violation>) -> Self {
        let total = |field: fn(&Tally) -> u64| tallies.iter().map(field).sum();
        let mut rounds: Vec<u32> = tallies.iter().flat_map(|t| t.rounds.iter().copied()).collect();
        rounds.sort_unstable();
        let quantile = |q: f64| {
            let place = (q * rounds.len() as f64).ceil().max(1.0) as usize - 1;
            rounds.get(place).copied().unwrap_or(0)
        };
        let mut digest = Fnv::default();
        tallies.iter().for_each(|tally| digest.add(&tally.digest.to_le_bytes()));
        Self {
            seeds: tallies.len() as u64,
            steps: total(|t| t.steps),
            sessions: total(|t| t.sessions),
            violations: found.len() as u64,
            confirmed: total(|t| t.confirmed),
            reduced: total(|t| t.reduced),
            failed: total(|t| t.failed),
            vanished: total(|t| t.vanished),
            rounds_p50: quantile(0.5),
            rounds_p99: quantile(0.99),
            messages: total(|t| t.messages),
            crashes: total(|t| t.crashes),
            reclaims: total(|t| t.reclaims),
            cut_short: total(|t| t.cut_short),
            renewals: total(|t| t.renewals),
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
