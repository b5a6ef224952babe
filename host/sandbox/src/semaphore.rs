use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

/// Counts instances that may still be made. The pool behind it fails when it is full, so callers wait
/// here instead.
#[derive(Debug)]
pub(crate) struct Semaphore {
    free: Mutex<u32>,
    freed: Condvar,
}

/// The right to one instance; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Semaphore);

impl Semaphore {
    pub(crate) const fn new(permits: u32) -> Self {
        Self { free: Mutex::new(permits), freed: Condvar::new() }
    }

    /// Waits for a permit, at most so long.
    pub(crate) fn acquire(&self, patience: Duration) -> Option<Permit<'_>> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) = self
            .freed
            .wait_timeout_while(free, patience, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Permit(self))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::Semaphore;
    use std::time::Duration;

    #[test]
    fn gives_out_no_more_than_it_has_and_takes_them_back() {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.acquire(Duration::ZERO);
        assert!(permit.is_some());
        assert!(semaphore.acquire(Duration::from_millis(1)).is_none());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| semaphore.acquire(Duration::from_secs(60)).is_some());
            drop(permit);
            assert!(waiting.join().unwrap());
        });
    }
}
