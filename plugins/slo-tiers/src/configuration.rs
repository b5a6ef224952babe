use serde::Deserialize;

/// The settings of the operator. Urgencies lie between 0 and about 1.5 for a service of weight 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// From this urgency on a service is gold.
    pub gold: f64,
    /// From this urgency on it is silver; at most `gold`.
    pub silver: f64,
    /// How far below the threshold of its tier a service must fall before it is lowered.
    pub margin: f64,
    /// How much the growth of the forecast beyond the load counts beside the objective.
    pub growth: f64,
    /// The objective's part of the urgency, 0 to 1, for a service without an objective.
    pub no_objective: f64,
    /// A burn rate from which a service is raised at once.
    pub fast_burn: f64,
    /// The shortest time in a tier before a service is raised, in seconds.
    pub raise_after_s: u64,
    /// The shortest time in a tier before a service is lowered, in seconds.
    pub lower_after_s: u64,
    /// The smallest share of the capacity that a service gets; one that needs less gets its need.
    pub floor: f64,
}

/// The schema of [`Configuration`].
pub(crate) const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "gold": {"type": "number", "minimum": 0, "default": 0.6, "description": "urgency from which a service is gold"},
    "silver": {"type": "number", "minimum": 0, "default": 0.3, "description": "urgency from which a service is silver; at most gold"},
    "margin": {"type": "number", "minimum": 0, "default": 0.1, "description": "how far below the threshold of its tier a service must fall before it is lowered"},
    "growth": {"type": "number", "minimum": 0, "default": 0.5, "description": "how much an outgrowing forecast counts beside the objective"},
    "no_objective": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.25, "description": "the part of the objective, for a service that has none"},
    "fast_burn": {"type": "number", "minimum": 0, "default": 6, "description": "burn rate from which a service is raised at once"},
    "raise_after_s": {"type": "integer", "minimum": 0, "default": 60, "description": "seconds in a tier before a service is raised"},
    "lower_after_s": {"type": "integer", "minimum": 0, "default": 900, "description": "seconds in a tier before a service is lowered"},
    "floor": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.01, "description": "share of the capacity that a service with demand gets at least, as far as it needs it"}
  }
}"#;

impl Configuration {
    /// Reads the operator's JSON and checks the bounds of the settings.
    ///
    /// # Errors
    /// A text that names the field and says how to correct it.
    pub fn parse(configuration: &str) -> Result<Self, String> {
        let read: Self = haggle_sdk::configuration::parse(configuration)?;
        read.validate()?;
        Ok(read)
    }

    fn validate(&self) -> Result<(), String> {
        let fields = [
            ("gold", self.gold, f64::MAX),
            ("silver", self.silver, f64::MAX),
            ("margin", self.margin, f64::MAX),
            ("growth", self.growth, f64::MAX),
            ("no_objective", self.no_objective, 1.0),
            ("fast_burn", self.fast_burn, f64::MAX),
            ("floor", self.floor, 1.0),
        ];
        for (field, value, most) in fields {
            if !(0.0..=most).contains(&value) {
                let bounds =
                    if most < f64::MAX { "lie between 0 and 1" } else { "not be negative" };
                return Err(format!("configuration: {field} is {value}: it must {bounds}"));
            }
        }
        let Self { gold, silver, .. } = self;
        if silver > gold {
            return Err(format!(
                "configuration: silver is {silver}, above gold, which is {gold}: lower silver or raise gold"
            ));
        }
        Ok(())
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
