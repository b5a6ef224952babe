use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

/// Counts the instances that may still be created. The pool fails when it is full, so callers wait here
/// instead.
#[derive(Debug)]
pub(crate) struct Semaphore {
    free: Mutex<u32>,
    freed: Condvar,
}

/// The permission for one instance. Dropping it releases the instance.
#[derive(Debug)]
pub(crate) struct Permit<'a>(&'a Semaphore);

impl Semaphore {
    pub(crate) const fn new(permits: u32) -> Self {
        Self { free: Mutex::new(permits), freed: Condvar::new() }
    }

    /// Waits for a permit, at most `patience`.
    pub(crate) fn acquire(&self, patience: Duration) -> Option<Permit<'_>> {
        self.acquire_beyond(0, patience)
    }

    /// Waits until more than `spare` permits are free, at most `patience`, and takes one.
    pub(crate) fn acquire_beyond(&self, spare: u32, patience: Duration) -> Option<Permit<'_>> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut free, _) = self
            .freed
            .wait_timeout_while(free, patience, |free| *free <= spare)
            .unwrap_or_else(PoisonError::into_inner);
        if *free <= spare {
            return None;
        }
        *free -= 1;
        Some(Permit(self))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        // Wake all waiters, because the first one may need more than one free permit.
        self.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::Semaphore;
    use std::time::Duration;

    #[test]
    fn some_are_kept_for_those_that_may_have_all() {
        let semaphore = Semaphore::new(2);
        let taken = semaphore.acquire_beyond(1, Duration::ZERO);
        assert!(taken.is_some());
        assert!(semaphore.acquire_beyond(1, Duration::ZERO).is_none());
        let last = semaphore.acquire(Duration::ZERO);
        assert!(last.is_some());
        std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| semaphore.acquire_beyond(1, Duration::from_secs(60)).is_some());
            drop(last);
            drop(taken);
            assert!(waiting.join().unwrap());
        });
    }

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
