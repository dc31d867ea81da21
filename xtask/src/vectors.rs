//! `cargo xtask vectors`: values and their encoding by the published crates, for the tests of our codec.
//!
//! They are committed, so that the tests need neither the published crates nor the time to build them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context as _};
use clap::Args;
use xtask::workspace::workspace_root;

use xtask::command::text;
use xtask::host::Profile;
use xtask::stock;

/// Where the vectors are, relative to the workspace.
const FILE: &str = "host-integration/wrpc-runtime-wasmtime/tests/data/wire-vectors.json";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only check that the vectors are what the published crates make
    #[arg(long)]
    check: bool,
}

/// Has the published crates make the vectors, and writes them to the repository or compares.
///
/// # Errors
///
/// When the published crates do not build or do not agree with each other, and with `--check` when the committed
/// vectors are others.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    eprintln!("Building the published crates. From nothing this takes some minutes.");
    let generator = stock::all(Profile::Dev)?.vectors;
    if arguments.check {
        return check(&generator);
    }
    let made = make(&generator)?;
    let path = workspace_root().join(FILE);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    fs::write(&path, &made).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{FILE}: {} bytes", made.len());
    Ok(())
}

/// Compares the committed vectors with what `generator` makes.
///
/// # Errors
///
/// When they differ, or when the published crates do not agree with each other.
pub(crate) fn check(generator: &Path) -> anyhow::Result<()> {
    compare(&workspace_root().join(FILE), &make(generator)?)?;
    println!("{FILE} is what the published crates make.");
    Ok(())
}

/// What `generator` writes.
fn make(generator: &Path) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new(generator);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{}`", text(&command)))?;
    ensure!(
        output.status.success(),
        "`{}` failed ({}). What it says above is about the published crates: they do not agree.",
        text(&command),
        output.status
    );
    Ok(output.stdout)
}

fn compare(committed: &Path, made: &[u8]) -> anyhow::Result<()> {
    let shown = committed.display();
    let committed = fs::read(committed).with_context(|| format!("cannot read {shown}"))?;
    if committed == made {
        return Ok(());
    }
    let line = |text: &[u8], number| {
        text.split(|byte| *byte == b'\n')
            .nth(number)
            .map(<[u8]>::to_vec)
    };
    let differs = (0..).find(|number| line(&committed, *number) != line(made, *number));
    anyhow::bail!(
        "{shown} is not what the published crates make, from line {} on. \
         Run `cargo xtask vectors` and look at what it changes before committing it",
        differs.unwrap_or_default() + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_file_that_differs_is_named_with_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("vectors.json");
        fs::write(&file, "[\n1,\n2\n]\n").unwrap();
        compare(&file, b"[\n1,\n2\n]\n").unwrap();
        for (made, line) in [
            (&b"[\n1,\n3\n]\n"[..], "line 3"),
            (b"[\n1,\n2\n]", "line 5"),
            (b"", "line 1"),
        ] {
            let error = compare(&file, made).unwrap_err().to_string();
            assert!(error.contains("vectors.json"), "{error}");
            assert!(error.contains(line), "{error}");
            assert!(error.contains("cargo xtask vectors"), "{error}");
        }
        let missing = compare(&folder.path().join("none"), b"").unwrap_err();
        assert!(missing.to_string().contains("cannot read"), "{missing}");
    }

    #[test]
    fn what_the_generator_writes_is_taken_and_its_failure_is_an_error() {
        assert_eq!(make(Path::new("pwd")).unwrap().last(), Some(&b'\n'));
        let error = make(Path::new("false")).unwrap_err().to_string();
        assert!(error.contains("`false` failed"), "{error}");
    }
}
