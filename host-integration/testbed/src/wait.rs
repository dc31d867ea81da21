//! Waiting for what cannot be awaited.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{bail, ensure};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout, Instant};

/// The shortest and the longest pause between two looks. They grow with what has been waited, so
/// that what comes soon is seen soon, and what takes long is not disturbed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// Looks again and again until `holds`. `what` says what is wrong when it never does.
///
/// # Errors
///
/// When it does not hold `within` that time: `what`, and how long was waited. When `holds` fails, its error at once.
///
/// # Cancel safety
///
/// Dropping the future ends the looking.
pub async fn until(
    what: &str,
    within: Duration,
    mut holds: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    found(what, within, async || Ok(holds().await?.then_some(()))).await
}

/// Looks again and again until `look` has found something, and returns it. Else as [`until`].
///
/// # Errors
///
/// As for [`until`].
///
/// # Cancel safety
///
/// Dropping the future ends the looking.
pub async fn found<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    let looks = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            sleep(pause_after(start)).await;
        }
    };
    match timeout(within, looks).await {
        Ok(found) => found,
        Err(_) => bail!("{what} (waited {within:?})"),
    }
}

/// As [`until`], for what is known without waiting. A task can wait so that may be moved to another thread.
///
/// # Errors
///
/// When it does not hold `within` that time: `what`, and how long was waited.
///
/// # Cancel safety
///
/// Dropping the future ends the looking.
pub async fn until_known(
    what: &str,
    within: Duration,
    mut holds: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let start = Instant::now();
    while !holds() {
        ensure!(start.elapsed() < within, "{what} (waited {within:?})");
        sleep(pause_after(start)).await;
    }
    Ok(())
}

/// Looks again and again until what is seen is `good`, or until the time is over, and returns what was seen last.
///
/// # Errors
///
/// When `look` fails, its error at once.
///
/// # Cancel safety
///
/// Dropping the future ends the looking.
pub async fn last_seen<T>(
    within: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<T>,
    good: impl Fn(&T) -> bool,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        let seen = look().await?;
        if good(&seen) || start.elapsed() >= within {
            return Ok(seen);
        }
        sleep(pause_after(start)).await;
    }
}

fn pause_after(start: Instant) -> Duration {
    (start.elapsed() / 4).clamp(PAUSES.0, PAUSES.1)
}

/// Waits until someone accepts connections at `address`.
///
/// # Errors
///
/// When no one does `within` that time.
///
/// # Cancel safety
///
/// Dropping the future ends the looking.
pub async fn listens(address: SocketAddr, within: Duration) -> anyhow::Result<()> {
    let what = format!("no one listens on {address}");
    until(&what, within, async || {
        Ok(TcpStream::connect(address).await.is_ok())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_is_an_error() {
        let within = Duration::from_secs(30);
        until("it is late", within, async || Ok(true))
            .await
            .unwrap();
        let never = until("it never comes", within, async || Ok(false)).await;
        let error = never.unwrap_err().to_string();
        assert_eq!(error, "it never comes (waited 30s)");
        let error = until_known("nor does this", within, || false).await;
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "nor does this (waited 30s)");
        let failed = until("it is late", within, async || bail!("no look")).await;
        assert_eq!(failed.unwrap_err().to_string(), "no look");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_good_in_time_is_returned_as_it_is() {
        let mut looks = 0;
        let mut look = async || {
            looks += 1;
            Ok(looks)
        };
        let within = Duration::from_secs(1);
        let good = last_seen(within, &mut look, |looks| *looks == 3).await;
        assert_eq!(good.unwrap(), 3);
        let bad = last_seen(within, &mut look, |_| false).await.unwrap();
        assert!(bad > 20, "{bad}");
        let failed = last_seen(within, async || bail!("no look"), |(): &()| true).await;
        assert_eq!(failed.unwrap_err().to_string(), "no look");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_seldom_once_it_takes_long() {
        let mut looks = 0;
        let third = found("", Duration::from_secs(1), async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(third.await.unwrap(), 3);
        let never = until("", Duration::from_secs(10), async || {
            looks += 1;
            Ok(false)
        });
        never.await.unwrap_err();
        assert!((200..300).contains(&looks), "{looks}");
    }
}
