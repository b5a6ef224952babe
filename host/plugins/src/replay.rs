use std::{collections::BTreeMap, fmt};

use haggle_model::Name;
use haggle_sandbox::{Cause, Generation, Grant, Load, Sandbox, replay as call_again};
use haggle_store::{CallRecord, Digest};
use serde::Serialize;

/// What came of calling everything again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// How many calls were repeated.
    pub replayed: u64,
    /// Those that ended differently.
    pub differing: Vec<Difference>,
}

/// A call that ended differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

/// Where components are found that decided once.
pub trait Components {
    /// Why they cannot be read.
    type Error;

    /// The component with that digest.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Self::Error>;

    /// The directories that a generation was granted; none where nothing is known of it any more.
    ///
    /// # Errors
    /// Where that cannot be read.
    fn grants(&self, plugin: &Name, generation: u64) -> Result<Vec<Grant>, Self::Error>;
}

/// Runs journalled calls again and compares the outcomes bit by bit. `progress` is told how many are done.
///
/// # Errors
/// Of the calls or components, where they cannot be read. A difference is no error.
pub fn replay<C: Components>(
    calls: impl Iterator<Item = Result<CallRecord, C::Error>>,
    components: &C,
    sandbox: &Sandbox,
    progress: &mut dyn FnMut(u64),
) -> Result<ReplayReport, C::Error> {
    let mut generations = BTreeMap::new();
    let mut report = ReplayReport::default();
    for call in calls {
        let call = call?;
        let key = (call.plugin.clone(), call.generation, call.digest);
        if !generations.contains_key(&key) {
            generations.insert(key.clone(), load(components, sandbox, &call)?);
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
fn load<C: Components>(
    components: &C,
    sandbox: &Sandbox,
    call: &CallRecord,
) -> Result<Result<Generation, String>, C::Error> {
    let Some(bytes) = components.component(&call.digest)? else {
        return Ok(Err(format!("its component {} is gone", call.digest)));
    };
    let grants = components.grants(&call.plugin, call.generation)?;
    // Each call brings its configuration.
    let loaded = sandbox.load(Load {
        plugin: call.plugin.as_str(),
        generation: call.generation,
        bytes: &bytes,
        configuration: "{}",
        grants: &grants,
    });
    Ok(loaded.map_err(|error| error.to_string()))
}

/// Calls again and returns what differs, if anything does.
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

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, plugin, function, what } = self;
        write!(f, "call {sequence}, plugin {plugin}, {function}: {what}")
    }
}
