//! `cargo run -p haggle-simulate --example simulate -- 10000`: the report of so many seeds, as JSON.

use std::io::Write;

use haggle_simulate::{Options, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds = std::env::args().nth(1).map_or(Ok(1000), |text| text.parse())?;
    let report = run(&Options { seeds, ..Options::default() }, &|_| {})?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    Ok(())
}
