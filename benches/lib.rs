//! What the criterion benchmarks of the parts share.

use tokio::runtime::Runtime;

/// How many bytes a stream holds in the benchmarks: the default of the host.
pub const BUFFER_BYTES: usize = 64 * 1024;

/// Payload sizes in bytes.
pub const PAYLOADS: [usize; 4] = [16, 1024, 64 * 1024, 1024 * 1024];

/// A runtime like the host's.
///
/// # Panics
///
/// When it cannot be started.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
