use haggle_model::{Lease, Owner, Quantities, Timestamp};
use haggle_negotiate::{
    Demand, Effect, Engine, EngineOptions, Ledger, Message, MessageError, OpenError, SessionRecord,
    Setting,
};

use crate::scene::Scene;

/// The host of a simulation: what is put to the test. [`Sound`] is the engine as it is; tests put
/// broken ones in its place, to see that the checker notices.
pub trait Coordinator {
    /// Begins anew with what was on disk; everything else is lost.
    fn start(&mut self, disk: Disk<'_>, scene: &Scene, now: Timestamp) -> Started;
    /// As [`Engine::open`].
    ///
    /// # Errors
    /// As there.
    fn open(
        &mut self,
        demand: Demand,
        scene: &Scene,
        now: Timestamp,
    ) -> Result<Vec<Effect>, OpenError>;
    /// As [`Engine::receive`].
    ///
    /// # Errors
    /// As there.
    fn receive(
        &mut self,
        message: Message,
        scene: &Scene,
        now: Timestamp,
    ) -> Result<Vec<Effect>, MessageError>;
    /// As [`Engine::persisted`]; everything awaited becomes durable here.
    fn persisted(&mut self, session: &str, scene: &Scene, now: Timestamp) -> Vec<Effect>;
    /// As [`Engine::reclaim`].
    fn reclaim(&mut self, reclaim: &Reclaim, scene: &Scene, now: Timestamp) -> Vec<Effect>;
    /// The notice is out: that is all the owner has from now on.
    fn take_back(&mut self, reclaim: &Reclaim);
    /// As [`Engine::tick`].
    fn tick(&mut self, scene: &Scene, now: Timestamp) -> Vec<Effect>;
    /// When it has to tick.
    fn next_due(&self) -> Option<Timestamp>;
    /// Whether a session negotiates.
    fn is_open(&self, session: &str) -> bool;
    /// How many sessions are not settled.
    fn unsettled(&self) -> usize;
    /// What is promised.
    fn ledger(&self) -> &Ledger;
}

/// What a host finds when it starts.
#[derive(Clone, Debug)]
pub struct Disk<'a> {
    /// What every owner has.
    pub capacities: &'a [(Owner, Quantities)],
    /// The leases.
    pub leases: Vec<Lease>,
    /// The sessions that were not settled.
    pub records: Vec<SessionRecord>,
    /// What was announced to be taken back.
    pub reclaims: Vec<Reclaim>,
}

/// Capacity that its owner takes back, with notice.
#[derive(Clone, Debug, PartialEq)]
pub struct Reclaim {
    /// Whose.
    pub owner: Owner,
    /// What it has from then on.
    pub left: Quantities,
    /// When the notice is out.
    pub at: Timestamp,
}

/// What a host wants done after its start.
#[derive(Clone, Debug, Default)]
pub struct Started {
    /// Leases that are over.
    pub expired: Vec<Lease>,
    /// What else.
    pub effects: Vec<Effect>,
}

/// The engine as it is.
#[derive(Debug, Default)]
pub struct Sound {
    /// The engine.
    pub engine: Engine,
    /// Its ledger.
    pub ledger: Ledger,
}

impl Sound {
    fn with<T>(
        &mut self,
        scene: &Scene,
        now: Timestamp,
        act: impl FnOnce(&mut Engine, &mut Setting<'_>) -> T,
    ) -> T {
        let mut setting = Setting { world: scene, ledger: &mut self.ledger, now };
        act(&mut self.engine, &mut setting)
    }
}

impl Coordinator for Sound {
    fn start(&mut self, disk: Disk<'_>, scene: &Scene, now: Timestamp) -> Started {
        let options = EngineOptions { transcripts: false, ..EngineOptions::default() };
        self.engine = Engine::new(options);
        self.ledger = Ledger::new();
        for (owner, capacity) in disk.capacities {
            self.ledger.set_capacity(owner, capacity);
        }
        let expired = self.ledger.restore(disk.leases, now);
        let mut effects = Vec::new();
        for reclaim in &disk.reclaims {
            effects.extend(self.reclaim(reclaim, scene, now));
            if reclaim.at <= now {
                self.take_back(reclaim);
            }
        }
        effects
            .extend(self.with(scene, now, |engine, setting| engine.recover(disk.records, setting)));
        Started { expired, effects }
    }

    fn open(
        &mut self,
        demand: Demand,
        scene: &Scene,
        now: Timestamp,
    ) -> Result<Vec<Effect>, OpenError> {
        self.with(scene, now, |engine, setting| engine.open(demand, setting))
    }

    fn receive(
        &mut self,
        message: Message,
        scene: &Scene,
        now: Timestamp,
    ) -> Result<Vec<Effect>, MessageError> {
        self.with(scene, now, |engine, setting| engine.receive(message, setting))
    }

    fn persisted(&mut self, session: &str, scene: &Scene, now: Timestamp) -> Vec<Effect> {
        self.with(scene, now, |engine, setting| engine.persisted(session, Ok(()), setting))
    }

    fn reclaim(&mut self, reclaim: &Reclaim, scene: &Scene, now: Timestamp) -> Vec<Effect> {
        let Reclaim { owner, left, at } = reclaim;
        let effect = self.with(scene, now, |engine, setting| {
            engine.reclaim(owner, &[(*at, left.clone())], setting)
        });
        effect.into_iter().collect()
    }

    fn take_back(&mut self, reclaim: &Reclaim) {
        self.ledger.set_capacity(&reclaim.owner, &reclaim.left);
    }

    fn tick(&mut self, scene: &Scene, now: Timestamp) -> Vec<Effect> {
        self.with(scene, now, |engine, setting| engine.tick(setting))
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.engine.next_due()
    }

    fn is_open(&self, session: &str) -> bool {
        self.engine.is_open(session)
    }

    fn unsettled(&self) -> usize {
        self.engine.len()
    }

    fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}
