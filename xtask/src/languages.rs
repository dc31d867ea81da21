//! The components in other languages than Rust, in `host-integration/examples/languages`: fetching the tools that build
//! them, and building them.
//!
//! Neither is committed, because they are large. Both are kept in the target folder, under names
//! that tell what they were made from, so that no one is given what others have changed meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context as _};
use clap::ValueEnum;
use sha2::{Digest as _, Sha256};

use crate::command::text;
use crate::workspace::{target_dir, workspace_root};

/// Node.js has to be of this version or newer.
const OLDEST_NODE: u32 = 20;

/// How many of the last lines of a tool that failed are shown.
const LINES: usize = 20;

/// A language that a component is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// With componentize-js, which npm fetches
    #[value(name = "javascript")]
    JavaScript,
    /// With componentize-py, which pip fetches
    Python,
}

/// What became of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Built {
    /// It is here.
    Component(PathBuf),
    /// This machine lacks a program for it. The text says which, and what to do.
    Missing(String),
}

impl Language {
    /// Builds the example component of this language, unless that has been done: fetches the tools
    /// for it, which takes some 20 seconds, and compiles it, which takes as long. Blocks the
    /// thread. Several processes may do this at once.
    ///
    /// # Errors
    ///
    /// When the tools cannot be fetched, or when the component does not compile. The error has the
    /// last lines of what failed.
    pub fn build(self) -> anyhow::Result<Built> {
        if let Some(missing) = self.missing() {
            return Ok(Built::Missing(missing));
        }
        let component = target_dir().join("languages").join(format!(
            "{}-{}.wasm",
            self.name(),
            digest(&[&self.sources(), &examples().join("wit")])?
        ));
        if !component.is_file() {
            let tools = self.tools()?;
            println!("compiling {}", component.display());
            in_place(&component, |folder| self.compile(&tools, folder))?;
        }
        Ok(Built::Component(component))
    }

    fn name(self) -> &'static str {
        match self {
            Self::JavaScript => "javascript",
            Self::Python => "python",
        }
    }

    /// The folder with the component's sources.
    fn sources(self) -> PathBuf {
        examples().join(self.name())
    }

    /// Which program this machine lacks, if any.
    fn missing(self) -> Option<String> {
        match self {
            Self::JavaScript => match said(Command::new("node").arg("--version")) {
                None => Some("there is no node on PATH: install Node.js with npm".to_owned()),
                Some(version) if is_too_old(&version) => Some(format!(
                    "node on PATH is {version}, and {OLDEST_NODE} or newer is needed"
                )),
                Some(_) if said(Command::new("npm").arg("--version")).is_none() => {
                    Some("there is no npm on PATH: install it beside node".to_owned())
                }
                Some(_) => None,
            },
            Self::Python => said(Command::new("python3").args(["-m", "pip", "--version"]))
                .is_none()
                .then(|| "there is no python3 with pip on PATH: install it".to_owned()),
        }
    }

    /// The folder with the tools, of the versions that the sources name. Fetches them unless they are there.
    fn tools(self) -> anyhow::Result<PathBuf> {
        let sources = self.sources();
        let (package, pinned): (_, &[&str]) = match self {
            Self::JavaScript => ("componentize-js", &["package.json", "package-lock.json"]),
            Self::Python => ("componentize-py", &["requirements.txt"]),
        };
        let pinned: Vec<_> = pinned.iter().map(|name| sources.join(name)).collect();
        let paths: Vec<&Path> = pinned.iter().map(|it| &**it).collect();
        let tools = target_dir()
            .join("tools")
            .join(package)
            .join(digest(&paths)?);
        if tools.is_dir() {
            return Ok(tools);
        }
        println!("fetching {package} to {}", tools.display());
        in_place(&tools, |folder| {
            let fetched = folder.join("tools");
            fs::create_dir(&fetched)?;
            for file in pinned {
                let name = file.file_name().unwrap_or_default();
                fs::copy(&file, fetched.join(name))?;
            }
            let mut command = match self {
                // Exactly what the lock file has. What the packages would run on this machine is not needed.
                Self::JavaScript => {
                    let mut npm = Command::new("npm");
                    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
                    npm
                }
                Self::Python => {
                    let mut pip = Command::new("python3");
                    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"])
                        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
                        .args(["--target", ".", "--requirement", "requirements.txt"]);
                    pip
                }
            };
            run(command.current_dir(&fetched))?;
            Ok(fetched)
        })
        .context("the tools cannot be fetched")?;
        Ok(tools)
    }

    /// Compiles the component in `folder`, which is empty, and returns where it is.
    fn compile(self, tools: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
        let wit = examples().join("wit");
        let component = folder.join("component.wasm");
        let mut command = match self {
            Self::JavaScript => {
                let mut node = Command::new(tools.join("node_modules/.bin/componentize-js"));
                node.arg(self.sources().join("app.js"));
                node.arg("--wit").arg(wit);
                node.args(["--world-name", "component", "--out"])
                    .arg(&component);
                node
            }
            Self::Python => {
                // The interpreter leaves what it compiled beside the source.
                fs::copy(self.sources().join("app.py"), folder.join("app.py"))?;
                let mut python = Command::new("python3");
                python.env("PYTHONPATH", tools);
                python.arg(tools.join("bin/componentize-py"));
                python.arg("--wit-path").arg(wit);
                python.args(["--world", "component", "componentize", "app", "--output"]);
                python.arg(&component);
                python
            }
        };
        run(command.current_dir(folder)).context("the component cannot be compiled")?;
        Ok(component)
    }
}

fn examples() -> PathBuf {
    workspace_root().join("host-integration/examples/languages")
}

/// Makes `destination`, a file or a folder: `make` is given an empty folder beside it, and returns
/// where in it the thing is. It is moved at the end, so that no one ever sees half of it. That
/// another process was faster is fine.
fn in_place(
    destination: &Path,
    make: impl FnOnce(&Path) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<()> {
    let parent = destination.parent().context("it has no folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let folder = tempfile::Builder::new().prefix("new-").tempdir_in(parent);
    let folder = folder.with_context(|| format!("cannot write to {}", parent.display()))?;
    let made = make(folder.path())?;
    match fs::rename(made, destination) {
        Err(_) if destination.exists() => Ok(()),
        moved => moved.with_context(|| format!("cannot create {}", destination.display())),
    }
}

/// The first digits of a digest of files: of each path that is one, and of all that are in those that are folders.
fn digest(paths: &[&Path]) -> anyhow::Result<String> {
    let mut files = Vec::new();
    let mut rest: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    while let Some(path) = rest.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                rest.push(entry?.path());
            }
        } else {
            files.push(path);
        }
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        digest.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        digest.update(content.len().to_le_bytes());
        digest.update(content);
    }
    let digits = digest.finalize();
    Ok(digits[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The line that a program prints, if it can be run and does not fail.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(line)
}

/// Whether `v20.1.0` or the like is too old. What is no version is tried.
fn is_too_old(version: &str) -> bool {
    let major = version.trim_start_matches('v').split('.').next();
    let major = major.and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < OLDEST_NODE)
}

/// Runs a tool to its end. Its last lines are the error when it fails.
fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output();
    let output = output.with_context(|| format!("cannot run `{}`", text(command)))?;
    if output.status.success() {
        return Ok(());
    }
    let streams = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let lines: Vec<_> = streams.iter().flat_map(|stream| stream.lines()).collect();
    bail!(
        "`{}` failed ({}):\n{}",
        text(command),
        output.status,
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_has_another_name_when_a_source_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (source, other) = (folder.path().join("a"), folder.path().join("b/c"));
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(&source, "1").unwrap();
        fs::write(&other, "2").unwrap();
        let first = digest(&[folder.path()]).unwrap();
        assert_eq!(first.len(), 12);
        assert_eq!(digest(&[folder.path()]).unwrap(), first);
        fs::write(&other, "3").unwrap();
        assert_ne!(digest(&[folder.path()]).unwrap(), first);
        assert!(digest(&[Path::new("/missing")]).is_err());
    }

    #[test]
    fn old_versions_are_told_from_new_ones() {
        for (version, old) in [("v18.20.4", true), ("v20.0.0", false), ("v26.1.0", false)] {
            assert_eq!(is_too_old(version), old, "{version}");
        }
        assert!(!is_too_old("of my own"));
    }

    #[test]
    fn what_fails_leaves_nothing_and_says_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("tools");
        let fails = |_: &Path| -> anyhow::Result<PathBuf> {
            run(Command::new("sh").args(["-c", "echo no network >&2; exit 3"]))?;
            unreachable!()
        };
        let error = in_place(&destination, fails).unwrap_err().to_string();
        assert!(error.contains("no network"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_another_process_has_made_meanwhile_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("tools");
        in_place(&destination, |new| {
            for made in [&new.join("tools"), &destination] {
                fs::create_dir(made)?;
                fs::write(made.join("file"), made.to_string_lossy().as_bytes())?;
            }
            Ok(new.join("tools"))
        })
        .unwrap();
        let kept = fs::read_to_string(destination.join("file")).unwrap();
        assert_eq!(kept, destination.to_string_lossy());
    }
}
