use haggle_sdk::{
    Fault, Plugin, Tiering,
    tiering::{Objective, ServiceState},
    types::{Context, Tier},
};
use proptest::prelude::*;

use super::{Configuration, SloTiers, decide, shares};

const MINUTE: u64 = 60_000;
const NOW: u64 = 100 * MINUTE;

fn service(tier: Tier, minutes: u64, burn_rate: f64, load: f64) -> ServiceState {
    ServiceState {
        service: "search".into(),
        tier,
        since_ms: NOW - minutes * MINUTE,
        load,
        forecast_mean: load,
        forecast_upper: load,
        upper_quantile: 0.975,
        confidence: 0.8,
        objective: Some(Objective { target: 0.999, compliance: 0.9995, burn_rate }),
        weight: 1.0,
    }
}

fn context(configuration: &str) -> Context {
    Context { now_ms: NOW, seed: 0, configuration: configuration.into() }
}

fn tier(service: &ServiceState) -> Tier {
    decide(service, NOW, &Configuration::default()).tier
}

#[test]
fn a_burning_budget_raises_and_a_kept_one_lowers_after_the_dwell_time() {
    // 2 / (1 + 2) = 0.67 is above 0.6; 0.1 / 1.1 = 0.09 is below 0.3 - 0.1.
    assert_eq!(tier(&service(Tier::Bronze, 2, 2.0, 0.1)), Tier::Gold);
    assert_eq!(tier(&service(Tier::Gold, 14, 0.1, 0.1)), Tier::Gold);
    assert_eq!(tier(&service(Tier::Gold, 15, 0.1, 0.1)), Tier::Bronze);
    assert_eq!(tier(&service(Tier::Bronze, 0, 2.0, 0.1)), Tier::Bronze);
    assert_eq!(tier(&service(Tier::Bronze, 0, 8.0, 0.1)), Tier::Gold);
}

#[test]
fn between_the_thresholds_it_keeps_the_tier_it_has() {
    // 1.2 / 2.2 = 0.545: below gold, and within its margin of 0.1.
    assert_eq!(tier(&service(Tier::Gold, 60, 1.2, 0.1)), Tier::Gold);
    assert_eq!(tier(&service(Tier::Silver, 60, 1.2, 0.1)), Tier::Silver);
}

#[test]
fn growth_weight_and_a_missed_objective_count() {
    let mut growing = service(Tier::Bronze, 60, 0.3, 0.1);
    assert_eq!(tier(&growing), Tier::Bronze);
    growing.forecast_upper = 0.4;
    assert_eq!(tier(&growing), Tier::Gold);
    let mut dear = service(Tier::Bronze, 60, 0.3, 0.1);
    dear.weight = 2.0;
    assert_eq!(tier(&dear), Tier::Silver);
    let mut missed = service(Tier::Bronze, 60, 0.3, 0.1);
    missed.objective = Some(Objective { target: 0.999, compliance: 0.99, burn_rate: 0.3 });
    assert_eq!(tier(&missed), Tier::Silver);
}

#[test]
fn gold_is_served_first_and_the_rest_in_proportion() {
    let load = |load| service(Tier::Gold, 0, 0.0, load);
    let services = [load(0.6), load(0.3), load(0.9)];
    let given = shares(&services, &[Tier::Gold, Tier::Silver, Tier::Silver], 0.0);
    let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(close(given[0], 0.6) && close(given[1], 0.1) && close(given[2], 0.3), "{given:?}");
    let given = shares(&services, &[Tier::Gold, Tier::Gold, Tier::Gold], 0.0);
    assert!(close(given[0], 1.0 / 3.0) && close(given[2], 0.5), "{given:?}");
    let given = shares(&[load(5.0), load(0.5)], &[Tier::Gold, Tier::Bronze], 0.01);
    assert!(close(given[1], 0.01), "{given:?}");
}

#[test]
fn says_what_is_wrong_with_its_input() {
    let mut broken = service(Tier::Gold, 0, 0.0, 0.1);
    broken.forecast_upper = f64::NAN;
    let fault = SloTiers::assign(&context("{}"), &[broken]).unwrap_err();
    assert!(
        matches!(&fault, Fault::InvalidInput(text) if text.contains("search") && text.contains("forecast_upper"))
    );
    for configuration in [r#"{"golden": 1}"#, r#"{"silver": 0.9}"#, r#"{"floor": -1}"#, "nonsense"]
    {
        let fault = SloTiers::assign(&context(configuration), &[]).unwrap_err();
        assert!(matches!(&fault, Fault::InvalidInput(text) if text.contains("configuration")));
    }
}

#[test]
fn a_configuration_is_checked_for_what_the_schema_cannot_say() {
    let error = SloTiers::validate_configuration(r#"{"gold": 0.2}"#).unwrap_err();
    assert!(error.contains("silver is 0.3, above gold, which is 0.2"), "{error}");
    for configuration in ["{}", r#"{"gold": 0.4, "silver": 0.4}"#] {
        assert_eq!(SloTiers::validate_configuration(configuration), Ok(()));
    }
}

fn any_state() -> impl Strategy<Value = ServiceState> {
    let tier = prop_oneof![Just(Tier::Gold), Just(Tier::Silver), Just(Tier::Bronze)];
    let amount = || prop_oneof![4 => 0.0..2.0, 1 => any::<f64>(), 1 => Just(0.0)];
    let numbers = prop::array::uniform5(amount());
    let objective = prop::option::of(prop::array::uniform3(amount()));
    (tier, any::<u64>(), numbers, objective).prop_map(|(tier, since_ms, n, objective)| {
        ServiceState {
            service: "any".into(),
            tier,
            since_ms,
            load: n[0],
            forecast_mean: n[1],
            forecast_upper: n[2],
            upper_quantile: 0.975,
            confidence: n[3],
            objective: objective.map(|[target, compliance, burn_rate]| Objective {
                target,
                compliance,
                burn_rate,
            }),
            weight: n[4],
        }
    })
}

proptest! {
    #[test]
    fn shares_are_shares_whatever_comes(services in prop::collection::vec(any_state(), 0..20)) {
        if let Ok(assigned) = SloTiers::assign(&context("{}"), &services) {
            prop_assert_eq!(assigned.len(), services.len());
            prop_assert!(assigned.iter().all(|a| (0.0..=1.0).contains(&a.share)));
            prop_assert!(assigned.iter().map(|a| a.share).sum::<f64>() <= 1.0);
        } else {
            let numbers = |a: &ServiceState| {
                let o = a.objective;
                let o = o.map_or([0.0; 3], |o| [o.target, o.compliance, o.burn_rate]);
                let own = [a.load, a.forecast_mean, a.forecast_upper, a.confidence, a.weight];
                own.into_iter().chain(o).any(|x| !x.is_finite() || x < 0.0)
            };
            prop_assert!(services.iter().any(numbers));
        }
    }
}
