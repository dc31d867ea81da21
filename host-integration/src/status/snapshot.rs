//! The listing as it is now, or, when it is long, as it was a moment ago.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What takes longer to write is kept. It is that long where thousands of functions are listed.
const LONG: Duration = Duration::from_millis(10);

/// For how many times as long as it took to write it is kept: whoever asks, and however often,
/// takes a twentieth of one thread.
const KEPT: u32 = 20;

/// Makes the listing.
type Make = Arc<dyn Fn() -> serde_json::Result<Vec<u8>> + Send + Sync>;

/// The listing. A clone shares what is kept.
#[derive(Clone)]
pub(super) struct Snapshot {
    make: Make,
    kept: Arc<Mutex<Option<Kept>>>,
}

struct Kept {
    json: Bytes,
    until: Instant,
}

impl Snapshot {
    pub(super) fn new(
        make: impl Fn() -> serde_json::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Arc::new(make),
            kept: Arc::default(),
        }
    }

    /// The listing as JSON. It is made by one who asks at a time.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn json(&self) -> serde_json::Result<Bytes> {
        let mut kept = self.kept.lock().await;
        let begun = Instant::now();
        if let Some(kept) = kept.as_ref().filter(|kept| begun < kept.until) {
            return Ok(kept.json.clone());
        }
        *kept = None;
        let json = Bytes::from((self.make)()?);
        let now = Instant::now();
        let took = now - begun;
        *kept = (took >= LONG).then(|| Kept {
            json: json.clone(),
            until: now + took * KEPT,
        });
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// A listing that says how often it was made, each time after so long.
    fn made_in(took: Duration) -> Snapshot {
        let made = AtomicU8::new(0);
        Snapshot::new(move || {
            let end = std::time::Instant::now() + took;
            while std::time::Instant::now() < end {
                std::hint::spin_loop();
            }
            Ok(vec![made.fetch_add(1, Ordering::Relaxed)])
        })
    }

    async fn two(snapshot: &Snapshot) -> [Bytes; 2] {
        let first = snapshot.json().await.expect("written");
        [first, snapshot.json().await.expect("written")]
    }

    #[tokio::test]
    async fn a_long_one_is_kept_for_a_while_and_a_short_one_is_as_it_is_now() {
        let short = two(&made_in(Duration::ZERO)).await;
        assert_eq!(short, [&[0_u8][..], &[1]]);
        let long = made_in(LONG * 2);
        assert_eq!(two(&long).await, [&[0_u8][..], &[0]]);
        let until = long.kept.lock().await.as_ref().expect("kept").until;
        tokio::time::sleep_until(until).await;
        assert_eq!(long.json().await.expect("written"), &[1_u8][..]);
    }
}
