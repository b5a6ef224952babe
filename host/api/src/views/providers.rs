use haggle_control::{Reclaim, State};
use haggle_model::{ComputeUnit, Name, Provider, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::document_views::DocumentView;

/// A provider and its current capacity.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ProviderView {
    /// The provider as described.
    #[serde(flatten)]
    #[schema(value_type = Provider)]
    pub(crate) provider: DocumentView<Provider>,
    /// Its current capacity.
    pub(crate) status: ProviderStatus,
}

/// A provider's current capacity.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ProviderStatus {
    /// The units, in the order of the description.
    pub(crate) units: Vec<UnitStatus>,
}

/// The current number of one compute unit.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct UnitStatus {
    /// The unit's id.
    pub(crate) unit: Name,
    /// Number of units in the description.
    pub(crate) count: u32,
    /// Number of units that the provider has not reclaimed by now, leased or not.
    pub(crate) available: u32,
    /// The reclaims in effect and those announced, ordered by time.
    pub(crate) reclaims: Vec<Reclaim>,
}

impl ProviderView {
    /// Builds the view of a provider from the host's state at `now`.
    pub(crate) fn new(state: &State, now: Timestamp, provider: &Provider) -> Self {
        let status = |unit: &ComputeUnit| {
            let mut all = state.reclaims(&provider.name);
            let reclaims = all.find(|(id, _)| **id == unit.id).map_or(&[][..], |(_, all)| all);
            UnitStatus {
                unit: unit.id.clone(),
                count: unit.count,
                available: available(unit.count, reclaims, now),
                reclaims: reclaims.to_vec(),
            }
        };
        let units = provider.units.iter().map(status).collect();
        Self { provider: DocumentView::new(provider.clone()), status: ProviderStatus { units } }
    }
}

fn available(count: u32, reclaims: &[Reclaim], now: Timestamp) -> u32 {
    let gone = reclaims.iter().filter(|reclaim| reclaim.at <= now);
    gone.fold(count, |left, reclaim| left.saturating_sub(reclaim.count))
}

#[cfg(test)]
mod tests {
    use haggle_control::Reclaim;
    use haggle_model::Timestamp;

    use super::available;

    #[test]
    fn what_is_announced_is_there_until_its_time() {
        let at = Timestamp::from_millis;
        let reclaims = [Reclaim { count: 2, at: at(10) }, Reclaim { count: 1, at: at(20) }];
        let left = |now| available(5, &reclaims, at(now));
        assert_eq!((left(9), left(10), left(19), left(20)), (5, 3, 3, 2));
        assert_eq!(available(1, &reclaims, at(10)), 0);
    }
}
