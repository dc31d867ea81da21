//! For how long a callee waits for parameters.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use tokio::time::{sleep, Sleep};

use super::error::CallError;
use crate::observe::Target;

/// The timer of a stream that a callee reads. It is there once the callee has had to wait.
#[derive(Default)]
pub(crate) struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    /// To be asked each time that there is nothing to read. Fails when that has been so for `limit`, from the first time on.
    pub(crate) fn poll<T>(
        &mut self,
        limit: Duration,
        target: &Target,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(CallError::params_late(target, limit)))
    }
}

#[cfg(all(test, not(inhost_loom)))]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::time::Instant;

    use super::*;
    use crate::backend::Backend;
    use crate::call::{Callee, Incoming};
    use crate::endpoint::{Endpoint, QueueLimits};

    #[derive(Clone)]
    struct Duplex;

    impl Backend for Duplex {
        type Writer = DuplexStream;
        type Reader = DuplexStream;

        fn stream(&self) -> (DuplexStream, DuplexStream) {
            tokio::io::duplex(16)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn parameters_that_come_over_the_remote_are_waited_for_no_longer_either() {
        let (mut caller, callee) = tokio::io::duplex(16);
        let target = Target::new("p".into(), "i", "f", Arc::default());
        let limit = Duration::from_secs(3);
        let limits = QueueLimits::default();
        let home = Endpoint::<(), Duplex>::new(target.into(), limits, Some(limit));
        let (home, context) = (Arc::new(home), None);
        let mut params = Incoming::remote_params(callee, Callee { home, context });
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
}
