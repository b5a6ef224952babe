mod validate;

use serde::{Deserialize, Serialize};

use crate::{Name, Span};

/// The scaling policy of a service: the deciding plugins, the time spans and the limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScalingPolicy {
    /// Its name.
    pub name: Name,
    /// The forecasting of demand.
    #[serde(default)]
    pub forecasting: ForecastingPolicy,
    /// The prediction of failures.
    #[serde(default)]
    pub failure_prediction: FailurePredictionPolicy,
    /// The plugin that answers calls for proposals on behalf of the service.
    #[serde(default)]
    pub answering: AnsweringPolicy,
    /// The ranking of bids that the service receives, and its budget.
    #[serde(default)]
    pub ranking: RankingPolicy,
    /// The assignment of tiers.
    #[serde(default)]
    pub tiering: TieringPolicy,
    /// The limits of scaling.
    #[serde(default)]
    pub scaling: ScalingLimits,
    /// The rules of negotiations.
    #[serde(default)]
    pub negotiation: NegotiationPolicy,
}

/// The forecasting of demand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForecastingPolicy {
    /// The plugin with the forecasting role.
    pub plugin: Name,
    /// The distance between two values of the history and the forecast.
    pub step: Span,
    /// The length of the forecast: at most 10 years and 10,000 steps.
    pub horizon: Span,
    /// The length of the history that a forecast uses: at most 10 years and 10,000 steps.
    pub history: Span,
    /// The levels of the prediction intervals: 1 to 32, each strictly between 0 and 1.
    pub levels: Vec<f64>,
    /// Known season lengths, at most 16. If empty, they are detected.
    pub seasons: Vec<Span>,
    /// The time between two fits of the model: at most 365 days.
    pub refit: Span,
}

/// The prediction of failures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailurePredictionPolicy {
    /// The plugin with the failure-prediction role.
    pub plugin: Name,
    /// The time ahead that the prediction covers: at most 365 days.
    pub horizon: Span,
    /// The probability at and above which the core adds capacity.
    pub threshold: f64,
    /// The share of capacity that is added for a service at risk.
    pub headroom: f64,
}

/// The plugin that answers calls for proposals on behalf of the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AnsweringPolicy {
    /// The plugin with the answering role.
    pub plugin: Name,
}

/// The ranking of bids that the service receives, and its budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RankingPolicy {
    /// The plugin with the ranking role.
    pub plugin: Name,
    /// The maximum total price per hour of all replicas of the service at any moment: 0 to 1e12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_per_hour: Option<f64>,
}

/// The assignment of tiers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TieringPolicy {
    /// The plugin with the tiering role.
    pub plugin: Name,
    /// The time between two assignments: at most 365 days.
    pub every: Span,
}

/// The limits for turning a forecast into a number of replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScalingLimits {
    /// The planned quantile of the forecast: the upper bound of one of the intervals in
    /// `forecasting.levels`. The upper bound of the 95% interval is the quantile 0.975.
    pub quantile: f64,
    /// The planned share of a replica's capacity, above 0 and at most 1.
    pub target_utilization: f64,
    /// The confidence from which on a forecast is the plan. Below half of it, the service is planned as in a
    /// cold start, and in between the plan moves from one to the other. Without an observed load, scaling in
    /// requires this confidence.
    pub min_confidence: f64,
    /// The plan of a service with little history.
    pub cold_start: ColdStart,
    /// Scaling in stops at the highest need within this time, as in the Kubernetes autoscaler: at most 365
    /// days.
    pub stabilization: Span,
}

/// The rules of negotiations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NegotiationPolicy {
    /// The maximum number of rounds. After them, the session accepts what is offered or fails.
    pub max_rounds: u32,
    /// The maximum total time of all rounds: above 0, at most 7 days.
    pub deadline: Span,
    /// The length of an agreement: at most 10 years.
    pub lease: Span,
    /// The time before the end of an agreement at which it is renegotiated.
    pub renew_before: Span,
    /// The alternatives to try if the full demand is not available, in order.
    pub alternatives: Vec<Alternative>,
    /// The maximum delay of the alternative `delayed`: at most 365 days.
    pub max_delay: Span,
    /// The time for which a lower tier keeps a replica after it is notified that the alternative `preempt`
    /// takes it: at most 365 days.
    pub preemption_notice: Span,
    /// The relative difference between the target and the agreed load above which the core renegotiates.
    pub tolerance: f64,
    /// The burn rate of the error budget at and above which the core renegotiates.
    pub burn_rate: f64,
}

/// An alternative to the full demand.
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
    /// Scales everything to what the bottleneck can carry.
    Partial,
    /// Moves the full demand to a window that begins later, by at most `max_delay`.
    Delayed,
    /// Allows replicas outside the preferred location of the service.
    OtherLocation,
    /// Takes over leases of lower tiers, which lose them after the `preemption_notice`.
    Preempt,
    /// Drops optional dependencies, and plans the requester's replicas at full utilization, without
    /// headroom.
    WithoutOptional,
}

/// The error for an invalid policy.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("policy {policy}: {field} is {value}: it must {rule}")]
pub struct PolicyError {
    policy: Name,
    field: &'static str,
    value: String,
    rule: &'static str,
}

impl ScalingLimits {
    /// Whether the upper bound of the central interval of this level is the planned quantile.
    #[must_use]
    pub fn plans_with(&self, level: f64) -> bool {
        (f64::midpoint(1.0, level) - self.quantile).abs() < 1e-9
    }
}

impl NegotiationPolicy {
    /// Sets the length of agreements, and scales `renew_before` in proportion.
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

/// The plan of a service with little history: the observed load with headroom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ColdStart {
    /// The number of forecasting steps with a known load after which the forecast alone is the plan: at most
    /// 10,000; 0 for at once. The forecast begins to count after a quarter of them.
    pub steps: u32,
    /// The share that is added to the observed load: 0 to 10.
    pub headroom: f64,
}

impl Default for ColdStart {
    fn default() -> Self {
        Self { steps: 60, headroom: 0.3 }
    }
}

impl Default for ScalingLimits {
    fn default() -> Self {
        Self {
            quantile: 0.975,
            target_utilization: 0.9,
            min_confidence: 0.2,
            cold_start: ColdStart::default(),
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

/// Creates a name that is written in this file and therefore valid.
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
            (r#"{"negotiation": {"deadline": "0s"}}"#, "negotiation.deadline"),
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
