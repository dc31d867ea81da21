//! Compiling the guests to core modules, with whatever this machine has for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::bail;
use xtask::command::{cargo, output, run, rustc};

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
    let mut command = cargo(&["build", "--release", "--target", WASM, "--target-dir"]);
    command.arg(target).args(flags).current_dir(guests);
    command.env("CARGO_ENCODED_RUSTFLAGS", rust_flags(guests)?);
    run(&mut command, "The messages above say why.")
}

/// What Cargo needs to be told, beside the target, to build for it.
fn extra_flags(guests: &Path) -> anyhow::Result<Vec<String>> {
    let library = rustc_says(guests, &["--print", "target-libdir", "--target", WASM])?;
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
    let sysroot = PathBuf::from(rustc_says(guests, &["--print", "sysroot"])?);
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
fn rustc_says(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let said = output(
        rustc(arguments).current_dir(folder),
        "The message above says why.",
    )?;
    Ok(said.trim_end().to_owned())
}
