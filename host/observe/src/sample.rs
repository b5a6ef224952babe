use std::borrow::Cow;

use haggle_model::{Name, Quantities, Resource, Timestamp};
use serde::{Deserialize, Serialize};

/// The default metric of a sample: the load of a service.
pub const DEFAULT_METRIC: &str = "requests_per_second";

/// Maximum length of a metric and an instance together, in bytes: with the service's name they form a key of
/// the store.
const MOST_NAMES: usize = 313;

/// The largest value of a metric that is not a resource.
const MOST_VALUE: f64 = 1e30;

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The measured service.
    pub service: Name,
    /// The metric: 1 to 128 letters, digits and `_ . : / -`, beginning with a letter or `_`.
    #[serde(default = "default_metric")]
    #[schema(default = "requests_per_second")]
    pub metric: String,
    /// The measured replica, container or machine; 1 to 253 bytes, and at most 313 together with the metric.
    /// Default: the whole service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// When it was measured. Default: the time of arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The value in the unit of the metric: 0 to 1e15 for a resource, otherwise -1e30 to 1e30.
    pub value: f64,
}

/// The reason why a sample or failure is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{what} {index}: {field} is {value}: it must {rule}")]
pub struct SampleError {
    /// "sample" or "failure".
    pub what: &'static str,
    /// The position in the batch, from 0.
    pub index: usize,
    /// The invalid field.
    pub field: &'static str,
    /// The given value, shortened.
    pub value: String,
    /// The rule that it violates.
    pub rule: Cow<'static, str>,
}

impl Sample {
    /// The resource that this metric of a whole service was meant to be; `None` if it is one, or has another
    /// name. A name counts as meant if it differs in case, in punctuation or in two letters at most.
    fn meant(&self) -> Option<Resource> {
        if self.instance.is_some() || Resource::named(&self.metric).is_some() {
            return None;
        }
        let plain: String = self.metric.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_lowercase();
        Resource::ALL.into_iter().find(|resource| {
            let name: String = resource.as_str().chars().filter(|c| *c != '_').collect();
            distance(&plain, &name) <= 2
        })
    }

    /// Validates what the types do not enforce. `index` is the position in the batch, for the error.
    ///
    /// # Errors
    /// [`SampleError`] with the position and the field.
    pub fn validate(&self, index: usize) -> Result<(), SampleError> {
        let wrong = |field, value, rule: &'static str| {
            let rule = Cow::Borrowed(rule);
            Err(SampleError { what: Self::WHAT, index, field, value, rule })
        };
        if !is_metric(&self.metric) {
            let rule = "be 1 to 128 letters, digits and _ . : / -, beginning with a letter or _";
            return wrong("metric", quoted(&self.metric), rule);
        }
        if let Some(resource) = self.meant() {
            let known = Resource::names();
            let rule = format!(
                "be {resource} if it is that, or have a name that differs more (the resources are {known})"
            );
            return Err(SampleError {
                what: Self::WHAT,
                index,
                field: "metric",
                value: quoted(&self.metric),
                rule: rule.into(),
            });
        }
        check_instance(Self::WHAT, index, self.instance.as_deref())?;
        if self.metric.len() + self.instance.as_ref().map_or(0, String::len) > MOST_NAMES {
            let rule = "have at most 313 bytes together with the metric";
            return wrong("instance", quoted(self.instance.as_deref().unwrap_or_default()), rule);
        }
        let is_resource = Resource::named(&self.metric).is_some();
        if is_resource && !(0.0..=Quantities::MAX).contains(&self.value) {
            return wrong("value", self.value.to_string(), "lie between 0 and 1e15");
        }
        if !(-MOST_VALUE..=MOST_VALUE).contains(&self.value) {
            return wrong("value", self.value.to_string(), "lie between -1e30 and 1e30");
        }
        Ok(())
    }

    /// The name of the item in errors.
    pub(crate) const WHAT: &'static str = "sample";
}

/// Checks the instance of a sample or failure. Both use the same rules, so that they can name the same
/// instance.
pub(crate) fn check_instance(
    what: &'static str,
    index: usize,
    instance: Option<&str>,
) -> Result<(), SampleError> {
    match instance {
        Some(instance) if !is_instance(instance) => Err(SampleError {
            what,
            index,
            field: "instance",
            value: quoted(instance),
            rule: Cow::Borrowed("be 1 to 253 bytes, none of them a control character"),
        }),
        _ => Ok(()),
    }
}

/// The number of insertions, deletions and substitutions of letters between two words (Levenshtein distance);
/// an upper bound beyond 2 is enough for a difference in length.
fn distance(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (place, b) in row.iter_mut().zip(std::iter::once(None).chain(other.bytes().map(Some))) {
            let above = *place;
            if let Some(b) = b {
                left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            }
            (diagonal, *place) = (above, left);
        }
    }
    row.last().copied().unwrap_or_default()
}

fn is_metric(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.:/-".contains(c))
}

fn is_instance(text: &str) -> bool {
    (1..=253).contains(&text.len()) && !text.contains(char::is_control)
}

fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}

fn default_metric() -> String {
    DEFAULT_METRIC.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_METRIC, Sample, distance};

    #[test]
    fn reads_what_is_left_out() {
        let sample: Sample = serde_json::from_str(r#"{"service": "web", "value": 12}"#).unwrap();
        assert_eq!((sample.metric.as_str(), sample.instance.as_ref()), (DEFAULT_METRIC, None));
        assert_eq!((sample.time, sample.value), (None, 12.0));
        assert_eq!(sample.validate(0), Ok(()));
        let typo = r#"{"service": "web", "vlaue": 12}"#;
        assert!(serde_json::from_str::<Sample>(typo).unwrap_err().to_string().contains("vlaue"));
    }

    #[test]
    fn counts_the_letters_that_differ() {
        for (one, other, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "bc", 1),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
        assert_eq!(distance("abcd", "a"), usize::MAX);
    }

    #[test]
    fn says_which_and_where() {
        let good: Sample = serde_json::from_str(r#"{"service": "web", "value": 1}"#).unwrap();
        let bad = [
            ("metric", Sample { metric: "1st".into(), ..good.clone() }),
            ("metric", Sample { metric: "x".repeat(129), ..good.clone() }),
            ("metric", Sample { metric: String::new(), ..good.clone() }),
            ("metric", Sample { metric: "request_per_second".into(), ..good.clone() }),
            ("metric", Sample { metric: "requests-per-second".into(), ..good.clone() }),
            ("metric", Sample { metric: "cpuCores".into(), ..good.clone() }),
            ("metric", Sample { metric: "memory_byte".into(), ..good.clone() }),
            ("instance", Sample { instance: Some(String::new()), ..good.clone() }),
            ("instance", Sample { instance: Some("a\nb".into()), ..good.clone() }),
            ("instance", Sample { instance: Some("日".repeat(85)), ..good.clone() }),
            (
                "instance",
                Sample { metric: "x".repeat(128), instance: Some("y".repeat(186)), ..good.clone() },
            ),
            ("value", Sample { value: f64::NAN, ..good.clone() }),
            ("value", Sample { value: 2e15, ..good.clone() }),
            ("value", Sample { value: -5.0, ..good.clone() }),
            ("value", Sample { metric: "heat".into(), value: 2e30, ..good.clone() }),
            ("value", Sample { value: f64::NEG_INFINITY, ..good.clone() }),
        ];
        for (field, sample) in bad {
            let error = sample.validate(7).unwrap_err();
            assert_eq!((error.index, error.field), (7, field), "{error}");
        }
        for metric in ["queue_depth", "requests", "cpu", "gpu", "errors_per_second"] {
            let other = Sample { metric: metric.into(), ..good.clone() };
            assert_eq!(other.validate(0), Ok(()), "{metric}");
        }
        let names =
            Sample { metric: "x".repeat(128), instance: Some("y".repeat(185)), ..good.clone() };
        assert_eq!(names.validate(0), Ok(()));
        let cold = Sample { metric: "heat".into(), value: -1e30, ..good };
        assert_eq!(cold.validate(0), Ok(()));
    }
}
