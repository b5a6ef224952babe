//! One computation shared by all clients that request the same response concurrently.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Bytes;
use tokio::sync::Mutex;

use crate::problem::Answer;

/// A response that is expensive to compute and equal for every client. Requests that arrive during a
/// computation share the next one, so many readers cost no more than one. A response never comes from a
/// computation that started before the request, so a client sees its own changes.
#[derive(Debug, Default)]
pub(crate) struct SharedAnswer {
    /// Number of computations started.
    begun: AtomicU64,
    /// The latest response, with its number, counted from 1.
    latest: Mutex<(u64, Bytes)>,
}

impl SharedAnswer {
    /// Returns the response as of now or a little later.
    pub(crate) async fn get(&self, work_out: impl Future<Output = Answer<Bytes>>) -> Answer<Bytes> {
        let before = self.begun.load(Ordering::SeqCst);
        let mut latest = self.latest.lock().await;
        if latest.0 <= before {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            *latest = (number, work_out.await?);
        }
        Ok(latest.1.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, poll_fn},
        pin::pin,
        task::Poll,
    };

    use axum::body::Bytes;
    use tokio::sync::oneshot;

    use super::SharedAnswer;

    #[tokio::test]
    async fn who_asks_meanwhile_shares_the_next_answer() {
        let shared = SharedAnswer::default();
        let (reply, first) = oneshot::channel();
        let mut early = pin!(shared.get(async { Ok(first.await.unwrap()) }));
        let mut late = pin!(shared.get(async { Ok(Bytes::from_static(b"second")) }));
        let mut last = pin!(shared.get(pending()));
        poll_fn(|context| {
            assert!(early.as_mut().poll(context).is_pending());
            assert!(late.as_mut().poll(context).is_pending());
            assert!(last.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        reply.send(Bytes::from_static(b"first")).unwrap();
        assert_eq!(early.await.unwrap(), "first");
        assert_eq!(late.await.unwrap(), "second");
        assert_eq!(last.await.unwrap(), "second");
        assert_eq!(shared.get(async { Ok(Bytes::from_static(b"third")) }).await.unwrap(), "third");
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_work_to_others() {
        let shared = SharedAnswer::default();
        {
            let mut gone = pin!(shared.get(pending()));
            poll_fn(|context| {
                assert!(gone.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        assert_eq!(shared.get(async { Ok(Bytes::from_static(b"x")) }).await.unwrap(), "x");
    }
}
