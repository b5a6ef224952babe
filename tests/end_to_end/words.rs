//! Each thing has one name: retired words do not come back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::server::{HAGGLE, Server};

/// A word that is retired as the name of a field, a value, a kind or an option, and its replacement.
const RETIRED: [(&str, &str); 23] = [
    ("uses", "requests"),
    ("serves", "capacity"),
    ("has", "resources"),
    ("later_within", "max_delay"),
    ("band", "tolerance"),
    ("smaller", "partial"),
    ("later", "delayed"),
    ("elsewhere", "other_location"),
    ("borrowed", "preempt or preempted"),
    ("degraded", "without_optional"),
    ("give-up", "cancel"),
    ("won", "approved"),
    ("pool", "totals"),
    ("standing", "status"),
    ("turn", "pass"),
    ("wish", "demand"),
    ("need", "target"),
    ("bidding", "answering, selling or ranking"),
    ("bidder", "answering, selling or ranking"),
    ("low-risk", "avoid-interruption"),
    ("drivers", "contributions"),
    ("apis", "services"),
    ("wanted", "requested or target"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Names of properties and values of enumerations, anywhere in a description of the API.
fn names(description: &Value, found: &mut Vec<String>) {
    match description {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("properties", Value::Object(properties)) => {
                        found.extend(properties.keys().cloned());
                    }
                    ("enum", Value::Array(values)) => {
                        found.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
                    }
                    _ => {}
                }
                names(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

fn retired(name: &str) -> Option<&'static str> {
    RETIRED.iter().find(|(old, _)| *old == name).map(|(_, new)| *new)
}

#[test]
fn the_api_uses_no_retired_word() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let description = server.get("/openapi.json").is(200).clone();
    let mut found = Vec::new();
    names(&description, &mut found);
    assert!(found.iter().any(|name| name == "capacity"), "the walk finds names: {found:?}");
    for name in found {
        assert_eq!(retired(&name), None, "{name} in /openapi.json");
    }
}

#[test]
fn the_command_line_uses_no_retired_word() {
    let help = |args: &[&str]| {
        let output = Command::new(HAGGLE).args(args).arg("--help").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let all = help(&[]);
    let listed = all.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.starts_with("  "));
    let named = listed.filter_map(|line| line.get(2..).filter(|rest| !rest.starts_with(' ')));
    let commands: Vec<&str> = named.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"cancel"), "{all}");
    for command in commands {
        assert_eq!(retired(command), None, "the command {command}");
        for word in help(&[command]).split_whitespace() {
            let option = word.strip_prefix("--").unwrap_or_default();
            assert_eq!(retired(option), None, "{command} --{option}");
        }
    }
}

/// Whether a line of a document has it as a key of YAML or JSON, or in backticks.
fn has_as_name(line: &str, word: &str) -> bool {
    let key = line.trim_start().trim_start_matches("- ");
    key.starts_with(&format!("{word}: "))
        || key.trim_end() == format!("{word}:")
        || [
            format!("`{word}`"),
            format!("\"{word}\":"),
            format!("{{ {word}:"),
            format!(", {word}:"),
        ]
        .iter()
        .any(|form| line.contains(form.as_str()))
}

/// The names that a file of the contract declares: fields, cases, records, functions, interfaces.
fn declared(wit: &str) -> Vec<&str> {
    let code = wit.lines().map(|line| line.split("//").next().unwrap_or_default());
    let words = code.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '-')));
    words.filter(|word| !word.is_empty()).collect()
}

#[test]
fn the_contract_uses_no_retired_word() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("wit")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let names = declared(&text);
        seen += names.len();
        for name in names {
            assert_eq!(retired(name), None, "{name} in {}", path.display());
        }
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let escaped: Vec<&str> = code.filter(|line| line.contains('%')).collect();
        assert!(escaped.is_empty(), "escaped names in {}: {escaped:?}", path.display());
    }
    assert!(seen > 500, "the walk finds names: {seen}");
}

#[test]
fn the_documents_use_no_retired_word() {
    let mut files: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md"].iter().map(|name| root().join(name)).collect();
    let mut folders = vec![root().join("policies"), root().join("sdk")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_ours = !["node_modules", "target", ".venv"].contains(&name.as_ref());
            if path.is_dir() && is_ours {
                folders.push(path);
            } else if name.ends_with(".md") || name.ends_with(".yaml") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            for (old, new) in RETIRED {
                let place = format!("{}:{}", file.display(), number + 1);
                assert!(!has_as_name(line, old), "{place} says {old} for {new}: {line}");
            }
        }
    }
}
