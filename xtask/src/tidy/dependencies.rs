//! What a package of the workspace may depend on. Dependencies of tests are free.

use anyhow::Context as _;
use serde_json::Value;

/// What a package may depend on.
enum Rule {
    /// Nothing else.
    Only(&'static [&'static str]),
    /// Nothing whose name is one of these, or begins with one of these and a dash.
    Not(&'static [&'static str]),
}

const BACKEND: Rule = Rule::Only(&["bytes", "inhost-dispatch", "tokio", "tokio-util"]);

const BACKEND_CHOICE: Rule = Rule::Not(&["async-nats", "nats", "wasmcloud", "wasmtime", "wrpc"]);

const RULES: &[(&str, Rule)] = &[
    (
        "inhost-registry",
        Rule::Not(&["async-nats", "inhost", "nats", "tokio", "wasmtime", "wrpc"]),
    ),
    (
        "inhost-dispatch",
        Rule::Not(&[
            "async-nats",
            "nats",
            "wasmcloud",
            "wasmtime",
            "wrpc-transport-nats",
            "wrpc-runtime",
        ]),
    ),
    ("inhost-backend-duplex", BACKEND),
    ("inhost-backend-mpsc", BACKEND),
    ("wrpc-transport-nats", Rule::Not(&["wasmcloud", "wasmtime"])),
    ("inhost-codec", Rule::Only(&["thiserror"])),
    (
        "wrpc-runtime-wasmtime",
        Rule::Not(&[
            "async-nats",
            "inhost-backend",
            "nats",
            "wasmcloud",
            "wrpc-transport-nats",
        ]),
    ),
    ("inhost-backends", BACKEND_CHOICE),
    (
        "inhost-lattice",
        Rule::Not(&[
            "async-nats",
            "nats",
            "wasmcloud-host",
            "wrpc-transport-nats",
        ]),
    ),
    // It stands outside of the host: what it starts is the real thing.
    (
        "inhost-testbed",
        Rule::Not(&["inhost", "wasmcloud", "wasmtime"]),
    ),
    (
        "inhost-trials",
        Rule::Not(&[
            "inhost-backend",
            "inhost-dispatch",
            "inhost-lattice",
            "inhost-registry",
            "wasmcloud",
            "wasmtime",
            "wrpc",
        ]),
    ),
    // It is built before anything else can be.
    (
        "xtask",
        Rule::Not(&["inhost", "tokio", "wasmcloud", "wasmtime", "wrpc"]),
    ),
];

impl Rule {
    /// Whether the rule forbids a dependency on `name`.
    fn forbids(&self, name: &str) -> bool {
        match self {
            Self::Only(allowed) => !allowed.contains(&name),
            Self::Not(forbidden) => forbidden.iter().any(|forbidden| {
                name.strip_prefix(forbidden)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
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

    /// Packages that keep the rules, where `name` has these dependencies on top.
    fn metadata(name: &str, extra: &[Value]) -> Value {
        let packages: Vec<_> = RULES
            .iter()
            .map(|(package, _)| {
                let extra = if *package == name { extra } else { &[] };
                json!({ "name": package, "dependencies": extra })
            })
            .collect();
        json!({ "packages": packages })
    }

    fn dependency(name: &str) -> Value {
        json!({ "name": name, "kind": null })
    }

    #[test]
    fn packages_that_keep_the_rules_pass() {
        let fine = metadata("inhost-backend-mpsc", &[dependency("tokio")]);
        assert!(breaches(&fine).unwrap().is_empty());
    }

    #[test]
    fn forbidden_dependencies_are_named() {
        for (package, forbidden) in [
            ("inhost-registry", "tokio"),
            ("inhost-registry", "wrpc-transport"),
            ("inhost-dispatch", "async-nats"),
            ("inhost-dispatch", "wasmtime"),
            ("inhost-backend-duplex", "futures"),
            ("inhost-backend-mpsc", "inhost-registry"),
            ("wrpc-transport-nats", "wasmcloud-host"),
            ("inhost-backends", "wrpc-transport-nats"),
            ("inhost-lattice", "async-nats"),
            ("inhost-lattice", "wasmcloud-host"),
        ] {
            let found = breaches(&metadata(package, &[dependency(forbidden)])).unwrap();
            let expected =
                format!("{package} depends on {forbidden}, which ARCHITECTURE.md forbids");
            assert_eq!(found, [expected]);
        }
    }

    #[test]
    fn tests_may_depend_on_anything() {
        let dev = json!({ "name": "wasmtime", "kind": "dev" });
        let fine = metadata("inhost-registry", &[dev]);
        assert!(breaches(&fine).unwrap().is_empty());
    }

    #[test]
    fn names_are_compared_up_to_a_dash() {
        let rule = Rule::Not(&["tokio"]);
        assert!(rule.forbids("tokio") && rule.forbids("tokio-util"));
        assert!(!rule.forbids("tokiofoo"));
    }

    #[test]
    fn a_package_that_has_gone_is_noticed() {
        let found = breaches(&json!({ "packages": [] })).unwrap();
        assert_eq!(found.len(), RULES.len());
        assert!(breaches(&json!({})).is_err());
    }
}
