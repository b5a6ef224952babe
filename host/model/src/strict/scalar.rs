use std::fmt;

use serde::de::{self, Unexpected, Visitor};

/// The visitor of a number or boolean. It describes the accepted values in words and accepts no others. A
/// format that parses numbers from text, such as YAML, presents them as written.
pub(super) struct Scalar<V> {
    pub(super) visitor: V,
    pub(super) wanted: Wanted,
}

/// The accepted kind of a scalar.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Whole { least: i128, most: i128 },
    Number,
    Truth,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { least, most } => write!(f, "a whole number from {least} to {most}"),
            Self::Number => f.write_str("a number"),
            Self::Truth => f.write_str("true or false"),
        }
    }
}

impl<V> Scalar<V> {
    /// Rejects a value of another kind or out of range.
    fn check<E: de::Error>(
        &self,
        unexpected: Unexpected<'_>,
        value: Option<i128>,
    ) -> Result<(), E> {
        match (self.wanted, value) {
            (Wanted::Whole { least, most }, Some(value)) if (least..=most).contains(&value) => {
                Ok(())
            }
            (Wanted::Number, Some(_)) => Ok(()),
            (wanted @ Wanted::Whole { .. }, Some(_)) => {
                Err(E::invalid_value(unexpected, &wanted.to_string().as_str()))
            }
            (wanted, _) => Err(E::invalid_type(unexpected, &wanted.to_string().as_str())),
        }
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Scalar<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.wanted)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Truth => self.visitor.visit_bool(value),
            wanted => Err(E::invalid_type(Unexpected::Bool(value), &wanted.to_string().as_str())),
        }
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<V::Value, E> {
        self.check(Unexpected::Unsigned(value), Some(value.into()))?;
        self.visitor.visit_u64(value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<V::Value, E> {
        self.check(Unexpected::Signed(value), Some(value.into()))?;
        self.visitor.visit_i64(value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<V::Value, E> {
        match self.wanted {
            Wanted::Number => self.visitor.visit_f64(value),
            wanted => Err(E::invalid_type(Unexpected::Float(value), &wanted.to_string().as_str())),
        }
    }
}
