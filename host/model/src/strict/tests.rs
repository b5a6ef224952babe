use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::Strict;
use crate::{Quantities, Service};

#[derive(Debug, PartialEq, Deserialize)]
enum Shape {
    None,
    Side(f64),
    Box { width: u8, height: u8 },
}

#[derive(Debug, PartialEq, Deserialize)]
struct Thing {
    shape: Option<Shape>,
    sizes: Vec<Size>,
    #[serde(default)]
    all: BTreeMap<String, Size>,
    #[serde(default)]
    pair: (u8, u8),
}

#[derive(Debug, PartialEq, Deserialize)]
struct Size {
    width: u8,
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map(|Strict(value)| value).map_err(|error| error.to_string())
}

#[test]
fn what_is_written_plainly_is_read_as_ever() {
    for text in [
        r#"{"shape": null, "sizes": [{"width": 1}, {"width": 2}], "pair": [1, 2]}"#,
        r#"{"shape": "None", "sizes": [], "all": {"a": {"width": 1}, "b": {"width": 1}}}"#,
        r#"{"shape": {"Side": 2.5}, "sizes": []}"#,
        r#"{"shape": {"Box": {"width": 1, "height": 2}}, "sizes": []}"#,
    ] {
        assert_eq!(read::<Thing>(text), Ok(serde_json::from_str(text).unwrap()), "{text}");
    }
}

#[test]
fn a_list_is_no_object_and_no_key_comes_twice() {
    let list = "a list stands where an object belongs: give its fields by their names (`width`";
    for (text, says) in [
        (r#"{"shape": null, "sizes": [[1]]}"#, list),
        (r#"{"shape": {"Box": [1, 2]}, "sizes": []}"#, list),
        (r#"{"shape": null, "sizes": [], "all": {"a": [1]}}"#, list),
        (r#"[null, []]"#, "(`shape`, `sizes`, `all`, `pair`)"),
        (r#"{"shape": null, "shape": null}"#, "duplicate key `shape`"),
        (
            r#"{"shape": null, "sizes": [], "all": {"a": {"width": 1}, "a": {"width": 2}}}"#,
            "duplicate key `a`: keep one",
        ),
    ] {
        let error = read::<Thing>(text).unwrap_err();
        assert!(error.contains(says) && error.contains(" at line 1 column "), "{text}: {error}");
    }
}

#[test]
fn what_is_no_number_is_told_the_range() {
    let width = |value: &str| format!(r#"{{"shape": null, "sizes": [{{"width": {value}}}]}}"#);
    let side = |value: &str| format!(r#"{{"shape": {{"Side": {value}}}, "sizes": []}}"#);
    let whole = "expected a whole number from 0 to 255";
    for (text, given, wanted) in [
        (width("256"), "integer `256`", whole),
        (width("-1"), "integer `-1`", whole),
        (width("1.5"), "floating point `1.5`", whole),
        (width(r#""2""#), r#"string "2""#, whole),
        (width("true"), "boolean `true`", whole),
        (width("null"), "null", whole),
        (width("[]"), "sequence", whole),
        (side(r#""2""#), r#"string "2""#, "expected a number"),
        (r#"{"shape": null, "sizes": [7]}"#.to_owned(), "`7`", "an object with named fields"),
        (r#"{"shape": "Ring", "sizes": []}"#.to_owned(), "`Ring`", "`None`, `Side`, `Box`"),
    ] {
        let error = read::<Thing>(&text).unwrap_err();
        assert!(error.contains(given) && error.contains(wanted), "{text}: {error}");
    }
    assert_eq!(read::<Vec<i64>>(r#"["x"]"#).unwrap_err().lines().count(), 1);
    assert!(read::<bool>(r#""yes""#).unwrap_err().contains("expected true or false"));
    assert_eq!(read::<i64>(&i64::MIN.to_string()), Ok(i64::MIN));
    assert_eq!(read::<u64>(&u64::MAX.to_string()), Ok(u64::MAX));
    assert_eq!(read::<f32>("2"), Ok(2.0));
}

#[test]
fn documents_are_read_strictly() {
    let service = r#"{"name": "a", "replica": {"capacity": {"requests_per_second": 1}}}"#;
    assert!(read::<Service>(service).is_ok());
    for text in [
        r#"{"name": "a", "replica": [{}, {"requests_per_second": 1}]}"#,
        r#"{"name": "a", "replica": {"capacity": {"requests_per_second": 1, "requests_per_second": 2}}}"#,
    ] {
        assert!(read::<Service>(text).is_err(), "{text}");
    }
    let twice = r#"{"cpu_cores": 1, "cpu-cores": 2}"#;
    let error = read::<Quantities>(twice).unwrap_err();
    assert!(error.contains("cpu_cores") && error.contains("twice"), "{error}");
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("\\PC{0,4}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_itself(value in json()) {
        prop_assert_eq!(read::<Value>(&value.to_string()), Ok(value));
    }
}
