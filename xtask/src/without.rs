//! What a command may have gone without when it failed: room on the disk, or a network.
//!
//! Cargo's own messages say it, but among hundreds of others, and not what to do.

use std::path::Path;

use crate::command::{cargo, host_triple};
use crate::workspace::target_dir;

/// Less room than this is none, in bytes: it does not take what a linker writes.
const ROOM: u64 = 200 << 20;

/// Why a command has failed, and what to do, if the machine lacks something.
pub(crate) fn cause() -> Option<String> {
    let folder = target_dir();
    if room(&folder).is_some_and(|room| room < ROOM) {
        return Some(no_room(&folder));
    }
    (!has_crates()).then(|| {
        "Crates are missing and could not be fetched: connect to the network, or run `cargo fetch` where there is one and \
         copy the folder ~/.cargo/registry."
            .to_owned()
    })
}

fn no_room(folder: &Path) -> String {
    format!(
        "The disk of {} is full: make room (8 GB do for everything), or set CARGO_TARGET_DIR to a folder on another disk.",
        folder.display()
    )
}

/// How many bytes are free on the disk that has `folder`, which may not be there yet. Nothing when it cannot be told.
fn room(folder: &Path) -> Option<u64> {
    let folder = folder.ancestors().find(|folder| folder.is_dir())?;
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether all that the workspace is built of is on this machine, or can be fetched.
fn has_crates() -> bool {
    let Ok(target) = host_triple() else {
        return true;
    };
    let mut command = cargo(&["fetch", "--locked", "--target", &target]);
    // What cannot be run says nothing about crates, nor does a lock file that does not fit.
    command.output().map_or(true, |output| {
        output.status.success() || String::from_utf8_lossy(&output.stderr).contains("--locked")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_lacks_nothing_is_not_blamed() {
        assert_eq!(cause(), None);
    }

    #[test]
    fn room_is_that_of_the_disk_the_folder_will_be_on() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("not").join("there");
        assert!(room(&missing).is_some_and(|room| room > 0));
        // A file system without room, on every Linux.
        #[cfg(target_os = "linux")]
        assert_eq!(room(Path::new("/proc")), Some(0));
        assert!(no_room(&missing).contains("CARGO_TARGET_DIR"));
    }
}
