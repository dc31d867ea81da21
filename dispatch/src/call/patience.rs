//! For how long a callee waits for parameters, and how many bytes of them it takes.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::time::{sleep, Sleep};

use super::error::CallError;
use crate::observe::Target;

/// What a callee puts up with from its callers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    /// For how long it waits when there is nothing to read.
    pub(crate) within: Option<Duration>,
    /// How many bytes of parameters it takes, without the streams in them.
    pub(crate) bytes: Option<usize>,
}

/// What has come of the parameters of one call.
#[derive(Default)]
pub(crate) struct Received {
    bytes: usize,
    /// There once the callee has had to wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Received {
    /// To be asked each time that there is nothing to read. Fails when that has been so for too
    /// long, from the first time on.
    pub(crate) fn poll<T>(
        &mut self,
        patience: Patience,
        target: &Target,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        self.count(0, patience, target)?;
        let Some(limit) = patience.within else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(CallError::params_late(target, limit)))
    }

    /// Takes note of so many bytes more.
    ///
    /// # Errors
    ///
    /// When these are too many, or those before were. Then they are not to be read.
    pub(crate) fn count(
        &mut self,
        more: usize,
        patience: Patience,
        target: &Target,
    ) -> io::Result<()> {
        self.bytes = self.bytes.saturating_add(more);
        match patience.bytes {
            Some(limit) if self.bytes > limit => Err(CallError::params_too_large(target, limit)),
            _ => Ok(()),
        }
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;
    use crate::backend::Duplex;
    use crate::call::{Callee, Incoming};
    use crate::endpoint::{Endpoint, QueueLimits};
    use crate::observe::Traveller;

    #[tokio::test(start_paused = true)]
    async fn parameters_that_come_over_the_remote_are_waited_for_no_longer_either() {
        let (mut caller, callee) = tokio::io::duplex(16);
        let target = Target::new("p".into(), "i", "f", Arc::default());
        let limit = Duration::from_secs(3);
        let limits = QueueLimits::default();
        let patience = Patience {
            within: Some(limit),
            bytes: None,
        };
        let home = Endpoint::<(), Duplex>::new(target.into(), limits, patience);
        let (home, context) = (Arc::new(home), None);
        let mut params =
            Incoming::remote_params(callee, Callee { home, context }, Traveller::default());
        caller.write_all(b"half").await.expect("there is room");
        let begun = Instant::now();
        let mut received = Vec::new();
        let error = params.read_to_end(&mut received).await;
        let error = error.expect_err("the rest does not come");
        assert_eq!(
            (&*received, error.kind()),
            (&b"half"[..], io::ErrorKind::TimedOut)
        );
        assert_eq!(begun.elapsed(), limit);
        assert!(
            error.to_string().contains("`i.f` of component `p`"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn no_more_bytes_are_taken_over_the_remote_than_the_callee_can_hold() {
        let (mut caller, callee) = tokio::io::duplex(16);
        let target = Target::new("p".into(), "i", "f", Arc::default());
        let patience = Patience {
            within: None,
            bytes: Some(8),
        };
        let home = Endpoint::<(), Duplex>::new(target.into(), QueueLimits::default(), patience);
        let (home, context) = (Arc::new(home), None);
        let mut params =
            Incoming::remote_params(callee, Callee { home, context }, Traveller::default());
        caller.write_all(b"all of 8").await.expect("there is room");
        let mut received = [0; 8];
        let read = params.read_exact(&mut received).await;
        read.expect("it fits");
        caller.write_all(b"!").await.expect("there is room");
        for _ in 0..2 {
            let error = params.read(&mut received).await;
            let error = error.expect_err("it is too much");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(
                error.to_string().contains("`i.f` of component `p`"),
                "{error}"
            );
        }
    }
}
