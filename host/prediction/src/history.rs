use std::sync::{Mutex, PoisonError, RwLock};

use haggle_observe::History;

/// Lets the history be read. Readers are short: whoever measures may wait for them.
pub trait ReadHistory: Send + Sync {
    /// Has the history read, once.
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
