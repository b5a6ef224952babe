use serde::{Deserialize, Serialize};

use crate::{Name, Span};

/// How a service is scaled: which plugins decide, over what times, and within what limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalingPolicy {
    /// Its name.
    pub name: Name,
    /// How demand is forecast.
    #[serde(default)]
    pub forecast: ForecastPolicy,
    /// How failures are predicted.
    #[serde(default)]
    pub failure: FailurePolicy,
    /// Who answers and ranks in negotiations.
    #[serde(default)]
    pub bidding: BiddingPolicy,
    /// Who assigns tiers.
    #[serde(default)]
    pub tiering: TieringPolicy,
    /// What is done with it all.
    #[serde(default)]
    pub scaling: ScalingLimits,
    /// How it is agreed.
    #[serde(default)]
    pub negotiation: NegotiationPolicy,
}

/// How demand is forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForecastPolicy {
    /// The plugin with the forecasting role.
    pub plugin: Name,
    /// The distance between two values of the history and the forecast.
    pub step: Span,
    /// How far ahead.
    pub horizon: Span,
    /// How much history a forecast sees.
    pub history: Span,
    /// Levels of the prediction intervals, each strictly between 0 and 1.
    pub levels: Vec<f64>,
    /// Known season lengths; detected where empty.
    pub seasons: Vec<Span>,
    /// How long a fitted model serves before it is fitted again.
    pub refit: Span,
}

/// How failures are predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailurePolicy {
    /// The plugin with the failure-prediction role.
    pub plugin: Name,
    /// How far ahead.
    pub horizon: Span,
    /// The probability from which on something is done about it.
    pub threshold: f64,
    /// The share of capacity that is added for a service at risk.
    pub headroom: f64,
}

/// Who answers and ranks in negotiations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BiddingPolicy {
    /// The plugin with the bidding role.
    pub plugin: Name,
    /// The most that all replicas of the service may cost together, per hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_per_hour: Option<f64>,
}

/// Who assigns tiers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TieringPolicy {
    /// The plugin with the tiering role.
    pub plugin: Name,
    /// How often tiers are assigned.
    pub every: Span,
}

/// From a forecast to a number of replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScalingLimits {
    /// The level of the interval whose upper bound is planned for.
    pub level: f64,
    /// The share of a replica's capacity that is planned with, above 0 and at most 1.
    pub target_utilization: f64,
    /// A forecast of less confidence never scales in.
    pub min_confidence: f64,
    /// Scale in to the highest need of that time, as the Kubernetes autoscaler does.
    pub stabilization: Span,
}

/// How scaling is agreed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NegotiationPolicy {
    /// The most rounds before what has been offered is taken or the session fails.
    pub max_rounds: u32,
    /// The most time for all of them.
    pub deadline: Span,
    /// How long an agreement holds.
    pub lease: Span,
    /// How long before its end it is negotiated again.
    pub renew_before: Span,
    /// What is tried when the whole cannot be had, in this order.
    pub alternatives: Vec<Alternative>,
    /// How much later the alternative `later` may begin.
    pub later_within: Span,
    /// How long before it is taken from them lower tiers are told, by the alternative `borrowed`.
    pub notice: Span,
    /// The share of what was agreed by which use may differ before it is negotiated again.
    pub band: f64,
    /// How many times as fast as it may the error budget is spent before it is negotiated again.
    pub burn_rate: f64,
}

/// What is tried when the whole cannot be had.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Alternative {
    /// Scale everything to what the bottleneck can carry.
    Smaller,
    /// All of it in a window that begins later, by at most `later_within`.
    Later,
    /// Replicas in other locations than the one that the service prefers.
    Elsewhere,
    /// Take over what lower tiers hold, which lose it once their `notice` is over.
    Borrowed,
    /// Without anything optional, and with replicas of the requester used to the full, without headroom.
    Degraded,
}

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("policy {policy}: {field} is {value}: it must {rule}")]
pub struct PolicyError {
    policy: Name,
    field: &'static str,
    value: String,
    rule: &'static str,
}

impl NegotiationPolicy {
    /// Makes agreements hold so long. They are negotiated again in proportion.
    pub fn hold_for(&mut self, lease: Span) {
        let [renew, own, new] =
            [self.renew_before, self.lease, lease].map(|span| u128::from(span.as_millis()));
        let renew = u64::try_from(renew * new / own.max(1)).unwrap_or(u64::MAX);
        self.renew_before = Span::from_millis(renew);
        self.lease = lease;
    }
}

impl ScalingPolicy {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// [`PolicyError`] naming the field.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let wrong = |field, value: String, rule| {
            Err(PolicyError { policy: self.name.clone(), field, value, rule })
        };
        let open = |x: f64| x > 0.0 && x < 1.0;
        let forecast = &self.forecast;
        if forecast.step.is_zero() || forecast.step > forecast.horizon {
            let rule = "be above 0 and at most forecast.horizon";
            return wrong("forecast.step", forecast.step.to_string(), rule);
        }
        if forecast.horizon.steps(forecast.step) > Self::MOST_STEPS {
            let rule = "cover at most 10000 steps";
            return wrong("forecast.horizon", forecast.horizon.to_string(), rule);
        }
        if forecast.history < forecast.step
            || forecast.history.steps(forecast.step) > Self::MOST_STEPS
        {
            let rule = "cover 1 to 10000 steps";
            return wrong("forecast.history", forecast.history.to_string(), rule);
        }
        let ascending = forecast.levels.is_sorted_by(|a, b| a < b);
        if forecast.levels.is_empty() || !ascending || !forecast.levels.iter().all(|l| open(*l)) {
            let rule = "be ascending and strictly between 0 and 1, e.g. [0.8, 0.95]";
            return wrong("forecast.levels", format!("{:?}", forecast.levels), rule);
        }
        if !forecast.levels.contains(&self.scaling.level) {
            let rule = "be one of forecast.levels";
            return wrong("scaling.level", self.scaling.level.to_string(), rule);
        }
        let shares = [
            ("failure.threshold", self.failure.threshold, 1.0),
            ("failure.headroom", self.failure.headroom, 10.0),
            ("scaling.target_utilization", self.scaling.target_utilization, 1.0),
        ];
        for (field, value, most) in shares {
            if !(value > 0.0 && value <= most) {
                let rule = if most > 1.0 {
                    "be above 0 and at most 10"
                } else {
                    "be above 0 and at most 1"
                };
                return wrong(field, value.to_string(), rule);
            }
        }
        if !(0.0..=1.0).contains(&self.scaling.min_confidence) {
            let rule = "lie between 0 and 1";
            return wrong("scaling.min_confidence", self.scaling.min_confidence.to_string(), rule);
        }
        if let Some(budget) = self.bidding.budget_per_hour
            && !(0.0..=1e12).contains(&budget)
        {
            let rule = "lie between 0 and 1e12";
            return wrong("bidding.budget_per_hour", budget.to_string(), rule);
        }
        let negotiation = &self.negotiation;
        if negotiation.max_rounds == 0 || negotiation.max_rounds > 100 {
            let rule = "lie between 1 and 100";
            return wrong("negotiation.max_rounds", negotiation.max_rounds.to_string(), rule);
        }
        if negotiation.deadline.is_zero() {
            let rule = "be above 0";
            return wrong("negotiation.deadline", negotiation.deadline.to_string(), rule);
        }
        if negotiation.renew_before >= negotiation.lease {
            let rule = "be shorter than negotiation.lease";
            return wrong("negotiation.renew_before", negotiation.renew_before.to_string(), rule);
        }
        for (field, value) in [
            ("negotiation.band", negotiation.band),
            ("negotiation.burn_rate", negotiation.burn_rate),
        ] {
            if !(value > 0.0 && value <= 1000.0) {
                return wrong(field, value.to_string(), "be above 0 and at most 1000");
            }
        }
        let twice = |place: usize, alternative: &Alternative| {
            negotiation.alternatives.iter().take(place).any(|earlier| earlier == alternative)
        };
        if negotiation.alternatives.iter().enumerate().any(|(i, a)| twice(i, a)) {
            let rule = "name each alternative once, e.g. [smaller, later]";
            return wrong(
                "negotiation.alternatives",
                format!("{:?}", negotiation.alternatives),
                rule,
            );
        }
        Ok(())
    }

    /// The most steps of a history or a forecast.
    pub const MOST_STEPS: u64 = 10_000;
}

impl Default for ScalingPolicy {
    fn default() -> Self {
        Self {
            name: known("default"),
            forecast: ForecastPolicy::default(),
            failure: FailurePolicy::default(),
            bidding: BiddingPolicy::default(),
            tiering: TieringPolicy::default(),
            scaling: ScalingLimits::default(),
            negotiation: NegotiationPolicy::default(),
        }
    }
}

impl Default for ForecastPolicy {
    fn default() -> Self {
        Self {
            plugin: known("ensemble"),
            step: Span::from_mins(1),
            horizon: Span::from_mins(15),
            history: Span::from_mins(24 * 60),
            levels: vec![0.8, 0.95],
            seasons: Vec::new(),
            refit: Span::from_mins(60),
        }
    }
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self {
            plugin: known("logistic-failure"),
            horizon: Span::from_mins(5),
            threshold: 0.5,
            headroom: 0.25,
        }
    }
}

impl Default for BiddingPolicy {
    fn default() -> Self {
        Self { plugin: known("price-performance"), budget_per_hour: None }
    }
}

impl Default for TieringPolicy {
    fn default() -> Self {
        Self { plugin: known("slo-tiers"), every: Span::from_mins(5) }
    }
}

impl Default for ScalingLimits {
    fn default() -> Self {
        Self {
            level: 0.95,
            target_utilization: 0.9,
            min_confidence: 0.2,
            stabilization: Span::from_mins(5),
        }
    }
}

impl Default for NegotiationPolicy {
    fn default() -> Self {
        Self {
            max_rounds: 4,
            deadline: Span::from_secs(30),
            lease: Span::from_mins(30),
            renew_before: Span::from_mins(5),
            alternatives: vec![Alternative::Smaller],
            later_within: Span::from_mins(30),
            notice: Span::from_mins(5),
            band: 0.05,
            burn_rate: 6.0,
        }
    }
}

/// A name that is written in this file and therefore valid.
#[expect(clippy::expect_used, reason = "the names in this file obey the rules; a test makes each")]
fn known(name: &str) -> Name {
    Name::new(name).expect("a valid name")
}

#[cfg(test)]
mod tests {
    use super::ScalingPolicy;

    #[test]
    fn the_default_is_valid_and_what_an_empty_document_means() {
        let default = ScalingPolicy::default();
        assert_eq!(default.validate(), Ok(()));
        let written: ScalingPolicy = serde_json::from_str(r#"{"name": "default"}"#).unwrap();
        assert_eq!(written, default);
    }

    #[test]
    fn says_which_field_is_wrong() {
        for (json, field) in [
            (r#"{"forecast": {"step": "0s"}}"#, "forecast.step"),
            (r#"{"forecast": {"levels": [0.9, 0.8]}}"#, "forecast.levels"),
            (r#"{"forecast": {"horizon": "400d"}}"#, "forecast.horizon"),
            (r#"{"scaling": {"level": 0.5}}"#, "scaling.level"),
            (r#"{"scaling": {"target_utilization": 0}}"#, "scaling.target_utilization"),
            (r#"{"negotiation": {"renew_before": "1d"}}"#, "negotiation.renew_before"),
            (r#"{"negotiation": {"max_rounds": 0}}"#, "negotiation.max_rounds"),
            (r#"{"negotiation": {"band": 0}}"#, "negotiation.band"),
            (
                r#"{"negotiation": {"alternatives": ["later", "later"]}}"#,
                "negotiation.alternatives",
            ),
        ] {
            let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
            value["name"] = "mine".into();
            let policy: ScalingPolicy = serde_json::from_value(value).unwrap();
            let error = policy.validate().unwrap_err().to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
