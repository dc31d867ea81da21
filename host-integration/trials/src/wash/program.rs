//! The programs that are not ours: `wash` and `wadm`, built of published packages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _};
use inhost_testbed::target_dir;
use serde_json::Value;

use xtask::command::{cargo, host_triple, run};
use xtask::host::build;

/// The package of `wash`, and its version of the v1.5 line.
const PACKAGE: &str = "wash-cli";
const VERSION: &str = "0.38.0";

/// Versions in the lock file of the package that do not compile any more, and what is taken instead.
const INSTEAD: [(&str, &str); 2] = [
    ("wit-parser@0.218.0", "0.218.1"),
    ("wit-parser@0.219.1", "0.219.2"),
];

/// `wadm` as a program; see its manifest.
const WADM: &str = "host-integration/trials/wadm/Cargo.toml";

/// Builds `wash` and returns where it is. Cargo's progress goes to the terminal.
///
/// # Errors
///
/// When it does not build. From nothing that takes some minutes, and the crates have to be at hand or fetched.
pub(super) fn wash() -> anyhow::Result<PathBuf> {
    let folder = target_dir()
        .join("tools")
        .join(format!("{PACKAGE}-{VERSION}"));
    let source = folder.join("source");
    if !source.is_dir() {
        eprintln!("Looking up the source of {PACKAGE} {VERSION}");
        prepare(&folder, &source)?;
    }
    eprintln!("Building wash. From nothing this takes some minutes.");
    let mut command = cargo(&["build", "--locked", "--bin", "wash", "--manifest-path"]);
    command.arg(source.join("Cargo.toml"));
    command.arg("--target-dir").arg(folder.join("target"));
    // No one debugs it, and it is built in half the time.
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    build(command, "wash")
}

/// Builds `wadm` and returns where it is. Cargo's progress goes to the terminal.
///
/// # Errors
///
/// As for [`wash`].
pub(super) fn wadm() -> anyhow::Result<PathBuf> {
    eprintln!("Building wadm. From nothing this takes some minutes.");
    let mut command = cargo(&["build", "--locked", "--manifest-path", WADM]);
    command.arg("--target-dir");
    command.arg(target_dir().join("tools").join("wadm"));
    build(command, "wadm")
}

/// Puts a copy of the package to `source` that can be built. It is made in `folder` and moved there at the end, so that
/// there is never half of one.
fn prepare(folder: &Path, source: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let temporary = tempfile::tempdir_in(folder)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    let copy = temporary.path().join("copy");
    copy_folder(&fetched(&temporary.path().join("asks"))?, &copy)?;
    let manifest = copy.join("Cargo.toml");
    stand_alone(&manifest)?;
    for (package, version) in INSTEAD {
        let mut command = cargo(&["update", "--quiet", "--package", package]);
        command.args(["--precise", version, "--manifest-path"]);
        command.arg(&manifest);
        run(&mut command, "The messages above say why.")?;
    }
    fs::rename(&copy, source).with_context(|| format!("cannot create {}", source.display()))
}

/// Where Cargo has the source of the package. It is fetched when it is not at hand.
///
/// Cargo tells that of dependencies, so a package that depends on it is made in `folder` to ask for it.
fn fetched(folder: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let manifest = folder.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"asks\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         [lib]\npath = \"lib.rs\"\n[dependencies]\n{PACKAGE} = \"={VERSION}\"\n"
    );
    fs::write(&manifest, text).with_context(|| format!("cannot write {}", manifest.display()))?;
    fs::write(folder.join("lib.rs"), "")?;
    stand_alone(&manifest)?;
    let mut command = cargo(&["metadata", "--format-version", "1"]);
    command.args(["--filter-platform", &host_triple()?, "--manifest-path"]);
    command
        .arg(&manifest)
        .stderr(std::process::Stdio::inherit());
    let output = command.output().context("cannot run `cargo metadata`")?;
    ensure!(
        output.status.success(),
        "`cargo metadata` could not fetch {PACKAGE} {VERSION}. The messages above say why."
    );
    let metadata = serde_json::from_slice(&output.stdout);
    source(&metadata.context("`cargo metadata` did not print JSON")?)
        .with_context(|| format!("`cargo metadata` does not say where {PACKAGE} {VERSION} is"))
}

/// The folder of the package in what `cargo metadata` prints.
fn source(metadata: &Value) -> Option<PathBuf> {
    let packages = metadata["packages"].as_array()?;
    let package = packages
        .iter()
        .find(|package| package["name"] == PACKAGE && package["version"] == VERSION)?;
    let manifest = Path::new(package["manifest_path"].as_str()?);
    manifest.parent().map(Path::to_owned)
}

/// Makes the package a workspace of its own: it is below the folder of ours, of which it is no part.
fn stand_alone(manifest: &Path) -> anyhow::Result<()> {
    let change = || {
        let text = fs::read_to_string(manifest)?;
        fs::write(manifest, format!("{text}\n[workspace]\n"))
    };
    change().with_context(|| format!("cannot change {}", manifest.display()))
}

/// Copies a folder with all that is in it.
fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let entries = fs::read_dir(from);
    for entry in entries.with_context(|| format!("cannot read the folder {}", from.display()))? {
        let path = entry?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_folder(&path, &copy)?;
        } else {
            fs::copy(&path, &copy).with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
