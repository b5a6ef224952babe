use haggle_sdk::Fault;
use serde::Deserialize;

/// What the operator may set. Urgencies lie between 0 and about 1.5 for an API of weight 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// From this urgency on an API is gold.
    pub gold: f64,
    /// From this urgency on it is silver.
    pub silver: f64,
    /// How far below the threshold of its tier an API must fall before it is lowered.
    pub margin: f64,
    /// How much an outgrowing forecast counts beside the objective.
    pub growth: f64,
    /// What stands for the objective's part where an API has none, 0 to 1.
    pub no_objective: f64,
    /// A burn rate from which an API is raised at once.
    pub fast_burn: f64,
    /// An API is not raised before it has had its tier this long, in seconds.
    pub raise_after_s: u64,
    /// An API is not lowered before it has had its tier this long, in seconds.
    pub lower_after_s: u64,
    /// The share of the pool that an API with any demand gets at least, as far as it needs it.
    pub floor: f64,
}

/// The schema of [`Configuration`].
pub(crate) const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "gold": {"type": "number", "minimum": 0, "default": 0.6, "description": "urgency from which an API is gold"},
    "silver": {"type": "number", "minimum": 0, "default": 0.3, "description": "urgency from which an API is silver; at most gold"},
    "margin": {"type": "number", "minimum": 0, "default": 0.1, "description": "how far below the threshold of its tier an API must fall before it is lowered"},
    "growth": {"type": "number", "minimum": 0, "default": 0.5, "description": "how much an outgrowing forecast counts beside the objective"},
    "no_objective": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.25, "description": "stands for the objective where an API has none"},
    "fast_burn": {"type": "number", "minimum": 0, "default": 6, "description": "burn rate from which an API is raised at once"},
    "raise_after_s": {"type": "integer", "minimum": 0, "default": 60, "description": "seconds in a tier before an API is raised"},
    "lower_after_s": {"type": "integer", "minimum": 0, "default": 900, "description": "seconds in a tier before an API is lowered"},
    "floor": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.01, "description": "share of the pool that an API with demand gets at least, as far as it needs it"}
  }
}"#;

impl Configuration {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// [`Fault::InvalidInput`] naming the field.
    pub fn validate(&self) -> Result<(), Fault> {
        let fields = [
            ("gold", self.gold, f64::MAX),
            ("silver", self.silver, self.gold),
            ("margin", self.margin, f64::MAX),
            ("growth", self.growth, f64::MAX),
            ("no_objective", self.no_objective, 1.0),
            ("fast_burn", self.fast_burn, f64::MAX),
            ("floor", self.floor, 1.0),
        ];
        match fields.iter().find(|(_, value, most)| !(0.0..=*most).contains(value)) {
            None => Ok(()),
            Some((field, value, most)) => Err(Fault::InvalidInput(format!(
                "configuration: {field} is {value}: it must lie between 0 and {most}"
            ))),
        }
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            gold: 0.6,
            silver: 0.3,
            margin: 0.1,
            growth: 0.5,
            no_objective: 0.25,
            fast_burn: 6.0,
            raise_after_s: 60,
            lower_after_s: 900,
            floor: 0.01,
        }
    }
}
