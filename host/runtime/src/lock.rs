use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, whatever has panicked before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
