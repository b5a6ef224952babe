mod validate;

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
    pub forecasting: ForecastingPolicy,
    /// How failures are predicted.
    #[serde(default)]
    pub failure_prediction: FailurePredictionPolicy,
    /// Who answers calls for proposals on behalf of the service.
    #[serde(default)]
    pub answering: AnsweringPolicy,
    /// Who ranks the bids that the service receives, and what it may pay.
    #[serde(default)]
    pub ranking: RankingPolicy,
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
pub struct ForecastingPolicy {
    /// The plugin with the forecasting role.
    pub plugin: Name,
    /// The distance between two values of the history and the forecast.
    pub step: Span,
    /// How far ahead: at most 10 years and 10,000 steps.
    pub horizon: Span,
    /// How much history a forecast sees: at most 10 years and 10,000 steps.
    pub history: Span,
    /// Levels of the prediction intervals: 1 to 32, each strictly between 0 and 1.
    pub levels: Vec<f64>,
    /// Known season lengths, at most 16; detected where empty.
    pub seasons: Vec<Span>,
    /// How long a fitted model serves before it is fitted again: at most 365 days.
    pub refit: Span,
}

/// How failures are predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailurePredictionPolicy {
    /// The plugin with the failure-prediction role.
    pub plugin: Name,
    /// How far ahead: at most 365 days.
    pub horizon: Span,
    /// The probability from which on something is done about it.
    pub threshold: f64,
    /// The share of capacity that is added for a service at risk.
    pub headroom: f64,
}

/// Who answers calls for proposals on behalf of the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnsweringPolicy {
    /// The plugin with the answering role.
    pub plugin: Name,
}

/// Who ranks the bids that the service receives, and what it may pay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RankingPolicy {
    /// The plugin with the ranking role.
    pub plugin: Name,
    /// The most that all replicas of the service may cost together at any moment, per hour: 0 to 1e12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_per_hour: Option<f64>,
}

/// Who assigns tiers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TieringPolicy {
    /// The plugin with the tiering role.
    pub plugin: Name,
    /// How often tiers are assigned: at most 365 days apart.
    pub every: Span,
}

/// From a forecast to a number of replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScalingLimits {
    /// The quantile of the forecast that is planned for: the upper bound of one of the intervals in
    /// `forecasting.levels`. That of an interval that holds 95% is the quantile 0.975.
    pub quantile: f64,
    /// The share of a replica's capacity that is planned with, above 0 and at most 1.
    pub target_utilization: f64,
    /// A forecast of less confidence never scales in.
    pub min_confidence: f64,
    /// Scale in to the highest need of that time, as the Kubernetes autoscaler does: at most 365 days.
    pub stabilization: Span,
}

/// How scaling is agreed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NegotiationPolicy {
    /// The most rounds before what has been offered is taken or the session fails.
    pub max_rounds: u32,
    /// The most time for all of them: above 0, at most 7 days.
    pub deadline: Span,
    /// How long an agreement holds: at most 10 years.
    pub lease: Span,
    /// How long before its end it is negotiated again.
    pub renew_before: Span,
    /// What is tried when the whole cannot be had, in this order.
    pub alternatives: Vec<Alternative>,
    /// How much later the alternative `delayed` may begin: at most 365 days.
    pub max_delay: Span,
    /// How long a lower tier keeps a replica after it was told that the alternative `preempt` takes it: at most
    /// 365 days.
    pub preemption_notice: Span,
    /// The share of the agreed load by which the target may differ before it is negotiated again.
    pub tolerance: f64,
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
    Partial,
    /// All of it in a window that begins later, by at most `max_delay`.
    Delayed,
    /// Replicas in other locations than the one that the service prefers.
    OtherLocation,
    /// Take over what lower tiers hold, which lose it once their `preemption_notice` is over.
    Preempt,
    /// Without anything optional, and with replicas of the requester used to the full, without headroom.
    WithoutOptional,
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

impl ScalingLimits {
    /// Whether the upper bound of the central interval of this level is the quantile that is planned for.
    #[must_use]
    pub fn plans_with(&self, level: f64) -> bool {
        (f64::midpoint(1.0, level) - self.quantile).abs() < 1e-9
    }
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

impl Default for ScalingPolicy {
    fn default() -> Self {
        Self {
            name: known("default"),
            forecasting: ForecastingPolicy::default(),
            failure_prediction: FailurePredictionPolicy::default(),
            answering: AnsweringPolicy::default(),
            ranking: RankingPolicy::default(),
            tiering: TieringPolicy::default(),
            scaling: ScalingLimits::default(),
            negotiation: NegotiationPolicy::default(),
        }
    }
}

impl Default for ForecastingPolicy {
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

impl Default for FailurePredictionPolicy {
    fn default() -> Self {
        Self {
            plugin: known("logistic-failure"),
            horizon: Span::from_mins(5),
            threshold: 0.5,
            headroom: 0.25,
        }
    }
}

impl Default for AnsweringPolicy {
    fn default() -> Self {
        Self { plugin: market() }
    }
}

impl Default for RankingPolicy {
    fn default() -> Self {
        Self { plugin: market(), budget_per_hour: None }
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
            quantile: 0.975,
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
            alternatives: vec![Alternative::Partial],
            max_delay: Span::from_mins(30),
            preemption_notice: Span::from_mins(5),
            tolerance: 0.05,
            burn_rate: 6.0,
        }
    }
}

/// The built-in plugin that negotiates unless a document names another.
pub(crate) fn market() -> Name {
    known("price-performance")
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
            (r#"{"forecasting": {"step": "0s"}}"#, "forecasting.step"),
            (r#"{"forecasting": {"levels": [0.9, 0.8]}}"#, "forecasting.levels"),
            (r#"{"forecasting": {"horizon": "400d"}}"#, "forecasting.horizon"),
            (r#"{"forecasting": {"seasons": ["0s"]}}"#, "forecasting.seasons"),
            (r#"{"forecasting": {"refit": "366d"}}"#, "forecasting.refit"),
            (r#"{"failure_prediction": {"horizon": "366d"}}"#, "failure_prediction.horizon"),
            (r#"{"tiering": {"every": "366d"}}"#, "tiering.every"),
            (r#"{"scaling": {"stabilization": "366d"}}"#, "scaling.stabilization"),
            (r#"{"negotiation": {"deadline": "8d"}}"#, "negotiation.deadline"),
            (r#"{"negotiation": {"deadline": 0}}"#, "negotiation.deadline"),
            (r#"{"negotiation": {"max_delay": "366d"}}"#, "negotiation.max_delay"),
            (r#"{"negotiation": {"preemption_notice": "366d"}}"#, "negotiation.preemption_notice"),
            (r#"{"scaling": {"quantile": 0.95}}"#, "scaling.quantile"),
            (r#"{"scaling": {"target_utilization": 0}}"#, "scaling.target_utilization"),
            (r#"{"negotiation": {"renew_before": "1d"}}"#, "negotiation.renew_before"),
            (r#"{"negotiation": {"max_rounds": 0}}"#, "negotiation.max_rounds"),
            (r#"{"negotiation": {"tolerance": 0}}"#, "negotiation.tolerance"),
            (
                r#"{"negotiation": {"alternatives": ["delayed", "delayed"]}}"#,
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
