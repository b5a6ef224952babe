use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// Limits the messages in flight and waiting, in total and for each party. Messages to a slow party wait for
/// each other and delay no other party.
#[derive(Debug)]
pub(crate) struct Lines {
    bounds: Bounds,
    all: Arc<Semaphore>,
    parties: Mutex<HashMap<String, Party>>,
}

/// The limits of [`Lines`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) in_flight: usize,
    pub(crate) in_flight_each: usize,
    pub(crate) waiting: usize,
    pub(crate) waiting_each: usize,
    pub(crate) patience: Duration,
}

#[derive(Debug)]
struct Party {
    places: Arc<Semaphore>,
    /// Number of messages waiting or in flight.
    present: usize,
}

/// The permission for a message to be in flight, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    _present: Present<'a>,
    _each: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// A message that is waiting or in flight.
#[derive(Debug)]
struct Present<'a> {
    lines: &'a Lines,
    party: String,
}

impl Lines {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let most = bounds.in_flight.min(Semaphore::MAX_PERMITS);
        Self { bounds, all: Arc::new(Semaphore::new(most)), parties: Mutex::default() }
    }

    /// Waits until a message to the party may be sent.
    ///
    /// # Errors
    /// The reason why it may not: the line is full, or does not move in time.
    pub(crate) async fn enter(&self, party: &str) -> Result<Place<'_>, String> {
        let (present, places) = self.join(party)?;
        let both = async {
            // Wait in the party's own line first, so that the wait takes no place that others could use.
            let each = places.acquire_owned().await.ok()?;
            let all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Place { _present: present, _each: each, _all: all })
        };
        let patience = self.bounds.patience;
        let place = timeout(patience, both).await.ok().flatten();
        place.ok_or_else(|| {
            format!("its message waited {patience:?} for earlier ones and was not sent")
        })
    }

    fn join(&self, party: &str) -> Result<(Present<'_>, Arc<Semaphore>), String> {
        let Bounds { in_flight, in_flight_each, waiting, waiting_each, .. } = self.bounds;
        let mut parties = self.parties();
        let present: usize = parties.values().map(|party| party.present).sum();
        if present >= in_flight.saturating_add(waiting) {
            return Err(format!(
                "{waiting} messages to parties wait already, which is the most: it is asked again"
            ));
        }
        let most_each = in_flight_each.saturating_add(waiting_each);
        if parties.get(party).map_or(0, |party| party.present) >= most_each {
            return Err(format!(
                "{waiting_each} messages to it wait already, which is the most: it is asked again"
            ));
        }
        let entry = parties.entry(party.to_owned()).or_insert_with(|| Party {
            places: Arc::new(Semaphore::new(in_flight_each.min(Semaphore::MAX_PERMITS))),
            present: 0,
        });
        entry.present += 1;
        let places = Arc::clone(&entry.places);
        Ok((Present { lines: self, party: party.to_owned() }, places))
    }

    fn parties(&self) -> MutexGuard<'_, HashMap<String, Party>> {
        self.parties.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        let mut parties = self.lines.parties();
        if let Some(party) = parties.get_mut(&self.party) {
            party.present = party.present.saturating_sub(1);
            if party.present == 0 {
                parties.remove(&self.party);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Bounds, Lines};

    const BOUNDS: Bounds = Bounds {
        in_flight: 3,
        in_flight_each: 2,
        waiting: 2,
        waiting_each: 1,
        patience: Duration::from_secs(10),
    };

    #[tokio::test]
    async fn a_full_line_refuses_and_leaves_room_for_others() {
        let lines = Lines::new(Bounds { patience: Duration::ZERO, ..BOUNDS });
        let first = lines.enter("a").await.unwrap();
        let second = lines.enter("a").await.unwrap();
        // The third message waits, and times out at once.
        assert!(lines.enter("a").await.unwrap_err().contains("waited"));
        let other = lines.enter("b").await.unwrap();
        assert!(lines.enter("b").await.unwrap_err().contains("waited"), "three are on their way");
        drop(first);
        lines.enter("a").await.unwrap();
        drop((second, other));
        assert!(lines.parties().is_empty());
    }

    #[tokio::test]
    async fn so_many_wait_and_no_more() {
        let lines = Lines::new(BOUNDS);
        let places = (lines.enter("a").await.unwrap(), lines.enter("a").await.unwrap());
        let waits = lines.enter("a");
        let refused = async {
            let error = lines.enter("a").await.unwrap_err();
            assert!(error.contains("1 messages to it wait"), "{error}");
            drop(places);
        };
        let (waited, ()) = tokio::join!(biased; waits, refused);
        drop(waited.unwrap());
        assert!(lines.parties().is_empty());
    }
}
