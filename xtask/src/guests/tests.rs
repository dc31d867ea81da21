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
fn a_changed_source_is_noticed() {
    let guests = copy();
    append(&guests.path().join("wit/types.wit"), b"\n");
    assert_stale(guests.path(), "the sources have changed");
}

#[test]
fn a_new_source_is_noticed() {
    let guests = copy();
    fs::write(guests.path().join("callee/src/more.rs"), "").unwrap();
    assert_stale(guests.path(), "the sources have changed");
}

#[test]
fn a_moved_source_is_noticed() {
    let guests = copy();
    let source = guests.path().join("wit/driver.wit");
    fs::rename(&source, source.with_file_name("other.wit")).unwrap();
    assert_stale(guests.path(), "the sources have changed");
}

#[test]
fn a_changed_component_is_named() {
    let guests = copy();
    append(&guests.path().join("caller/caller.wasm"), b"\0");
    let error = assert_stale(
        guests.path(),
        "caller/caller.wasm is not the one that was built",
    );
    assert!(!error.contains("callee"), "{error}");
    assert!(!error.contains("sources"), "{error}");
}

#[test]
fn a_missing_component_is_named() {
    let guests = copy();
    fs::remove_file(guests.path().join("middle/middle.wasm")).unwrap();
    assert_stale(guests.path(), "middle/middle.wasm is missing");
}

#[test]
fn a_missing_record_is_noticed() {
    let guests = copy();
    fs::remove_file(guests.path().join(RECORD)).unwrap();
    assert_stale(guests.path(), "guests.sha256 is missing");
}

#[test]
fn build_output_is_no_source() {
    let guests = copy();
    fs::create_dir(guests.path().join(TARGET)).unwrap();
    fs::write(guests.path().join(TARGET).join("any.rs"), "").unwrap();
    check_in(guests.path()).unwrap();
}

#[test]
fn a_new_record_fits_what_it_was_made_of() {
    let guests = copy();
    append(&guests.path().join("wit/types.wit"), b"\n");
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

fn append(path: &Path, bytes: &[u8]) {
    let mut content = fs::read(path).unwrap();
    content.extend_from_slice(bytes);
    fs::write(path, content).unwrap();
}

/// Checks that `check` finds `reason` and says what to do, and returns all that it says.
fn assert_stale(guests: &Path, reason: &str) -> String {
    let error = check_in(guests).unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
    assert!(error.contains("cargo xtask guests"), "{error}");
    error
}
