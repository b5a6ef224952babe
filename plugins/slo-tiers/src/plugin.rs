use haggle_sdk::{
    Fault, Plugin, Tiering,
    metadata::Description,
    tiering::{Assignment, ServiceState},
    types::{Context, Tier},
};

use crate::{
    configuration::{Configuration, SCHEMA},
    decision::{Decision, decide},
    shares::shares,
};

/// The plugin.
#[derive(Debug)]
pub struct SloTiers;

impl Plugin for SloTiers {
    fn describe() -> Description {
        Description {
            name: "slo-tiers".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Assigns tiers from objectives, forecasts and weight, with a minimum dwell time, \
                      and shares the capacity in proportion to forecast demand, gold first."
                    .into(),
            configuration_schema: SCHEMA.into(),
        }
    }

    fn validate_configuration(configuration: &str) -> Result<(), String> {
        Configuration::parse(configuration).map(drop)
    }
}

impl Tiering for SloTiers {
    fn assign(ctx: &Context, services: &[ServiceState]) -> Result<Vec<Assignment>, Fault> {
        let configuration =
            Configuration::parse(&ctx.configuration).map_err(Fault::InvalidInput)?;
        services.iter().try_for_each(validate)?;
        let decide = |service| decide(service, ctx.now_ms, &configuration);
        let decisions: Vec<Decision> = services.iter().map(decide).collect();
        let tiers: Vec<Tier> = decisions.iter().map(|decision| decision.tier).collect();
        let shares = shares(services, &tiers, configuration.floor);
        let assignment =
            |((service, decision), share): ((&ServiceState, Decision), f64)| Assignment {
                tier: decision.tier,
                share,
                reason: format!(
                    "{}; forecast {:.3} (upper bound {:.3}) of the capacity, share {share:.3}",
                    decision.reason, service.forecast_mean, service.forecast_upper
                ),
            };
        Ok(services.iter().zip(decisions).zip(shares).map(assignment).collect())
    }
}

fn validate(service: &ServiceState) -> Result<(), Fault> {
    let objective = service.objective.iter().flat_map(|objective| {
        [
            ("objective.target", objective.target),
            ("objective.compliance", objective.compliance),
            ("objective.burn_rate", objective.burn_rate),
        ]
    });
    let fields = [
        ("load", service.load),
        ("forecast_mean", service.forecast_mean),
        ("forecast_upper", service.forecast_upper),
        ("confidence", service.confidence),
        ("weight", service.weight),
    ];
    match fields.into_iter().chain(objective).find(|(_, value)| !value.is_finite() || *value < 0.0)
    {
        None => Ok(()),
        Some((field, value)) => Err(Fault::InvalidInput(format!(
            "service {}: {field} is {value}: it must be finite and not negative",
            service.service
        ))),
    }
}
