//! The subset of JSON Schema that configurations need: types, properties, bounds and choices. Other keywords
//! are ignored, as the standard requires; a supported keyword with a value of the wrong type is an error.
//!
//! Parsing bounds the depth of schemas and documents, so recursion is safe here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A checked schema.
#[derive(Debug)]
pub(crate) enum Schema {
    /// `true` allows everything, `false` nothing.
    Always(bool),
    Rules(Box<Rules>),
}

/// The rules for a document; an absent rule allows everything.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    types: Option<Vec<Kind>>,
    choices: Option<Vec<Value>>,
    properties: BTreeMap<String, Schema>,
    required: Vec<String>,
    additional: Option<Schema>,
    items: Option<Schema>,
    bounds: Vec<Bound>,
    counts: Vec<Count>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Null,
    Boolean,
    Object,
    Array,
    Number,
    Integer,
    String,
}

/// A bound for a number.
#[derive(Debug)]
struct Bound {
    number: f64,
    holds: fn(&f64, &f64) -> bool,
    says: &'static str,
}

/// A bound for a length or size.
#[derive(Debug)]
struct Count {
    of: fn(&Value) -> Option<usize>,
    count: usize,
    holds: fn(&usize, &usize) -> bool,
    says: &'static str,
    what: &'static str,
}

impl Schema {
    /// Parses a schema.
    ///
    /// # Errors
    /// A text that names the position of the error.
    pub(crate) fn parse(schema: &Value) -> Result<Self, String> {
        Self::at("", schema)
    }

    /// Checks a document.
    ///
    /// # Errors
    /// A text that names the position of the first violation.
    pub(crate) fn check(&self, document: &Value) -> Result<(), String> {
        self.check_at("", document)
    }

    fn at(place: &str, schema: &Value) -> Result<Self, String> {
        let object = match schema {
            Value::Bool(always) if !place.is_empty() || *always => {
                return Ok(Self::Always(*always));
            }
            Value::Object(object) => object,
            _ => {
                return Err(wrong(
                    place,
                    schema,
                    "a schema is an object or a boolean, the whole of it not false",
                ));
            }
        };
        let mut rules = Rules::default();
        for (keyword, value) in object {
            rules.add(&format!("{place}/{keyword}"), keyword, value)?;
        }
        Ok(Self::Rules(Box::new(rules)))
    }

    fn check_at(&self, place: &str, document: &Value) -> Result<(), String> {
        match self {
            Self::Always(true) => Ok(()),
            Self::Always(false) => Err(wrong(place, document, "it must not be there")),
            Self::Rules(rules) => rules.check(place, document),
        }
    }
}

impl Rules {
    fn add(&mut self, place: &str, keyword: &str, value: &Value) -> Result<(), String> {
        match keyword {
            "type" => {
                let names = match value {
                    Value::Array(names) => names.as_slice(),
                    name => std::slice::from_ref(name),
                };
                let kind = |name: &Value| {
                    let kind = name.as_str().and_then(Kind::named);
                    kind.ok_or_else(|| wrong(place, name, "it is no type"))
                };
                self.types = Some(names.iter().map(kind).collect::<Result<_, _>>()?);
            }
            "enum" => match value {
                Value::Array(choices) => self.choices = Some(choices.clone()),
                _ => return Err(wrong(place, value, "it must be an array")),
            },
            "const" => self.choices = Some(vec![value.clone()]),
            "properties" => {
                for (name, schema) in object(place, value)? {
                    let schema = Schema::at(&format!("{place}/{name}"), schema)?;
                    self.properties.insert(name.clone(), schema);
                }
            }
            "required" => {
                let names = value.as_array().map(|names| names.iter().map(Value::as_str));
                let names = names.and_then(|mut names| {
                    names.try_fold(Vec::new(), |mut all, name| {
                        all.push(name?.to_owned());
                        Some(all)
                    })
                });
                let none = || wrong(place, value, "it must be an array of strings");
                self.required = names.ok_or_else(none)?;
            }
            "additionalProperties" => self.additional = Some(Schema::at(place, value)?),
            "items" => self.items = Some(Schema::at(place, value)?),
            "minimum" => self.bound(place, value, f64::ge, "at least")?,
            "maximum" => self.bound(place, value, f64::le, "at most")?,
            "exclusiveMinimum" => self.bound(place, value, f64::gt, "more than")?,
            "exclusiveMaximum" => self.bound(place, value, f64::lt, "less than")?,
            "minLength" => {
                self.count(place, value, length, (usize::ge, "at least"), "characters")?
            }
            "maxLength" => {
                self.count(place, value, length, (usize::le, "at most"), "characters")?
            }
            "minItems" => self.count(place, value, items, (usize::ge, "at least"), "items")?,
            "maxItems" => self.count(place, value, items, (usize::le, "at most"), "items")?,
            _ => {}
        }
        Ok(())
    }

    fn bound(
        &mut self,
        place: &str,
        value: &Value,
        holds: fn(&f64, &f64) -> bool,
        says: &'static str,
    ) -> Result<(), String> {
        let number = value.as_f64().ok_or_else(|| wrong(place, value, "it must be a number"))?;
        self.bounds.push(Bound { number, holds, says });
        Ok(())
    }

    fn count(
        &mut self,
        place: &str,
        value: &Value,
        of: fn(&Value) -> Option<usize>,
        (holds, says): (fn(&usize, &usize) -> bool, &'static str),
        what: &'static str,
    ) -> Result<(), String> {
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        let count = count.ok_or_else(|| wrong(place, value, "it must be a whole number"))?;
        self.counts.push(Count { of, count, holds, says, what });
        Ok(())
    }

    fn check(&self, place: &str, document: &Value) -> Result<(), String> {
        if let Some(kinds) = &self.types
            && !kinds.iter().any(|kind| kind.is_of(document))
        {
            let names: Vec<&str> = kinds.iter().map(|kind| kind.says()).collect();
            return Err(wrong(place, document, &format!("it must be {}", names.join(" or "))));
        }
        if let Some(choices) = &self.choices
            && !choices.iter().any(|choice| same(choice, document))
        {
            let all: Vec<String> = choices.iter().map(short).collect();
            return Err(wrong(place, document, &format!("it must be {}", all.join(" or "))));
        }
        if let Some(number) = document.as_f64() {
            let broken = self.bounds.iter().find(|bound| !(bound.holds)(&number, &bound.number));
            if let Some(Bound { number, says, .. }) = broken {
                return Err(wrong(place, document, &format!("it must be {says} {number}")));
            }
        }
        for Count { of, count, holds, says, what } in &self.counts {
            if let Some(actual) = of(document)
                && !holds(&actual, count)
            {
                let must = format!("it has {actual} {what} and must have {says} {count}");
                return Err(wrong(place, document, &must));
            }
        }
        if let (Some(schema), Value::Array(items)) = (&self.items, document) {
            for (i, item) in items.iter().enumerate() {
                schema.check_at(&format!("{place}/{i}"), item)?;
            }
        }
        if let Value::Object(object) = document {
            self.check_object(place, object)?;
        }
        Ok(())
    }

    fn check_object(&self, place: &str, object: &Map<String, Value>) -> Result<(), String> {
        if let Some(missing) = self.required.iter().find(|name| !object.contains_key(*name)) {
            return Err(format!("{place}/{missing} is missing"));
        }
        for (name, value) in object {
            let place = format!("{place}/{name}");
            match (self.properties.get(name), &self.additional) {
                (Some(schema), _) => schema.check_at(&place, value)?,
                (None, Some(Schema::Always(false))) => {
                    let known: Vec<&str> = self.properties.keys().map(String::as_str).collect();
                    return Err(format!("{place} is not known; known are: {}", known.join(", ")));
                }
                (None, Some(schema)) => schema.check_at(&place, value)?,
                (None, None) => {}
            }
        }
        Ok(())
    }
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "object" => Self::Object,
            "array" => Self::Array,
            "number" => Self::Number,
            "integer" => Self::Integer,
            "string" => Self::String,
            _ => return None,
        })
    }

    fn is_of(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::Number => value.is_number(),
            Self::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Self::String => value.is_string(),
        }
    }

    const fn says(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "true or false",
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::String => "a string",
        }
    }
}

fn length(value: &Value) -> Option<usize> {
    value.as_str().map(|text| text.chars().count())
}

fn items(value: &Value) -> Option<usize> {
    value.as_array().map(Vec::len)
}

fn object<'a>(place: &str, value: &'a Value) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| wrong(place, value, "it must be an object"))
}

/// Whether two documents are equal; 1 equals 1.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let in_other = |(name, value)| other.get(name).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(in_other)
        }
        _ => one == other,
    }
}

/// Describes a violation and its position.
fn wrong(place: &str, value: &Value, must: &str) -> String {
    let place = if place.is_empty() { "the whole of it" } else { place };
    format!("{place} is {}: {must}", short(value))
}

/// Truncates a value for a message.
fn short(value: &Value) -> String {
    let mut text = value.to_string();
    crate::text::cut(&mut text, 80);
    text
}

#[cfg(test)]
mod tests;
