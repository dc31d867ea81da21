//! The prebuilt guest components.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _};

use crate::workspace::workspace_root;

/// A prebuilt guest component, in `host-integration/guests`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Guest {
    /// Exports `inhost:demo/echo`; its `count` calls `inhost:demo/tally`.
    Callee,
    /// The callee again, as an update of it: its `version` answers 2 instead of 1.
    CalleeV2,
    /// Exports `inhost:demo/driver`, which calls `inhost:demo/echo`.
    Caller,
    /// Exports `wasi:http/incoming-handler`, makes HTTP requests, and says what it is asked when it gets one.
    Fetcher,
    /// Exports `inhost:demo/echo` and passes each call on to another one.
    Middle,
    /// Exports `wasi:http/incoming-handler`.
    Http,
    /// Exports `wasi:http/incoming-handler`, which passes bodies through `inhost:demo/pipe`. Exports that too.
    Streamer,
}

impl Guest {
    /// All guests.
    pub const ALL: [Self; 7] = [
        Self::Callee,
        Self::CalleeV2,
        Self::Caller,
        Self::Fetcher,
        Self::Middle,
        Self::Http,
        Self::Streamer,
    ];

    /// The guest's name, which is that of its folder and its file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Callee => "callee",
            Self::CalleeV2 => "callee-v2",
            Self::Caller => "caller",
            Self::Fetcher => "fetcher",
            Self::Middle => "middle",
            Self::Http => "http",
            Self::Streamer => "streamer",
        }
    }

    /// Where the component is.
    #[must_use]
    pub fn path(self) -> PathBuf {
        workspace_root()
            .join("host-integration")
            .join("guests")
            .join(self.name())
            .join(format!("{}.wasm", self.name()))
    }

    /// The reference by which a host that allows file loading starts it.
    ///
    /// # Errors
    ///
    /// When the file is missing.
    pub fn reference(self) -> anyhow::Result<String> {
        reference(&self.path())
    }

    /// Copies the component to `folder` as `name` and returns the reference of the copy: the same code under
    /// another reference, such as an update needs.
    ///
    /// # Errors
    ///
    /// When the file is missing or cannot be copied.
    pub fn copy_to(self, folder: &Path, name: &str) -> anyhow::Result<String> {
        let copy = folder.join(name);
        std::fs::copy(self.path(), &copy).with_context(|| {
            format!(
                "cannot copy {} to {}",
                self.path().display(),
                copy.display()
            )
        })?;
        reference(&copy)
    }
}

/// The reference by which a host that allows file loading starts the component at `path`.
///
/// # Errors
///
/// When the file is missing.
pub fn reference(path: &Path) -> anyhow::Result<String> {
    ensure!(
        path.is_file(),
        "the component {} is missing: build it with `cargo xtask guests`",
        path.display()
    );
    Ok(format!("file://{}", path.display()))
}
