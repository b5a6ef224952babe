use std::sync::{Mutex, PoisonError, RwLock};

use haggle_observe::History;

/// Gives access to the history. Readers must be quick, because incoming measurements wait for them.
pub trait ReadHistory: Send + Sync {
    /// Calls `reader` once with the history.
    fn read(&self, reader: &mut dyn FnMut(&History));
}

impl ReadHistory for Mutex<History> {
    fn read(&self, reader: &mut dyn FnMut(&History)) {
        reader(&self.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl ReadHistory for RwLock<History> {
    fn read(&self, reader: &mut dyn FnMut(&History)) {
        reader(&RwLock::read(self).unwrap_or_else(PoisonError::into_inner));
    }
}
