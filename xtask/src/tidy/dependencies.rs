//! What a package of the workspace may depend on. Dependencies of tests are free.

use anyhow::Context as _;
use serde_json::Value;

/// What a package may depend on, in words.
enum Rule {
    /// Nothing else.
    Only(&'static str),
    /// Nothing whose name is one of these, or begins with one of these and a dash.
    Not(&'static str),
}

use Rule::{Not, Only};

const BACKEND: Rule = Only("bytes inhost-dispatch tokio tokio-util");

/// Programs that start hosts, and know no more of them than a user does.
const OUTSIDE: Rule =
    Not("inhost-backend inhost-dispatch inhost-lattice inhost-registry wasmcloud wasmtime wrpc");

const RULES: &[(&str, Rule)] = &[
    (
        "inhost-registry",
        Not("async-nats inhost nats tokio wasmtime wrpc"),
    ),
    (
        "inhost-dispatch",
        Not("async-nats nats wasmcloud wasmtime wrpc-transport-nats wrpc-runtime"),
    ),
    ("inhost-backend-duplex", BACKEND),
    ("inhost-backend-mpsc", BACKEND),
    (
        "inhost-backends",
        Not("async-nats nats wasmcloud wasmtime wrpc"),
    ),
    ("inhost-codec", Only("thiserror")),
    (
        "inhost-lattice",
        Not("async-nats nats wasmcloud-host wrpc-transport-nats"),
    ),
    ("wrpc-transport-nats", Not("wasmcloud wasmtime")),
    (
        "wrpc-runtime-wasmtime",
        Not("async-nats inhost-backend nats wasmcloud wrpc-transport-nats"),
    ),
    // It stands outside of the host: what it starts is the real thing.
    ("inhost-testbed", Not("inhost wasmcloud wasmtime")),
    ("inhost-measure", OUTSIDE),
    ("inhost-trials", OUTSIDE),
    // It is built before anything else can be.
    ("xtask", Not("inhost tokio wasmcloud wasmtime wrpc")),
];

impl Rule {
    /// Whether the rule forbids a dependency on `name`.
    fn forbids(&self, name: &str) -> bool {
        match self {
            Only(allowed) => !allowed.split(' ').any(|it| it == name),
            Not(forbidden) => forbidden.split(' ').any(|forbidden| {
                let rest = name.strip_prefix(forbidden);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            }),
        }
    }
}

/// The breaches in what `cargo metadata --no-deps` says.
pub(super) fn breaches(metadata: &Value) -> anyhow::Result<Vec<String>> {
    let packages = metadata["packages"]
        .as_array()
        .context("`cargo metadata` lists no packages")?;
    let mut breaches = Vec::new();
    for (name, rule) in RULES {
        let Some(package) = packages.iter().find(|package| package["name"] == *name) else {
            breaches.push(format!(
                "there is no package {name}, but tidy has a rule for it"
            ));
            continue;
        };
        let dependencies = package["dependencies"].as_array();
        for dependency in dependencies.into_iter().flatten() {
            let other = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"] != "dev" && rule.forbids(other) {
                breaches.push(format!(
                    "{name} depends on {other}, which ARCHITECTURE.md forbids"
                ));
            }
        }
    }
    Ok(breaches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn forbidden_dependencies_are_named_and_those_of_tests_are_free() {
        let depends = |package: &str, on: &str, kind: Option<&str>| {
            let packages = RULES.iter().map(|(name, _)| {
                let extra = json!({ "name": on, "kind": kind });
                let extra = if *name == package {
                    vec![extra]
                } else {
                    vec![]
                };
                json!({ "name": name, "dependencies": extra })
            });
            let packages: Vec<_> = packages.collect();
            breaches(&json!({ "packages": packages })).unwrap()
        };
        for (package, forbidden) in [
            ("inhost-registry", "wrpc-transport"),
            ("inhost-backend-duplex", "futures"),
        ] {
            let found = depends(package, forbidden, None);
            let expected =
                format!("{package} depends on {forbidden}, which ARCHITECTURE.md forbids");
            assert_eq!(found, [expected]);
            assert!(depends(package, forbidden, Some("dev")).is_empty());
        }
        assert!(depends("inhost-backend-mpsc", "tokio", None).is_empty());
        assert!(depends("inhost-registry", "tokiofoo", None).is_empty());
        let found = breaches(&json!({ "packages": [] })).unwrap();
        assert_eq!(found.len(), RULES.len(), "packages that have gone");
    }
}
