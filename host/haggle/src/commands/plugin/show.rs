//! Plugins as text.

use haggle_runtime::{LoadState, PluginView};

use crate::table::{Header, Table};

/// A table with one row per plugin.
pub(super) fn table(plugins: &[PluginView]) -> Table {
    let mut table = Table::new([
        Header::Left("name"),
        Header::Right("generation"),
        Header::Left("roles"),
        Header::Left("version"),
        Header::Right("size"),
        Header::Left("digest"),
        Header::Left("origin"),
    ]);
    for plugin in plugins {
        let origin = if plugin.built_in { "built in" } else { "loaded" };
        let cells = match &plugin.current {
            Some(current) => [
                plugin.name.to_string(),
                current.generation.to_string(),
                current.roles.join(", "),
                current.version.clone(),
                size(current.size),
                short(&current.digest),
                origin.to_owned(),
            ],
            None => {
                let load = plugin.load.as_ref().map(|load| load.status);
                let state = if load == Some(LoadState::Failed) { "failed" } else { "compiling" };
                let nothing = || "-".to_owned();
                [
                    plugin.name.to_string(),
                    nothing(),
                    nothing(),
                    nothing(),
                    nothing(),
                    nothing(),
                    state.to_owned(),
                ]
            }
        };
        table.row(cells);
    }
    table
}

/// A plugin in one line.
pub(super) fn line(plugin: &PluginView) -> String {
    let name = &plugin.name;
    match &plugin.current {
        Some(current) => {
            let (generation, roles) = (current.generation, current.roles.join(", "));
            let (size, digest) = (size(current.size), short(&current.digest));
            let notice = plugin.notice.iter().map(|notice| format!("\nnote: {notice}"));
            format!(
                "plugin {name} generation {generation} decides: {roles} ({size}, sha256 {digest}){}",
                notice.collect::<String>()
            )
        }
        None => format!("plugin {name} decides nothing yet"),
    }
}

/// Bytes with a unit.
pub(super) fn size(bytes: u64) -> String {
    let units = [(1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// The first 12 characters of a digest.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!([size(1023), size(1024), size(18_000_000)], ["1023 B", "1.0 KiB", "17.2 MiB"]);
    }
}
