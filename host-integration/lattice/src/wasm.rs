use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context as _};
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

    /// Makes a component of it with `make`. Blocks while the file is read.
    ///
    /// # Errors
    ///
    /// When it cannot be read, when it is something else, which the error says, and those of `make`.
    pub(crate) fn load<T>(
        &self,
        make: impl FnOnce(&[u8]) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        match &self.0 {
            Source::Bytes(bytes) => check(bytes, make),
            Source::File(path) => {
                let bytes = std::fs::read(path);
                let bytes = bytes.with_context(|| format!("cannot read `{}`", path.display()))?;
                check(&bytes, make).with_context(|| format!("cannot use `{}`", path.display()))
            }
        }
    }
}

/// What WebAssembly begins with. Two bytes for the version follow, and two that are zero for a core module.
const MAGIC: &[u8; 4] = b"\0asm";

fn check<T>(bytes: &[u8], make: impl FnOnce(&[u8]) -> anyhow::Result<T>) -> anyhow::Result<T> {
    ensure!(!bytes.is_empty(), "it is empty");
    let is_text = bytes.trim_ascii_start().starts_with(b"(");
    ensure!(
        !is_text,
        "it is no WebAssembly but its text format, which is not accepted: `wasm-tools parse` makes a component of it"
    );
    ensure!(
        MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]),
        "it is no WebAssembly: it does not begin with the bytes `\\0asm`"
    );
    match bytes.get(6..8) {
        None => bail!("it ends within its header, after {} bytes", bytes.len()),
        Some([0, 0]) => {
            make(bytes).context("it is a core module, and no component could be made of it")
        }
        Some(_) => make(bytes).context("it is no valid component, or ends too early"),
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
