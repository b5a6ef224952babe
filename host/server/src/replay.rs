use std::{collections::BTreeMap, path::Path};

use haggle_sandbox::{Cause, Generation, Load, Sandbox, replay as call_again};
use haggle_store::{CallRecord, Plugins, Store, StoreOptions};

use crate::error::HostError;

/// What came of calling everything again.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReplayReport {
    /// How many calls were repeated.
    pub replayed: u64,
    /// Those that ended differently.
    pub differing: Vec<Difference>,
}

/// A call that ended differently.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Its place in the journal.
    pub sequence: u64,
    /// The plugin and its generation.
    pub plugin: String,
    /// What was called.
    pub function: String,
    /// How it differs.
    pub what: String,
}

/// Runs every journalled call of a data directory again and compares the outcomes bit by bit. No host
/// may be using the directory. `progress` is told how many are done.
///
/// # Errors
/// [`HostError`] where the directory cannot be read. A difference is no error.
pub fn replay(
    directory: &Path,
    mut sandbox: haggle_sandbox::Options,
    progress: &mut dyn FnMut(u64),
) -> Result<ReplayReport, HostError> {
    if !directory.is_dir() {
        return Err(HostError::NoData(directory.display().to_string()));
    }
    let store = Store::open(directory, &StoreOptions::default())?;
    sandbox.cache.get_or_insert_with(|| directory.join("cache"));
    let sandbox = Sandbox::new(sandbox).map_err(HostError::Sandbox)?;
    let mut generations = BTreeMap::new();
    let mut report = ReplayReport::default();
    for call in store.calls(0)? {
        let call = call?;
        let key = (call.plugin.clone(), call.generation, call.digest);
        if !generations.contains_key(&key) {
            generations.insert(key.clone(), load(&store, &sandbox, &call)?);
        }
        let difference = match generations.get(&key) {
            Some(Ok(generation)) => repeat(generation, &call),
            Some(Err(why)) => Some(why.clone()),
            None => None,
        };
        report.replayed += 1;
        if let Some(what) = difference {
            report.differing.push(Difference {
                sequence: call.sequence,
                plugin: format!("{} generation {}", call.plugin, call.generation),
                function: call.function,
                what,
            });
        }
        progress(report.replayed);
    }
    Ok(report)
}

/// The generation that decided, or why there is none any more.
fn load(
    store: &Store,
    sandbox: &Sandbox,
    call: &CallRecord,
) -> Result<Result<Generation, String>, HostError> {
    let Some(bytes) = store.artefacts().get(&call.digest)? else {
        return Ok(Err(format!("its component {} is gone", call.digest)));
    };
    let kept = store.get::<Plugins>(&(call.plugin.clone(), call.generation))?;
    let grants: Vec<_> = kept
        .into_iter()
        .flat_map(|record| record.granted)
        .map(|grant| haggle_sandbox::Grant { host: grant.host, guest: grant.guest })
        .collect();
    // The configuration comes with each call.
    let loaded = sandbox.load(Load {
        plugin: call.plugin.as_str(),
        generation: call.generation,
        bytes: &bytes,
        configuration: "{}",
        grants: &grants,
    });
    Ok(loaded.map_err(|error| error.to_string()))
}

/// Calls again; what differs, if anything does.
fn repeat(generation: &Generation, call: &CallRecord) -> Option<String> {
    let Some(outcome) = call_again(generation, &call.function, &call.input) else {
        return Some("this version of the host cannot read it".to_owned());
    };
    match (&call.outcome, outcome) {
        (Ok(before), Ok(now)) if *before == now => None,
        (Ok(_), Ok(_)) => Some("another answer".to_owned()),
        (Err(before), Err(now)) if *before == now.cause.to_string() => None,
        (Err(before), Err(now)) => Some(format!("{before} before, {} now", now.cause)),
        (Ok(_), Err(now)) => Some(match now.cause {
            Cause::Deadline(_) => "the machine was too slow this time".to_owned(),
            cause => format!("an answer before, and now it {cause}"),
        }),
        (Err(before), Ok(_)) => Some(format!("an answer now; before, it {before}")),
    }
}
