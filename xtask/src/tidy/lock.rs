//! What the lock files must say: the host library is the published one, the drop-ins are in place,
//! and the stock host is built of the same versions.

use std::collections::BTreeSet;

/// The package that must come from the registry, as upstream published it.
const HOST: &str = "wasmcloud-host";

/// The packages that must be the drop-ins: name, and version of the published crate that would be there instead.
const DROP_INS: [(&str, &str); 2] = [
    ("wrpc-runtime-wasmtime", "0.25.0"),
    ("wrpc-transport-nats", "0.27.1"),
];

/// The breaches in the text of Cargo.lock.
pub(super) fn breaches(lock: &str) -> Vec<String> {
    let sources: Vec<_> = packages(lock)
        .filter(|package| field(package, "name") == Some(HOST))
        .map(|package| field(package, "source"))
        .collect();
    let mut breaches = match sources[..] {
        [Some(source)] if source.starts_with("registry+") => Vec::new(),
        [Some(source)] => vec![format!(
            "{HOST} comes from {source}: it has to be the published crate, unpatched"
        )],
        [None] => vec![format!(
            "{HOST} is patched: it has to be the published crate"
        )],
        [] => vec![format!("Cargo.lock has no {HOST}")],
        _ => vec![format!("Cargo.lock has more than one {HOST}")],
    };
    let versions = versions(lock);
    for (name, version) in DROP_INS {
        if versions.contains(&(name, version)) {
            breaches.push(format!(
                "Cargo.lock has the published {name} {version}, so the drop-in is not used"
            ));
        }
    }
    breaches
}

/// The breaches in the text of the stock host's lock file, given that of Cargo.lock. A comparison with other versions
/// would compare those.
pub(super) fn stock_breaches(stock: &str, lock: &str) -> Vec<String> {
    let ours = versions(lock);
    versions(stock)
        .into_iter()
        .filter(|package| !ours.contains(package))
        .filter(|package| !DROP_INS.contains(package))
        .filter(|(name, _)| !name.starts_with("stock-"))
        .map(|(name, version)| {
            format!(
                "benches/stock/Cargo.lock has {name} {version}, and Cargo.lock does not: copy Cargo.lock there and let \
                 `cargo metadata --manifest-path benches/stock/Cargo.toml` trim it"
            )
        })
        .collect()
}

fn packages(lock: &str) -> impl Iterator<Item = &str> {
    lock.split("[[package]]").skip(1)
}

fn versions(lock: &str) -> BTreeSet<(&str, &str)> {
    packages(lock)
        .filter_map(|package| Some((field(package, "name")?, field(package, "version")?)))
        .collect()
}

/// The value of the line `name = "value"` in `package`.
fn field<'a>(package: &'a str, name: &str) -> Option<&'a str> {
    package.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix(" = \"")?;
        value.strip_suffix('"')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(source: &str) -> String {
        format!(
            "version = 4\n\n[[package]]\nname = \"other\"\nversion = \"1.0.0\"\n\n\
             [[package]]\nname = \"wasmcloud-host\"\nversion = \"0.24.0\"\n{source}dependencies = [\n \"other\",\n]\n"
        )
    }

    #[test]
    fn the_published_crate_passes() {
        assert!(breaches(&lock("source = \"registry+index\"\n")).is_empty());
    }

    #[test]
    fn anything_else_does_not() {
        assert!(breaches(&lock(""))[0].contains("is patched"));
        assert!(breaches(&lock("source = \"git+somewhere\"\n"))[0].contains("git+somewhere"));
        assert!(breaches("version = 4\n")[0].contains("has no"));
    }

    #[test]
    fn a_published_crate_in_place_of_a_drop_in_is_found() {
        let published = "[[package]]\nname = \"wrpc-transport-nats\"\nversion = \"0.27.1\"\n";
        let lock = lock("source = \"registry+index\"\n") + published;
        let found = breaches(&lock);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("the drop-in is not used"));
    }

    #[test]
    fn other_versions_in_the_stock_host_are_found() {
        let package = |name: &str, version: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
        };
        let ours = package("tokio", "1.2.3");
        let same = package("tokio", "1.2.3")
            + &package("stock-host", "0.1.0")
            + &package("wrpc-transport-nats", "0.27.1");
        assert!(stock_breaches(&same, &ours).is_empty());
        let other = package("tokio", "1.2.4");
        let found = stock_breaches(&other, &ours);
        assert!(found[0].contains("tokio 1.2.4"), "{found:?}");
    }
}
