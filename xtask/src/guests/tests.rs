use std::fs;
use std::path::Path;

use tempfile::TempDir;
use wit_component::DecodedWasm;

use super::*;

#[test]
fn the_committed_components_are_fresh() {
    check().unwrap();
}

#[test]
fn what_does_not_fit_the_record_is_named() {
    type Change = fn(&Path) -> std::io::Result<()>;
    let changes: [(&str, Change); 6] = [
        ("the sources have changed", |guests| {
            append(&guests.join("wit/types.wit"), b"\n")
        }),
        ("the sources have changed", |guests| {
            fs::write(guests.join("callee/src/more.rs"), "")
        }),
        ("the sources have changed", |guests| {
            fs::rename(guests.join("wit/driver.wit"), guests.join("wit/other.wit"))
        }),
        (
            "caller/caller.wasm is not the one that was built",
            |guests| append(&guests.join("caller/caller.wasm"), b"\0"),
        ),
        ("middle/middle.wasm is missing", |guests| {
            fs::remove_file(guests.join("middle/middle.wasm"))
        }),
        ("guests.sha256 is missing", |guests| {
            fs::remove_file(guests.join(RECORD))
        }),
    ];
    for (reason, change) in changes {
        let guests = copy();
        change(guests.path()).unwrap();
        let error = check_in(guests.path()).unwrap_err().to_string();
        let expected = format!("are stale: {reason}");
        assert!(error.contains(&expected), "{error}");
        assert!(error.contains("cargo xtask guests"), "{error}");
    }
}

#[test]
fn build_output_is_no_source_and_a_new_record_fits_what_it_was_made_of() {
    let guests = copy();
    fs::create_dir(guests.path().join(TARGET)).unwrap();
    fs::write(guests.path().join(TARGET).join("any.rs"), "").unwrap();
    check_in(guests.path()).unwrap();
    append(&guests.path().join("wit/types.wit"), b"\n").unwrap();
    let record = digest::record(guests.path(), &all_prebuilt()).unwrap();
    fs::write(guests.path().join(RECORD), record).unwrap();
    check_in(guests.path()).unwrap();
}

/// The host links these, or makes calls of them. An import of anything else would keep a guest from starting.
#[test]
fn guests_import_nothing_but_what_the_host_offers() {
    for guest in GUESTS {
        let component = fs::read(folder().join(prebuilt(guest))).unwrap();
        let DecodedWasm::Component(resolve, world) = wit_component::decode(&component).unwrap()
        else {
            panic!("{guest} is not a component");
        };
        for import in resolve.worlds[world].imports.keys() {
            let import = resolve.name_world_key(import);
            let known = match import.split_once('@') {
                Some((interface, "0.1.0")) => interface.starts_with("inhost:demo/"),
                Some((interface, "0.2.0")) => ["wasi:clocks/", "wasi:http/", "wasi:io/"]
                    .iter()
                    .any(|package| interface.starts_with(package)),
                _ => import == "wasmcloud:bus/lattice@2.0.0",
            };
            assert!(known, "{guest} imports {import}");
        }
    }
}

/// Components are committed: they should not tell where they were built.
#[test]
fn guests_hold_no_paths_of_the_machine_that_built_them() {
    for guest in GUESTS {
        let component = fs::read(folder().join(prebuilt(guest))).unwrap();
        let text = String::from_utf8_lossy(&component);
        for path in ["/home/", "/root/", "/Users/", "/.cargo/", "/rustlib/"] {
            assert!(!text.contains(path), "{guest} contains {path}");
        }
    }
}

/// A copy of the guests, without build output.
fn copy() -> TempDir {
    let copy = TempDir::new().unwrap();
    copy_folder(&folder(), copy.path());
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if !entry.file_type().unwrap().is_dir() {
            fs::copy(entry.path(), to).unwrap();
        } else if entry.file_name() != TARGET {
            fs::create_dir(&to).unwrap();
            copy_folder(&entry.path(), &to);
        }
    }
}

fn append(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let content = fs::read(path)?;
    fs::write(path, [&content, bytes].concat())
}
