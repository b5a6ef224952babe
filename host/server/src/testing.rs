//! What the tests of several modules need.

use std::path::Path;

use crate::HostOptions;

/// Options of a host whose built-in policies are compiled once for all tests.
pub(crate) fn options() -> HostOptions {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tmp");
    let cache = Some(target.join("policies"));
    let sandbox = haggle_sandbox::Options { cache, ..haggle_sandbox::Options::default() };
    HostOptions { sandbox, ..HostOptions::default() }
}
