//! What Cargo.lock must say: the host library is the published one.

/// The package that must come from the registry, as upstream published it.
const HOST: &str = "wasmcloud-host";

/// The breaches in the text of Cargo.lock.
pub(super) fn breaches(lock: &str) -> Vec<String> {
    let sources: Vec<_> = lock
        .split("[[package]]")
        .filter(|package| field(package, "name") == Some(HOST))
        .map(|package| field(package, "source"))
        .collect();
    match sources[..] {
        [Some(source)] if source.starts_with("registry+") => Vec::new(),
        [Some(source)] => vec![format!(
            "{HOST} comes from {source}: it has to be the published crate, unpatched"
        )],
        [None] => vec![format!(
            "{HOST} is patched: it has to be the published crate"
        )],
        [] => vec![format!("Cargo.lock has no {HOST}")],
        _ => vec![format!("Cargo.lock has more than one {HOST}")],
    }
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
}
