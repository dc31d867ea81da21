use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;

/// The bytes of a component, or the file that they are in. A core module is made a component first.
#[derive(Clone, Debug)]
pub struct Wasm(Source);

#[derive(Clone, Debug)]
enum Source {
    Bytes(Bytes),
    File(PathBuf),
}

impl Wasm {
    /// A component in a file, which is read when the lattice is built.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// The bytes of a component. The text format is not accepted.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self(Source::Bytes(bytes.into()))
    }

    /// Blocks while the file is read.
    pub(crate) fn load(&self) -> anyhow::Result<Cow<'_, [u8]>> {
        match &self.0 {
            Source::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
            Source::File(path) => std::fs::read(path)
                .map(Cow::Owned)
                .with_context(|| format!("cannot read `{}`", path.display())),
        }
    }
}

impl From<PathBuf> for Wasm {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}

impl From<&Path> for Wasm {
    fn from(path: &Path) -> Self {
        Self::file(path)
    }
}

impl From<Vec<u8>> for Wasm {
    fn from(bytes: Vec<u8>) -> Self {
        Self::bytes(bytes)
    }
}

impl From<&'static [u8]> for Wasm {
    fn from(bytes: &'static [u8]) -> Self {
        Self::bytes(bytes)
    }
}

impl<const N: usize> From<&'static [u8; N]> for Wasm {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self::bytes(bytes.as_slice())
    }
}
