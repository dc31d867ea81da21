//! The backends that a build has, and the one of them that was chosen when the process started.
//!
//! The cargo features `duplex` and `mpsc` compile them in. Streams of one type come out of [`AnyBackend`], whichever
//! was chosen, so that what carries calls is one type in every build.
//!
//! ```
//! use std::num::NonZeroUsize;
//!
//! use inhost_backends::{AnyBackend, BackendKind};
//! use inhost_dispatch::Backend as _;
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limit = NonZeroUsize::new(64 * 1024).expect("not zero");
//! for &kind in BackendKind::compiled_in() {
//!     let backend = AnyBackend::new(kind, limit).expect("it is compiled in");
//!     let (mut writer, mut reader) = backend.stream();
//!     writer.write_all(b"hello").await?;
//!     writer.shutdown().await?;
//!     let mut text = String::new();
//!     reader.read_to_string(&mut text).await?;
//!     assert_eq!(text, "hello");
//! }
//!
//! // By name, as on a command line. Whether this build has it is another question.
//! let kind: BackendKind = "mpsc".parse()?;
//! assert_eq!(AnyBackend::new(kind, limit).is_some(), kind.is_compiled_in());
//! # Ok(())
//! # }
//! ```

#[cfg(not(all(feature = "duplex", feature = "mpsc")))]
mod absent;
mod any;
mod kind;

pub use any::AnyBackend;
pub use kind::{BackendKind, UnknownBackend};
