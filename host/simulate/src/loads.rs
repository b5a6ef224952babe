//! The observations, forecasts and assessments of each service at each pass.

use std::sync::Arc;

use haggle_control::{Forecast, Observed, Risk, TierAssignment};
use haggle_model::{Name, Resource, Span, Tier, Timestamp};
use haggle_plan::{Accuracy, Interval, Outlook};

use crate::chance::Chance;

/// The new facts about a service at one pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    observed: Option<f64>,
    forecast: Option<Result<(f64, f64), ()>>,
    risk: Option<Option<f64>>,
    tier: Option<Tier>,
}

/// The facts about one service, by pass.
#[derive(Clone, Debug)]
pub(crate) struct Loads {
    samples: Vec<Sample>,
    /// The number of steps for which the load is known before the first pass.
    known_steps: usize,
}

/// The inputs of one pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) observed: Vec<Observed>,
    pub(crate) forecasts: Vec<Forecast>,
    pub(crate) risks: Vec<Risk>,
    pub(crate) tiers: Vec<TierAssignment>,
}

impl Loads {
    /// A random walk of the load with spikes. It is constant from pass `steady` on.
    pub(crate) fn random(service: usize, passes: u64, steady: u64, chance: Chance) -> Self {
        let mut rng = chance.rng("loads", service as u64);
        let never = (rng.u8(0..8) == 0, rng.u8(0..3) == 0, rng.u8(0..2) == 0);
        let known_steps = if service.is_multiple_of(4) { 0 } else { 1000 };
        let mut level = 30.0 + 500.0 * rng.f64();
        let (mut spike, mut risk) = (0_u32, 0.3);
        let mut confidence = 0.9;
        let mut samples = Vec::new();
        for pass in 0..passes {
            let moves = pass < steady;
            if moves {
                level = (level * (0.9 + 0.2 * rng.f64())).clamp(5.0, 900.0);
                if rng.u8(0..20) == 0 {
                    spike = rng.u32(1..4);
                }
                if rng.u8(0..10) == 0 {
                    confidence = if rng.u8(0..3) == 0 { 0.0 } else { 0.9 };
                }
                if rng.u8(0..4) == 0 {
                    risk = rng.f64() * 0.8;
                }
            }
            let load = if spike > 0 && moves { level * 3.0 } else { level };
            spike = spike.saturating_sub(1);
            let mut sample = Sample::default();
            if !never.0 && (rng.u8(0..5) > 0 || !moves) {
                sample.observed = Some(load);
            }
            if !never.1 && (rng.u8(0..2) == 0 || !moves) {
                let missing = moves && rng.u8(0..15) == 0;
                sample.forecast = Some(if missing { Err(()) } else { Ok((load, confidence)) });
            }
            if !never.2 {
                sample.risk = Some((rng.u8(0..10) > 0 || !moves).then_some(risk));
            }
            if moves && rng.u8(0..25) == 0 {
                let all = [Tier::Gold, Tier::Silver, Tier::Bronze];
                sample.tier = all.get(rng.usize(0..3)).copied();
            }
            samples.push(sample);
        }
        Self { samples, known_steps }
    }

    /// Adds the facts of a pass.
    pub(crate) fn facts(&self, service: &Name, pass: u64, now: Timestamp, facts: &mut Facts) {
        let Some(sample) = usize::try_from(pass).ok().and_then(|pass| self.samples.get(pass))
        else {
            return;
        };
        let service = service.clone();
        if let Some(load) = sample.observed {
            facts.observed.push(Observed {
                service: service.clone(),
                at: now,
                load,
                steps: self.known_steps + 4 * usize::try_from(pass).unwrap_or_default(),
            });
        }
        if let Some(forecast) = sample.forecast {
            let outlook =
                forecast.map(|(load, confidence)| Arc::new(outlook(load, confidence, now)));
            facts.forecasts.extend(Name::new("ensemble").ok().map(|plugin| Forecast {
                service: service.clone(),
                resource: Resource::RequestsPerSecond,
                at: now,
                plugin,
                generation: 1,
                accuracy: Accuracy::default(),
                outlook: outlook.map_err(|()| "too little history".to_owned()),
            }));
        }
        if let Some(probability) = sample.risk {
            let explanation = "the logs are full of errors".to_owned();
            facts.risks.push(Risk { service: service.clone(), probability, explanation });
        }
        if let Some(tier) = sample.tier {
            let reason = "its objective is at risk".to_owned();
            facts.tiers.push(TierAssignment { service, tier, share: 0.5, reason });
        }
    }
}

fn outlook(load: f64, confidence: f64, now: Timestamp) -> Outlook {
    let steps = 8;
    let bound = |level: f64, width: f64| Interval {
        level,
        lower: vec![load * (1.0 - width); steps],
        upper: vec![load * (1.0 + width); steps],
    };
    Outlook {
        start: now,
        step: Span::from_secs(30),
        mean: vec![load; steps],
        intervals: vec![bound(0.8, 0.1), bound(0.95, 0.2)],
        confidence,
    }
}
