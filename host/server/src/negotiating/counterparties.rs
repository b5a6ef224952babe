use std::collections::BTreeMap;

use haggle_model::{Lease, Name, Quantities, Timestamp};
use haggle_negotiate::{
    Answer, Bid, Counterparties, Inquiry, InventoryUnit, Request, Standing, World,
};
use haggle_sandbox::{CallError, MakeBids, Rank, Respond, types};

use haggle_store::Batch;

use crate::{
    convert,
    documents::catalog::Catalog,
    persistence::{Persistence, keep_leases},
    plugins::decider::Decider,
    state::ServiceState,
};

/// The world as a negotiation sees it: what was described and what was decided.
pub(crate) struct WorldView<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) states: &'a BTreeMap<Name, ServiceState>,
}

impl World for WorldView<'_> {
    fn graph(&self) -> &haggle_model::DependencyGraph {
        &self.catalog.graph
    }

    fn standing(&self, service: &Name) -> Option<Standing> {
        let service = self.catalog.services.get(service)?;
        let policy = self.catalog.policy_of(service);
        let state = self.states.get(&service.name);
        Some(Standing {
            service: service.as_ref().clone(),
            tier: state.map_or(service.tier, |state| state.tier),
            planned: state.map_or_else(Quantities::new, |state| state.planned.clone()),
            target_utilization: policy.scaling.target_utilization,
            budget_per_hour: policy.bidding.budget_per_hour,
        })
    }

    fn providers(&self) -> Vec<&haggle_model::Provider> {
        self.catalog.providers.values().map(AsRef::as_ref).collect()
    }
}

/// Services and providers whose bidding policies run in this host.
pub(crate) struct InProcess<'a> {
    pub(crate) decider: &'a Decider,
    pub(crate) catalog: &'a Catalog,
    pub(crate) now: Timestamp,
    pub(crate) seed: u64,
    /// Where leases are handed to before they count; none where the host writes them with the turn.
    pub(crate) writes_to: Option<&'a Persistence>,
}

impl InProcess<'_> {
    fn context(&self) -> types::Context {
        context(self.now, self.seed)
    }

    fn bidding_of(&self, service: &Name) -> Option<Name> {
        let service = self.catalog.services.get(service)?;
        Some(self.catalog.policy_of(service).bidding.plugin.clone())
    }
}

impl Counterparties for InProcess<'_> {
    fn respond(&mut self, inquiries: &[Inquiry]) -> Vec<Result<Answer, String>> {
        let mut by_plugin: BTreeMap<Name, Vec<usize>> = BTreeMap::new();
        let mut answers = vec![Err("nobody answers for it".to_owned()); inquiries.len()];
        for (i, inquiry) in inquiries.iter().enumerate() {
            if let Some(plugin) = self.bidding_of(&inquiry.proposal.service) {
                by_plugin.entry(plugin).or_default().push(i);
            }
        }
        for (plugin, asked) in by_plugin {
            let batch = asked.iter().filter_map(|i| inquiries.get(*i)).map(convert::inquiry);
            let call = Respond { context: self.context(), inquiries: batch.collect() };
            let given = match self.decider.call(self.now, &plugin, call) {
                Ok(decided) => decided.answer,
                Err(error) => {
                    let text = refusal(&plugin, error);
                    for i in asked {
                        if let Some(answer) = answers.get_mut(i) {
                            *answer = Err(text.clone());
                        }
                    }
                    continue;
                }
            };
            for (i, answer) in asked.into_iter().zip(given) {
                if let Some(slot) = answers.get_mut(i) {
                    *slot = answer.map_err(|fault| fault.to_string()).and_then(convert::answer);
                }
            }
        }
        answers
    }

    fn bid(
        &mut self,
        provider: &Name,
        request: &Request,
        inventory: &[InventoryUnit],
    ) -> Result<Vec<Bid>, String> {
        let own = self.catalog.providers.get(provider).and_then(|p| p.bidding.clone());
        let plugin = own
            .or_else(|| self.bidding_of(&request.service))
            .ok_or_else(|| "nobody bids for it".to_owned())?;
        let call = MakeBids {
            context: self.context(),
            request: convert::request(request),
            inventory: inventory.iter().map(convert::compute_unit).collect(),
        };
        match self.decider.call(self.now, &plugin, call) {
            Ok(decided) => Ok(decided.answer.into_iter().map(convert::bid_of).collect()),
            Err(error) => Err(refusal(&plugin, error)),
        }
    }

    fn rank(&mut self, request: &Request, bids: &[Bid]) -> Result<Vec<f64>, String> {
        let plugin =
            self.bidding_of(&request.service).ok_or_else(|| "nobody ranks for it".to_owned())?;
        let call = Rank {
            context: self.context(),
            request: convert::request(request),
            bids: bids.iter().map(convert::bid).collect(),
        };
        match self.decider.call(self.now, &plugin, call) {
            Ok(decided) => Ok(decided.answer),
            Err(error) => Err(refusal(&plugin, error)),
        }
    }

    /// Where nobody else negotiates meanwhile, the host commits all agreements of a turn together, before
    /// any of them is acted on. Otherwise they are handed over at once, while nobody else can change the
    /// ledger, so that they are written in the order in which they count; whoever is told of the agreement
    /// waits for a later write.
    fn persist(&mut self, leases: &[Lease]) -> Result<(), String> {
        let Some(persistence) = self.writes_to else { return Ok(()) };
        let mut batch = Batch::new();
        let written = keep_leases(&mut batch, leases).and_then(|()| persistence.commit_lazy(batch));
        written.map_err(|error| error.to_string())
    }
}

/// The context of a call; the configuration is that of whoever is asked.
pub(crate) fn context(now: Timestamp, seed: u64) -> types::Context {
    types::Context { now: now.as_millis(), seed, configuration: String::new() }
}

fn refusal(plugin: &Name, error: Option<CallError>) -> String {
    error.map_or_else(
        || format!("no plugin can decide in place of {plugin}"),
        |error| error.to_string(),
    )
}
