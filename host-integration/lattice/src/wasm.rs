use std::fs::{metadata, File};
use std::io::Read as _;
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
    /// A component in a file, which is read when the lattice is built. It is a regular file, or one
    /// that this process was started with, as `/dev/stdin`, and has 512 MiB at most.
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
                let bytes = read(path);
                let bytes = bytes.with_context(|| format!("cannot read `{}`", path.display()))?;
                check(&bytes, make).with_context(|| format!("cannot use `{}`", path.display()))
            }
        }
    }
}

/// How many bytes a file may have: many times those of the largest components, which have an interpreter in them.
const MOST: u64 = 512 << 20;

/// Of what is no WebAssembly, no more is looked at.
const BEGINNING: u64 = 4096;

/// Reads a file, if it is one that ends.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let found = metadata(path)?;
    ensure!(!found.is_dir(), "it is a directory");
    // To open a pipe is to wait for someone who writes to it, and a device may have no end.
    ensure!(
        found.is_file() || is_given(path),
        "it is no regular file, but a pipe, a device or a socket. Copy it to a file, or pass it as `/dev/stdin`"
    );
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    (&file).take(BEGINNING).read_to_end(&mut bytes)?;
    if begins_as_wasm(&bytes) {
        let fits = |length| {
            ensure!(
                length <= MOST,
                "it has more than {} MiB, and no component may have as much",
                MOST >> 20
            );
            Ok(())
        };
        // What is known before is not read.
        fits(found.len())?;
        let rest = (MOST + 1).saturating_sub(bytes.len() as u64);
        (&file).take(rest).read_to_end(&mut bytes)?;
        fits(bytes.len() as u64)?;
    }
    Ok(bytes)
}

/// Whether whoever has started this process has opened it, as a shell does for `<` and `<(…)`.
fn is_given(path: &Path) -> bool {
    let descriptors = ["/dev/fd", "/proc/self/fd"].map(Path::new);
    path == Path::new("/dev/stdin") || path.parent().is_some_and(|it| descriptors.contains(&it))
}

/// What WebAssembly begins with. Two bytes for the version follow, and two that are zero for a core module.
const MAGIC: &[u8; 4] = b"\0asm";

fn begins_as_wasm(bytes: &[u8]) -> bool {
    MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())])
}

fn check<T>(bytes: &[u8], make: impl FnOnce(&[u8]) -> anyhow::Result<T>) -> anyhow::Result<T> {
    ensure!(!bytes.is_empty(), "it is empty");
    let is_text = bytes.trim_ascii_start().starts_with(b"(");
    ensure!(
        !is_text,
        "it is no WebAssembly but its text format, which is not accepted: `wasm-tools parse` makes a component of it"
    );
    ensure!(
        begins_as_wasm(bytes),
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
