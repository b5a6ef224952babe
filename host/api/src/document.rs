use std::collections::BTreeMap;

use haggle_model::{Name, Strict};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::{Problem, problem::Answer};

/// Parses a JSON document from the body. An error gives the field, line and column.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> Answer<T> {
    read(text).map_err(|fault| fault.problem("the body", None))
}

/// Parses a JSON document from a query parameter.
pub(crate) fn parse_parameter<T: DeserializeOwned>(name: &str, text: &[u8]) -> Answer<T> {
    read(text).map_err(|fault| fault.problem(&format!("the query parameter `{name}`"), None))
}

/// Parses a JSON object that describes the resource in the path. `names` pairs each field with its value in
/// the path: the text may omit the field, otherwise its value must agree.
pub(crate) fn named<T: DeserializeOwned>(
    text: &[u8],
    names: &[(&'static str, &Name)],
) -> Answer<T> {
    let fields: BTreeMap<String, Value> = parse(text)?;
    let mut missing = Vec::new();
    for (field, name) in names {
        match fields.get(*field) {
            None => missing.push(format!(r#""{field}":"{name}""#)),
            Some(Value::String(given)) if given != name.as_str() => {
                return Err(Problem::invalid(format!(
                    "the path says that `{field}` is {name}, the body that it is {given}: make them agree, or leave `{field}` out of the body"
                )));
            }
            Some(_) => {}
        }
    }
    if missing.is_empty() {
        return parse(text);
    }
    // Append the missing names at the end, so that the parser's positions match the text that the client
    // sent. That text is an object, so it ends with a brace.
    let open = text.trim_ascii_end();
    let open = open.strip_suffix(b"}").unwrap_or(open);
    let comma = if fields.is_empty() { "" } else { "," };
    let completed = [open, comma.as_bytes(), missing.join(",").as_bytes(), b"}"].concat();
    let end = position(open);
    read(&completed).map_err(|fault| fault.problem("the body", Some(end)))
}

/// A parse error, with its field and position.
struct Fault {
    field: String,
    cause: String,
    at: (usize, usize),
    is_json: bool,
}

impl Fault {
    /// Converts the fault into a problem of `source`. `end` is the last position of the text that the client
    /// sent; it caps the reported position when the parser saw appended text.
    fn problem(self, source: &str, end: Option<(usize, usize)>) -> Problem {
        let (line, column) = end.map_or(self.at, |end| self.at.min(end));
        let Self { field, cause, .. } = self;
        let place = format!("line {line}, column {column}");
        Problem::invalid(match (self.is_json, field.as_str()) {
            (false, _) => format!("{source} is not JSON: {cause} ({place})"),
            (true, "." | "") => format!("in {source}: {cause} ({place})"),
            (true, field) => format!("in {source}: `{field}`: {cause} ({place})"),
        })
    }
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, Fault> {
    let mut parser = serde_json::Deserializer::from_slice(text);
    let Strict(value) = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let fault = fault(error.path().to_string(), error.inner());
        // An enum that is not a string is a syntax error to the parser, although the text is JSON.
        let is_json = fault.is_json || serde_json::from_slice::<IgnoredAny>(text).is_ok();
        Fault { is_json, ..fault }
    })?;
    parser.end().map_err(|error| fault(String::new(), &error))?;
    Ok(value)
}

fn fault(field: String, error: &serde_json::Error) -> Fault {
    let at = (error.line(), error.column());
    let text = error.to_string();
    let suffix = format!(" at line {} column {}", at.0, at.1);
    let cause = text.strip_suffix(&suffix).unwrap_or(&text).to_owned();
    Fault { field, cause, at, is_json: error.is_data() }
}

/// The line and column of the end of a text, counted as the parser counts them.
fn position(text: &[u8]) -> (usize, usize) {
    let line = 1 + text.iter().filter(|byte| **byte == b'\n').count();
    let column = text.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
    (line, column + 1)
}

#[cfg(test)]
mod tests {
    use haggle_model::Name;
    use serde::Deserialize;

    use super::{named, parse};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: Name,
        size: Size,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Size {
        width: u32,
    }

    fn read(text: &str) -> Result<Thing, String> {
        let name = Name::new("box").unwrap();
        named(text.as_bytes(), &[("name", &name)]).map_err(|problem| problem.detail)
    }

    #[test]
    fn the_name_may_be_left_out_but_not_differ() {
        let expected = Thing { name: Name::new("box").unwrap(), size: Size { width: 2 } };
        assert_eq!(read(r#"{"name": "box", "size": {"width": 2}}"#).as_ref(), Ok(&expected));
        assert_eq!(read("{\"size\": {\"width\": 2}\n}\n").as_ref(), Ok(&expected));
        let error = read(r#"{"name": "tin", "size": {"width": 2}}"#).unwrap_err();
        assert!(error.contains("box") && error.contains("tin"), "{error}");
        let error = read(r#"{"name": "box", "name": "box", "size": {"width": 2}}"#).unwrap_err();
        assert!(error.contains("duplicate key `name`: keep one"), "{error}");
        let error = read(r#"{"size": [2]}"#).unwrap_err();
        assert!(error.contains("`size`: a list stands where an object belongs"), "{error}");
        let error = parse::<Size>(b"[2]").unwrap_err().detail;
        assert!(error.contains("a list stands where an object belongs"), "{error}");
        let error = read(r#"{"name": 7, "size": {"width": 2}}"#).unwrap_err();
        assert!(error.contains("`name`") && error.contains("column"), "{error}");
    }

    #[test]
    fn positions_are_those_of_the_text_that_was_sent() {
        for (text, expected) in [
            (
                "{\n  \"size\": {\"width\": \"x\"}\n}",
                "`size.width`: invalid type: string \"x\", expected a whole number from 0 to 4294967295 (line 2, column 23)",
            ),
            ("{\n  \"size\": {\"wdth\": 1}\n}", "line 2, column 17"),
            ("{}", "missing field `size` (line 1, column 2)"),
            ("{ }\n\n", "missing field `size` (line 1, column 3)"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn says_where_it_stops_being_json() {
        for (text, expected) in [
            ("", "line 1, column 0"),
            ("{\n\"size\": }", "line 2, column 9"),
            ("{\"size\": {\"width\": 1}} x", "line 1, column 24"),
            ("[]", "expected a map"),
            ("{\"size\": \u{1}}", "not JSON"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let deep = "[".repeat(100_000);
        assert!(parse::<serde_json::Value>(deep.as_bytes()).is_err());
    }
}
