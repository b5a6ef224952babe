//! The text format of amounts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};

use super::{InvalidQuantity, Quantities};
use crate::Resource;

impl Serialize for Quantities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.named.count_ones() as usize))?;
        self.iter().try_for_each(|(resource, amount)| map.serialize_entry(&resource, &amount))?;
        map.end()
    }
}

/// An amount parsed from a text or number, before it becomes part of [`Quantities`].
struct Amount(f64);

impl FromStr for Amount {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let text = text.trim();
        let digits = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e').unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        // YAML 1.1 reads such a number as octal.
        let padded = number.trim_start_matches('0');
        if number.len() > 1
            && number.starts_with('0')
            && padded.starts_with(|c: char| c.is_ascii_digit())
        {
            let plain = format!("{padded}{suffix}");
            return Err(InvalidQuantity::Padded { text: text.chars().take(80).collect(), plain });
        }
        let factor = match suffix {
            "" => 1.0,
            "m" => 1e-3,
            "k" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            "Ki" => 1024.0,
            "Mi" => 1_048_576.0,
            "Gi" => 1_073_741_824.0,
            "Ti" => 1_099_511_627_776.0,
            _ => f64::NAN,
        };
        let amount = number.trim().parse::<f64>().unwrap_or(f64::NAN) * factor;
        if amount.is_nan() {
            return Err(InvalidQuantity::Text(text.chars().take(80).collect()));
        }
        Ok(Self(amount))
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount such as 0.5, 500m or 512Mi")
            }

            fn visit_f64<E: de::Error>(self, amount: f64) -> Result<Amount, E> {
                Ok(Amount(amount))
            }

            fn visit_u64<E: de::Error>(self, amount: u64) -> Result<Amount, E> {
                Ok(Amount(amount as f64))
            }

            fn visit_i64<E: de::Error>(self, amount: i64) -> Result<Amount, E> {
                Ok(Amount(amount as f64))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Visitor)
        } else {
            deserializer.deserialize_f64(Visitor)
        }
    }
}

impl<'de> Deserialize<'de> for Quantities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Quantities;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("amounts by resource")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Quantities, A::Error> {
                let mut all = Quantities::new();
                while let Some(resource) = map.next_key()? {
                    // The same resource may be written in two ways, as cpu_cores and cpu-cores.
                    if all.names(resource) {
                        return Err(de::Error::custom(format!(
                            "{resource} is given twice: keep one of the two"
                        )));
                    }
                    let Amount(amount) = map.next_value()?;
                    all.set(resource, amount)
                        .map_err(|error| de::Error::custom(format!("{resource}: {error}")))?;
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl utoipa::PartialSchema for Quantities {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, Type};
        let amount = || ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).build();
        Resource::ALL
            .iter()
            .fold(ObjectBuilder::new(), |object, resource| {
                object.property(resource.as_str(), amount())
            })
            .description(Some(
                "Amounts by resource; also as text with a suffix, such as 500m or 512Mi",
            ))
            .into()
    }
}

impl utoipa::ToSchema for Quantities {}
