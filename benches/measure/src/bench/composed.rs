//! Caller and callee in one component, composed ahead of time by [`xtask::components`].

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use inhost_testbed::Guest;
use tempfile::TempDir;
use xtask::command::run;

/// Composed components, as references by which a host starts them. The files go with this value.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) pair: String,
    pub(crate) chain: String,
    pub(crate) http: String,
    _files: TempDir,
}

impl Composed {
    /// Has `program` compose what the workloads need.
    ///
    /// # Errors
    ///
    /// When a component does not fit the one that calls it, or when a file cannot be written.
    pub(crate) fn make(program: &Path) -> anyhow::Result<Self> {
        let files = tempfile::tempdir().context("cannot create a folder for components")?;
        let compose = |name: &str, guests: &[Guest]| -> anyhow::Result<String> {
            let output = files.path().join(format!("{name}.wasm"));
            let mut command = Command::new(program);
            command
                .arg("compose")
                .arg(&output)
                .args(guests.iter().map(|guest| guest.path()));
            run(&mut command, "The message above says why.")?;
            Ok(format!("file://{}", output.display()))
        };
        Ok(Self {
            pair: compose("pair", &[Guest::Caller, Guest::Callee])?,
            chain: compose("chain", &[Guest::Caller, Guest::Middle, Guest::Callee])?,
            http: compose("http", &[Guest::Http, Guest::Callee])?,
            _files: files,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wit_component::DecodedWasm;

    #[test]
    fn a_composition_is_valid_exports_what_the_first_exports_and_no_longer_imports_what_was_linked()
    {
        let program = xtask::components::program().unwrap();
        let composed = Composed::make(&program).unwrap();
        for (file, export) in [
            (&composed.pair, "inhost:demo/driver@0.1.0"),
            (&composed.chain, "inhost:demo/driver@0.1.0"),
            (&composed.http, "wasi:http/incoming-handler@0.2.0"),
        ] {
            let component = std::fs::read(file.strip_prefix("file://").unwrap()).unwrap();
            let decoded = wit_component::decode(&component).unwrap();
            let DecodedWasm::Component(resolve, world) = decoded else {
                panic!("{file} is not a component");
            };
            let world = &resolve.worlds[world];
            let name = |key| resolve.name_world_key(key);
            let exports: Vec<_> = world.exports.keys().map(name).collect();
            assert_eq!(exports, [export], "{file}");
            let imports: Vec<_> = world.imports.keys().map(name).collect();
            assert!(!imports.iter().any(|it| it == "inhost:demo/echo@0.1.0"));
            assert!(imports.iter().any(|it| it == "inhost:demo/tally@0.1.0"));
        }
    }

    #[test]
    fn components_that_do_not_fit_are_an_error() {
        let mut command = Command::new(xtask::components::program().unwrap());
        let parts = [Guest::Callee, Guest::Http].map(Guest::path);
        command.args(["compose", "/missing/output"]).args(parts);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("does not fit"), "{error}");
    }
}
