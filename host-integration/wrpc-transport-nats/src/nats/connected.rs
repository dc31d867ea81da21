use std::future::Future;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{PublishError, ServerInfo};
use tokio::time::{sleep, timeout, Instant};

use super::failure::Failure;

/// How long a new call waits for a connection that is down. async-nats may be back within milliseconds. A host gives an
/// invocation 10 s; an error before that can say why.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a call that waits for a connection looks for it. The client tells no one when it is there.
const LOOK: Duration = Duration::from_millis(20);

/// How long a message may wait for room in the client's queue. It empties at the speed of the network, or not at all.
pub(super) const FULL: Duration = Duration::from_secs(10);

/// The server that the client is connected to. Waits for a connection, for 5 s at most.
///
/// # Errors
///
/// [`Failure::NotSent`].
///
/// # Cancel safety
///
/// Dropping the future loses nothing.
pub(crate) async fn server(nats: &async_nats::Client) -> Result<ServerInfo, Failure> {
    let mut since = None;
    loop {
        if nats.connection_state() == State::Connected {
            let server = nats.server_info();
            // The very first connection is announced before it is known to whom.
            if server.max_payload > 0 {
                return Ok(server);
            }
        }
        let down = since.get_or_insert_with(Instant::now).elapsed();
        if down >= PATIENCE {
            return Err(Failure::NotSent(down));
        }
        sleep(LOOK).await;
    }
}

/// Waits until the message that `sent` sends is in the client's queue, for 10 s at most.
///
/// # Errors
///
/// [`Failure::NotSent`], and [`Failure::Closed`] when the client is closed. In both cases nothing was sent.
pub(crate) async fn publish(
    sent: impl Future<Output = Result<(), PublishError>>,
) -> Result<(), Failure> {
    match timeout(FULL, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Failure::Closed),
        Err(_) => Err(Failure::NotSent(FULL)),
    }
}
