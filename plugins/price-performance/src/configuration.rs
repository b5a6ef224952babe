use haggle_sdk::{Fault, types::Tier};
use serde::Deserialize;

/// What the operator may set.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// The share of its capacity that a service of a tier does not promise, so that there is room for
    /// those above it; what keeps a failure away may use it all the same.
    pub reserve: ByTier,
    /// A counter-offer of less than this share of what was asked is not worth making.
    pub smallest_offer: f64,
    /// What a provider adds to its cost, as a share of it.
    pub margin: f64,
    /// How long it takes to replace a unit that was taken back, in seconds.
    pub recovery_s: f64,
    /// How much a buyer of a tier minds an interruption: the certainty of one divides the score by `e` to
    /// this power.
    pub aversion: ByTier,
}

/// A number for each tier.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByTier {
    /// For gold.
    pub gold: f64,
    /// For silver.
    pub silver: f64,
    /// For bronze.
    pub bronze: f64,
}

/// The schema of [`Configuration`].
pub(crate) const SCHEMA: &str = r##"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "reserve": {"$ref": "#/$defs/shares", "default": {"gold": 0, "silver": 0.05, "bronze": 0.1}, "description": "share of its capacity that a service of a tier does not promise"},
    "smallest_offer": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.05, "description": "a counter-offer of less than this share of what was asked is not made"},
    "margin": {"type": "number", "minimum": 0, "maximum": 100, "default": 0, "description": "what a provider adds to its cost, as a share of it"},
    "recovery_s": {"type": "number", "minimum": 0, "maximum": 86400, "default": 120, "description": "seconds to replace a unit that was taken back"},
    "aversion": {"$ref": "#/$defs/aversions", "default": {"gold": 4, "silver": 2, "bronze": 1}, "description": "how much a buyer of a tier minds an interruption"}
  },
  "$defs": {
    "shares": {"type": "object", "additionalProperties": false, "required": ["gold", "silver", "bronze"], "properties": {"gold": {"$ref": "#/$defs/share"}, "silver": {"$ref": "#/$defs/share"}, "bronze": {"$ref": "#/$defs/share"}}},
    "share": {"type": "number", "minimum": 0, "maximum": 1},
    "aversions": {"type": "object", "additionalProperties": false, "required": ["gold", "silver", "bronze"], "properties": {"gold": {"$ref": "#/$defs/aversion"}, "silver": {"$ref": "#/$defs/aversion"}, "bronze": {"$ref": "#/$defs/aversion"}}},
    "aversion": {"type": "number", "minimum": 0, "maximum": 100}
  }
}"##;

impl ByTier {
    /// The number of a tier.
    #[must_use]
    pub fn of(&self, tier: Tier) -> f64 {
        match tier {
            Tier::Gold => self.gold,
            Tier::Silver => self.silver,
            Tier::Bronze => self.bronze,
        }
    }
}

impl Configuration {
    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// [`Fault::InvalidInput`] naming the field.
    pub fn validate(&self) -> Result<(), Fault> {
        let fields = [
            ("reserve.gold", self.reserve.gold, 1.0),
            ("reserve.silver", self.reserve.silver, 1.0),
            ("reserve.bronze", self.reserve.bronze, 1.0),
            ("smallest_offer", self.smallest_offer, 1.0),
            ("margin", self.margin, 100.0),
            ("recovery_s", self.recovery_s, 86_400.0),
            ("aversion.gold", self.aversion.gold, 100.0),
            ("aversion.silver", self.aversion.silver, 100.0),
            ("aversion.bronze", self.aversion.bronze, 100.0),
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
            reserve: ByTier { gold: 0.0, silver: 0.05, bronze: 0.1 },
            smallest_offer: 0.05,
            margin: 0.0,
            recovery_s: 120.0,
            aversion: ByTier { gold: 4.0, silver: 2.0, bronze: 1.0 },
        }
    }
}
