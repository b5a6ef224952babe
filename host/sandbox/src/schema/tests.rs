use super::Schema;
use serde_json::{Value, json};

fn check(schema: &Value, document: &Value) -> Result<(), String> {
    Schema::parse(schema).unwrap().check(document)
}

#[test]
fn each_rule_allows_what_it_says_and_names_the_place_of_anything_else() {
    let inner = |rules: Value| json!({ "properties": { "a": rules } });
    for (rules, good, bad, says) in [
        (
            json!({"type": "integer"}),
            json!(2.0),
            json!(2.5),
            "/a is 2.5: it must be a whole number",
        ),
        (
            json!({"type": ["string", "null"]}),
            json!(null),
            json!(1),
            "/a is 1: it must be a string or null",
        ),
        (json!({"type": "number"}), json!(0.5), json!("x"), "/a is \"x\": it must be a number"),
        (json!({"type": "boolean"}), json!(true), json!(0), "/a is 0: it must be true or false"),
        (json!({"type": "object"}), json!({}), json!([]), "/a is []: it must be an object"),
        (json!({"type": "array"}), json!([]), json!({}), "/a is {}: it must be an array"),
        (json!({"enum": ["x", 1]}), json!(1.0), json!("y"), "/a is \"y\": it must be \"x\" or 1"),
        (
            json!({"const": [{"b": 1}]}),
            json!([{"b": 1.0}]),
            json!([{}]),
            "/a is [{}]: it must be [{\"b\":1}]",
        ),
        (json!({"minimum": 1}), json!(1), json!(0.9), "/a is 0.9: it must be at least 1"),
        (json!({"maximum": 1}), json!(1), json!(3), "/a is 3: it must be at most 1"),
        (json!({"exclusiveMinimum": 1}), json!(1.1), json!(1), "/a is 1: it must be more than 1"),
        (json!({"exclusiveMaximum": 1}), json!(0), json!(1), "/a is 1: it must be less than 1"),
        (
            json!({"minLength": 2}),
            json!("äö"),
            json!("ä"),
            "it has 1 characters and must have at least 2",
        ),
        (json!({"maxLength": 2}), json!("äö"), json!("äöü"), "must have at most 2"),
        (json!({"minItems": 1}), json!([1]), json!([]), "it has 0 items and must have at least 1"),
        (json!({"maxItems": 1}), json!([1]), json!([1, 2]), "must have at most 1"),
        (json!({"items": {"type": "number"}}), json!([1, 2]), json!([1, "2"]), "/a/1 is \"2\""),
        (json!({"required": ["b"]}), json!({"b": 1}), json!({}), "/a/b is missing"),
        (
            json!({"additionalProperties": {"type": "null"}}),
            json!({"c": null}),
            json!({"c": 1}),
            "/a/c is 1",
        ),
        (
            json!({"properties": {"b": true}, "additionalProperties": false}),
            json!({"b": 1}),
            json!({"c": 1}),
            "/a/c is not known; known are: b",
        ),
        (
            json!({"properties": {"b": false}}),
            json!({}),
            json!({"b": 1}),
            "/a/b is 1: it must not be there",
        ),
    ] {
        let schema = inner(rules);
        assert_eq!(check(&schema, &json!({ "a": good })), Ok(()), "{schema}");
        let error = check(&schema, &json!({ "a": bad })).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn rules_are_for_what_they_are_about_and_others_are_ignored() {
    let schema = json!({
        "$schema": "s", "title": "t", "description": "d", "default": 5, "format": "none",
        "minimum": 1, "minLength": 100, "items": false, "required": ["x"],
    });
    assert_eq!(check(&schema, &json!(true)), Ok(()));
    assert_eq!(check(&json!(true), &json!([1])), Ok(()));
}

#[test]
fn a_schema_that_is_none_is_named_with_its_place() {
    for (schema, says) in [
        (json!(false), "the whole of it is false"),
        (json!([]), "the whole of it is []"),
        (json!({"properties": {"a": 3}}), "/properties/a is 3: a schema is"),
        (json!({"properties": {"a": {"items": [1]}}}), "/properties/a/items is [1]"),
        (json!({"additionalProperties": "x"}), "/additionalProperties is"),
        (json!({"type": "float"}), "/type is \"float\": it is no type"),
        (json!({"maximum": "1"}), "/maximum is \"1\": it must be a number"),
        (json!({"minItems": -1}), "/minItems is -1"),
        (json!({"required": "a"}), "/required is \"a\""),
        (json!({"enum": 1}), "/enum is 1"),
        (json!({"properties": []}), "/properties is []"),
    ] {
        let error = Schema::parse(&schema).unwrap_err();
        assert!(error.starts_with(says), "{error}");
    }
}
