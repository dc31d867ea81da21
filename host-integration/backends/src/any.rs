use std::num::NonZeroUsize;

use inhost_dispatch::Backend;
use tokio_util::either::Either;

#[cfg(not(all(feature = "duplex", feature = "mpsc")))]
use crate::absent::Absent;
use crate::kind::BackendKind;

#[cfg(feature = "duplex")]
type Duplex = inhost_backend_duplex::DuplexBackend;
#[cfg(not(feature = "duplex"))]
type Duplex = Absent;

#[cfg(feature = "mpsc")]
type Mpsc = inhost_backend_mpsc::MpscBackend;
#[cfg(not(feature = "mpsc"))]
type Mpsc = Absent;

/// The backend that was chosen when the process started. With no backend compiled in there is no value of this.
#[derive(Clone, Debug)]
pub struct AnyBackend(Either<Duplex, Mpsc>);

impl AnyBackend {
    /// The backend of this kind, if it was compiled in. Its streams hold up to `limit` bytes.
    pub fn new(kind: BackendKind, limit: NonZeroUsize) -> Option<Self> {
        #[cfg(not(any(feature = "duplex", feature = "mpsc")))]
        let _ = limit;
        match kind {
            #[cfg(feature = "duplex")]
            BackendKind::Duplex => Some(Self(Either::Left(Duplex::new(limit)))),
            #[cfg(feature = "mpsc")]
            BackendKind::Mpsc => Some(Self(Either::Right(Mpsc::new(limit)))),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }
}

impl Backend for AnyBackend {
    type Writer = Either<<Duplex as Backend>::Writer, <Mpsc as Backend>::Writer>;
    type Reader = Either<<Duplex as Backend>::Reader, <Mpsc as Backend>::Reader>;

    // A backend that is absent makes no streams, and rustc sees that.
    #[cfg_attr(
        not(all(feature = "duplex", feature = "mpsc")),
        allow(unreachable_code, unused_variables)
    )]
    fn stream(&self) -> (Self::Writer, Self::Reader) {
        match &self.0 {
            Either::Left(backend) => {
                let (writer, reader) = backend.stream();
                (Either::Left(writer), Either::Left(reader))
            }
            Either::Right(backend) => {
                let (writer, reader) = backend.stream();
                (Either::Right(writer), Either::Right(reader))
            }
        }
    }
}
