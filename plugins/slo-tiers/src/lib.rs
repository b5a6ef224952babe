//! Service tiers from how objectives are kept, what is forecast and what an API is worth; and shares of
//! the pool in proportion to forecast demand, gold first.

mod configuration;
mod shares;
mod standing;

use haggle_sdk::{
    Fault, Policy, Tierer,
    metadata::Description,
    tiering::{ApiState, Assignment},
    types::{Context, Tier},
};

pub use configuration::Configuration;
pub use shares::shares;
pub use standing::{Standing, standing, urgency};

/// The policy.
#[derive(Debug)]
pub struct SloTiers;

impl Policy for SloTiers {
    fn describe() -> Description {
        Description {
            name: "slo-tiers".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Assigns tiers from objectives, forecasts and weight, with a minimum dwell time, \
                      and shares the pool in proportion to forecast demand, gold first."
                    .into(),
            configuration_schema: configuration::SCHEMA.into(),
        }
    }
}

impl Tierer for SloTiers {
    fn assign(ctx: &Context, apis: &[ApiState]) -> Result<Vec<Assignment>, Fault> {
        let configuration: Configuration = haggle_sdk::configuration::read(ctx)?;
        configuration.validate()?;
        apis.iter().try_for_each(validate)?;
        let standings: Vec<Standing> =
            apis.iter().map(|api| standing(api, ctx.now, &configuration)).collect();
        let tiers: Vec<Tier> = standings.iter().map(|standing| standing.tier).collect();
        let shares = shares(apis, &tiers, configuration.floor);
        let assignment = |((api, standing), share): ((&ApiState, Standing), f64)| Assignment {
            tier: standing.tier,
            share,
            reason: format!(
                "{}; forecast {:.3} (at most {:.3}) of the pool, given {share:.3}",
                standing.reason, api.forecast_mean, api.forecast_upper
            ),
        };
        Ok(apis.iter().zip(standings).zip(shares).map(assignment).collect())
    }
}

fn validate(api: &ApiState) -> Result<(), Fault> {
    let objective = api.objective.iter().flat_map(|objective| {
        [
            ("objective.target", objective.target),
            ("objective.compliance", objective.compliance),
            ("objective.burn_rate", objective.burn_rate),
        ]
    });
    let fields = [
        ("current_load", api.current_load),
        ("forecast_mean", api.forecast_mean),
        ("forecast_upper", api.forecast_upper),
        ("confidence", api.confidence),
        ("weight", api.weight),
    ];
    match fields.into_iter().chain(objective).find(|(_, value)| !value.is_finite() || *value < 0.0)
    {
        None => Ok(()),
        Some((field, value)) => Err(Fault::InvalidInput(format!(
            "API {}: {field} is {value}: it must be finite and not negative",
            api.id
        ))),
    }
}

haggle_sdk::export_tierer!(SloTiers);

#[cfg(test)]
mod tests;
