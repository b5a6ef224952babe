//! Applies the operations of a batch to the state.

use crate::{Receipt, StoreError, batch::Operation, journal, log, samples, view::View};

/// Applies a batch.
pub(crate) fn apply(
    view: &mut View<'_>,
    operations: Vec<Operation>,
) -> Result<Receipt, StoreError> {
    let mut receipt = Receipt::default();
    for operation in operations {
        match operation {
            Operation::Put { key, value } => view.put(key, value),
            Operation::Delete { key } => view.delete(key),
            Operation::Append { log, record } => {
                receipt.sequences.push(view.append(log, record));
            }
            Operation::Truncate { log, before } => log::truncate(view, log, before)?,
            Operation::Samples { series, samples } => samples::merge(view, &series, &samples)?,
            Operation::Call(call) => receipt.sequences.push(journal::append(view, call)?),
        }
    }
    Ok(receipt)
}
