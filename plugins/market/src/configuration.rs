use haggle_sdk::{
    Fault,
    types::{Context, Tier},
};
use serde::Deserialize;

/// The settings, every one of which an operator may change.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Configuration {
    /// The share of its capacity that a service of a tier does not promise, so that there is room for higher tiers.
    /// A request that is to avoid a failure may use it.
    pub reserve: ByTier,
    /// The smallest share of the request that a counter-offer is made for.
    pub smallest_offer: f64,
    /// The share of what it could promise that a service withholds in the first round. It concedes the
    /// rest by the last one.
    pub withhold: f64,
    /// The round in which nothing is withheld any more.
    pub last_round: f64,
    /// How early it concedes: at 1 evenly, above that early (conceder), below late (boulware).
    pub eagerness: f64,
    /// What a provider adds to its cost, as a share of it.
    pub margin: f64,
    /// The number of bids into which a provider divides its offer of a unit, so that a buyer can take a part.
    pub lots: f64,
    /// How long it takes to replace a unit that was taken back, in seconds.
    pub recovery_s: f64,
    /// The power of performance in the utility of a bid.
    pub performance_weight: f64,
    /// The power of the price, which divides the utility of a bid.
    pub price_weight: f64,
    /// How much a buyer of a tier minds an interruption: a certain interruption divides the utility by `e` to this
    /// power.
    pub aversion: ByTier,
    /// How much a buyer avoids depending on one provider: a bid loses this share of its utility if better bids of
    /// the same provider could cover the whole request.
    pub spread: f64,
}

/// A number for each tier.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByTier {
    /// For gold.
    pub gold: f64,
    /// For silver.
    pub silver: f64,
    /// For bronze.
    pub bronze: f64,
}

/// A setting: its name, its value, its bounds, and its description.
struct Setting {
    name: &'static str,
    value: Value,
    least: f64,
    most: f64,
    about: &'static str,
}

enum Value {
    One(f64),
    ByTier(ByTier),
}

impl ByTier {
    /// The same for all.
    #[must_use]
    pub const fn all(number: f64) -> Self {
        Self { gold: number, silver: number, bronze: number }
    }

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
    /// The settings that the operator gave, and the defaults for the rest.
    pub(crate) fn read(ctx: &Context) -> Result<Self, Fault> {
        Self::parse(&ctx.configuration).map_err(Fault::InvalidInput)
    }

    /// The same, from the text of the configuration.
    pub(crate) fn parse(configuration: &str) -> Result<Self, String> {
        let configuration: Self = haggle_sdk::configuration::parse(configuration)?;
        configuration.validate()?;
        Ok(configuration)
    }

    /// Checks that every setting is within its bounds.
    ///
    /// # Errors
    /// A text naming the setting and its bounds.
    pub fn validate(&self) -> Result<(), String> {
        for Setting { name, value, least, most, .. } in self.settings() {
            let values = match value {
                Value::One(value) => vec![(String::new(), value)],
                Value::ByTier(ByTier { gold, silver, bronze }) => {
                    [("gold", gold), ("silver", silver), ("bronze", bronze)]
                        .map(|(tier, value)| (format!(".{tier}"), value))
                        .to_vec()
                }
            };
            if let Some((part, value)) =
                values.into_iter().find(|(_, value)| !(least..=most).contains(value))
            {
                return Err(format!(
                    "configuration: {name}{part} is {value}: it must lie between {least} and {most}"
                ));
            }
        }
        Ok(())
    }

    /// A JSON Schema with these settings as the defaults.
    pub(crate) fn schema(&self) -> String {
        let one = |Setting { name, value, least, most, about }: Setting| {
            let number = format!(r#""type": "number", "minimum": {least}, "maximum": {most}"#);
            let (kind, default) = match value {
                Value::One(value) => (number, value.to_string()),
                Value::ByTier(ByTier { gold, silver, bronze }) => (
                    format!(
                        r#""type": "object", "additionalProperties": false, "required": ["gold", "silver", "bronze"], "properties": {{"gold": {{{number}}}, "silver": {{{number}}}, "bronze": {{{number}}}}}"#
                    ),
                    format!(r#"{{"gold": {gold}, "silver": {silver}, "bronze": {bronze}}}"#),
                ),
            };
            format!(r#""{name}": {{{kind}, "default": {default}, "description": "{about}"}}"#)
        };
        let properties: Vec<String> = self.settings().into_iter().map(one).collect();
        format!(
            r#"{{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": false, "properties": {{{}}}}}"#,
            properties.join(", ")
        )
    }

    fn settings(&self) -> Vec<Setting> {
        let setting = |name, value, least, most, about| Setting { name, value, least, most, about };
        let one =
            |name, value, least, most, about| setting(name, Value::One(value), least, most, about);
        let by_tier =
            |name, value, most, about| setting(name, Value::ByTier(value), 0.0, most, about);
        vec![
            by_tier(
                "reserve",
                self.reserve,
                1.0,
                "share of its capacity that a service of a tier does not promise",
            ),
            one(
                "smallest_offer",
                self.smallest_offer,
                0.0,
                1.0,
                "a counter-offer of less than this share of what was asked is not made",
            ),
            one(
                "withhold",
                self.withhold,
                0.0,
                1.0,
                "share of what it could promise that a service withholds in the first round",
            ),
            one(
                "last_round",
                self.last_round,
                1.0,
                100.0,
                "round in which nothing is withheld any more",
            ),
            one(
                "eagerness",
                self.eagerness,
                0.01,
                100.0,
                "how early it concedes: evenly at 1, early above, late below",
            ),
            one(
                "margin",
                self.margin,
                0.0,
                100.0,
                "what a provider adds to its cost, as a share of it",
            ),
            one(
                "lots",
                self.lots,
                1.0,
                16.0,
                "number of bids into which a provider divides what it has of a unit",
            ),
            one(
                "recovery_s",
                self.recovery_s,
                0.0,
                86_400.0,
                "seconds to replace a unit that was taken back",
            ),
            one(
                "performance_weight",
                self.performance_weight,
                0.0,
                8.0,
                "power of performance in the utility of a bid",
            ),
            one("price_weight", self.price_weight, 0.0, 8.0, "power of the price that divides it"),
            by_tier(
                "aversion",
                self.aversion,
                100.0,
                "how much a buyer of a tier minds an interruption",
            ),
            one(
                "spread",
                self.spread,
                0.0,
                1.0,
                "share of its utility that a bid loses once better ones of its provider could have it all",
            ),
        ]
    }
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            reserve: ByTier { gold: 0.0, silver: 0.05, bronze: 0.1 },
            smallest_offer: 0.05,
            withhold: 0.0,
            last_round: 3.0,
            eagerness: 1.0,
            margin: 0.0,
            lots: 4.0,
            recovery_s: 120.0,
            performance_weight: 1.0,
            price_weight: 1.0,
            aversion: ByTier { gold: 4.0, silver: 2.0, bronze: 1.0 },
            spread: 0.0,
        }
    }
}
