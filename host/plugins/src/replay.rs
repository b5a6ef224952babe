use std::{collections::BTreeMap, fmt};

use haggle_model::Name;
use haggle_sandbox::{Cause, Generation, Grant, Load, Sandbox, replay as call_again};
use haggle_store::{CallRecord, Digest};
use serde::Serialize;

/// The result of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Number of repeated calls.
    pub replayed: u64,
    /// The calls with a different result.
    pub differing: Vec<Difference>,
}

/// A call whose repetition gave a different result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its sequence number in the journal.
    pub sequence: u64,
    /// The plugin and its generation.
    pub plugin: String,
    /// The function that was called.
    pub function: String,
    /// The difference.
    pub what: String,
}

/// Finds the components of journalled calls.
pub trait Components {
    /// The error when a component cannot be read.
    type Error;

    /// Returns the component with that digest.
    ///
    /// # Errors
    /// When it cannot be read.
    fn component(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Returns the directories granted to a generation; none if the generation is no longer known.
    ///
    /// # Errors
    /// When they cannot be read.
    fn grants(&self, plugin: &Name, generation: u64) -> Result<Vec<Grant>, Self::Error>;
}

/// Repeats journalled calls and compares the results bit by bit. `progress` receives the number of calls
/// done.
///
/// # Errors
/// When calls or components cannot be read. A difference is not an error.
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

/// Loads the generation of a call, or returns the reason why it is not available.
fn load<C: Components>(
    components: &C,
    sandbox: &Sandbox,
    call: &CallRecord,
) -> Result<Result<Generation, String>, C::Error> {
    let Some(bytes) = components.component(&call.digest)? else {
        return Ok(Err(format!("its component {} is gone", call.digest)));
    };
    let grants = components.grants(&call.plugin, call.generation)?;
    // Each call carries its own configuration.
    let loaded = sandbox.load(Load {
        plugin: call.plugin.as_str(),
        generation: call.generation,
        bytes: &bytes,
        configuration: "{}",
        grants: &grants,
    });
    Ok(loaded.map_err(|error| error.to_string()))
}

/// Repeats a call and returns the difference, if any.
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
