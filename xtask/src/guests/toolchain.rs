//! Compiling the guests to core modules, with whatever this machine has for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, ensure, Context as _};

/// The target that the guests are built for.
pub(super) const WASM: &str = "wasm32-unknown-unknown";

/// The environment variable with the flags for a compiler that lacks [`WASM`] but has the sources of the standard
/// library, such as `-Zbuild-std=std,panic_abort`. They are separated by spaces.
const FLAGS: &str = "GUEST_BUILD_FLAGS";

/// Compiles the workspace in `guests` to core modules in `target`.
///
/// # Errors
///
/// When the compiler cannot build for [`WASM`], or when a guest does not compile.
pub(super) fn compile(guests: &Path, target: &Path) -> anyhow::Result<()> {
    let flags = extra_flags(guests)?;
    let cargo = program("CARGO", "cargo");
    let status = Command::new(&cargo)
        .current_dir(guests)
        .args(["build", "--release", "--target", WASM, "--target-dir"])
        .arg(target)
        .args(flags)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(guests)?)
        .status()
        .with_context(|| format!("cannot run {}", cargo.display()))?;
    ensure!(
        status.success(),
        "cargo could not build the guests ({status}), see above"
    );
    Ok(())
}

/// What Cargo needs to be told, beside the target, to build for it.
fn extra_flags(guests: &Path) -> anyhow::Result<Vec<String>> {
    let library = rustc(guests, &["--print", "target-libdir", "--target", WASM])?;
    if Path::new(&library).is_dir() {
        return Ok(Vec::new());
    }
    let Ok(flags) = std::env::var(FLAGS) else {
        bail!(
            "the compiler has no standard library for {WASM}: run `rustup target add {WASM}`. Or, when its \
             sources are installed, set {FLAGS} to what makes Cargo build it (-Zbuild-std=std,panic_abort)"
        );
    };
    Ok(flags.split_whitespace().map(str::to_string).collect())
}

/// Flags for the compiler that keep the paths of this machine out of the panic messages in the components, so
/// that they do not depend on who builds them.
///
/// They replace `RUSTFLAGS`, which are for the host.
fn rust_flags(guests: &Path) -> anyhow::Result<OsString> {
    let sysroot = PathBuf::from(rustc(guests, &["--print", "sysroot"])?);
    let mut folders = vec![
        (sysroot.join("lib/rustlib/src/rust"), "/rust"),
        (guests.to_path_buf(), "/guests"),
    ];
    folders.extend(registries().into_iter().map(|registry| (registry, "/deps")));
    let flags = folders.into_iter().map(|(from, to)| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flag
    });
    // What Cargo wants between the flags in this variable.
    let separator = OsString::from("\u{1f}");
    Ok(flags.collect::<Vec<_>>().join(&separator))
}

/// The folders with the sources of dependencies, one for each registry.
fn registries() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let home = variable("CARGO_HOME").or_else(|| {
        let home = variable("HOME").or_else(|| variable("USERPROFILE"))?;
        Some(home.join(".cargo"))
    });
    let folders = home.and_then(|home| std::fs::read_dir(home.join("registry/src")).ok());
    // Before Cargo's first download there are none.
    let mut folders = folders.map_or_else(Vec::new, |folders| {
        folders
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .collect()
    });
    folders.sort();
    folders
}

/// Runs the compiler that Cargo will use in `folder` and returns the line that it prints.
fn rustc(folder: &Path, args: &[&str]) -> anyhow::Result<String> {
    let rustc = program("RUSTC", "rustc");
    let context = || format!("cannot ask {} for {}", rustc.display(), args.join(" "));
    let output = Command::new(&rustc)
        .current_dir(folder)
        .args(args)
        .output()
        .with_context(context)?;
    ensure!(
        output.status.success(),
        "{}: {}",
        context(),
        String::from_utf8_lossy(&output.stderr).trim(),
    );
    let line = String::from_utf8(output.stdout).with_context(context)?;
    Ok(line.trim_end().to_string())
}

/// The program that an environment variable names, or else the one on the path.
fn program(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| default.into(), PathBuf::from)
}
