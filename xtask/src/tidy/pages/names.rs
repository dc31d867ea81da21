//! The flags, environment variables and tests that pages name.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::ensure;
use xtask::workspace::{files, read};

use super::Page;

/// The list of the stock host's flags. The tests of the host compare it with what the host takes.
const UPSTREAM: &str = "host-integration/tests/data/upstream-v1.5.1-flags.txt";

/// The list of the flags that this host adds. A test in it compares it with what the host says of itself.
const OURS: &str = "host-integration/tests/local_flags.rs";

/// Where tests are that pages name as `file::test`.
const TESTS: &str = "host-integration/tests";

/// Flags of other programs that pages name.
const OTHER_FLAGS: [&str; 15] = [
    "cargo --all-features --example --features --locked --no-default-features --package --profile --release --test",
    "cargo test --nocapture",
    "cargo xtask --backend --calls --concurrency --help --only --out --profile --quick --routes --seed --tight",
    "wasmcloud local --call --component --help --link",
    "wasmcloud status --json",
    "wasmcloud mode --by",
    "wash --disable-wadm --host-path --nats-connect-only --skip-wait --wasmcloud-version",
    "componentize-js --out --wit --world-name",
    "componentize-py --output --wit-path --world",
    "componentize-qjs --js --output --sync --wit --world",
    "systemctl --now",
    "useradd --no-create-home --shell --system",
    "docker --from --network",
    "debootstrap --variant",
    "apt-get --no-install-recommends --yes",
];

/// Variables of other programs that begin as the host's do.
const OTHER_VARIABLES: [&str; 2] = ["WASMCLOUD_HOST_PATH", "OTEL_TRACES_SAMPLER"];

/// The host takes a label from each variable that begins with this.
const LABEL: &str = "WASMCLOUD_LABEL_";

/// What there is to be named.
#[derive(Default)]
pub(super) struct Known {
    flags: BTreeSet<String>,
    variables: BTreeSet<String>,
    /// As pages name them: `file::test`.
    tests: BTreeSet<String>,
}

impl Known {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut known = Self::default();
        for list in [UPSTREAM, OURS] {
            let text = read(&root.join(list))?;
            known.flags.extend(words(&text, is_flag));
            known.variables.extend(words(&text, is_variable));
        }
        for (what, names) in [("flags", &known.flags), ("variables", &known.variables)] {
            ensure!(!names.is_empty(), "no {what} in {UPSTREAM} and {OURS}");
        }
        let other = OTHER_FLAGS.iter().flat_map(|it| words(it, is_flag));
        known.flags.extend(other);
        known.variables.extend(OTHER_VARIABLES.map(str::to_string));
        for path in files(&root.join(TESTS))? {
            if path.extension().is_some_and(|it| it == "rs") {
                let file = path.file_stem().unwrap_or_default().to_string_lossy();
                let text = read(&root.join(TESTS).join(&path))?;
                let tests = functions(&text).map(|test| format!("{file}::{test}"));
                known.tests.extend(tests);
            }
        }
        Ok(known)
    }
}

/// What `page` names and does not exist.
pub(super) fn breaches(page: &Page, known: &Known) -> Vec<String> {
    let says = |what: &str, name: &str| {
        format!(
            "{} names {what} `{name}`, which does not exist",
            page.path.display()
        )
    };
    let flags = words(&page.text, is_flag).filter(|it| !known.flags.contains(it));
    let variables = words(&page.text, is_variable)
        .filter(|it| !known.variables.contains(it) && !it.starts_with(LABEL));
    let tests = tests(&page.text).filter(|it| !known.tests.contains(it));
    flags
        .map(|it| says("the flag", &it))
        .chain(variables.map(|it| says("the environment variable", &it)))
        .chain(tests.map(|it| says("the test", &it)))
        .collect()
}

/// The words of `text` that are `wanted`, without what stands before and after a name.
fn words(text: &str, wanted: fn(&str) -> bool) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .filter(move |word| wanted(word))
        .map(str::to_owned)
}

fn is_flag(word: &str) -> bool {
    let name = word.strip_prefix("--");
    name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
}

fn is_variable(word: &str) -> bool {
    word.starts_with("WASMCLOUD_") || word.starts_with("OTEL_")
}

/// The tests that are named: spans of code of the form `file::test`.
fn tests(text: &str) -> impl Iterator<Item = String> + '_ {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(move |span| {
            let parts = span.split_once("::");
            parts.is_some_and(|(file, test)| is_name(file) && is_name(test))
        })
        .map(str::to_owned)
}

/// The names of functions without parameters in Rust code, as tests are, and of those that are run on each route.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    let functions = text.match_indices("fn ").filter_map(|(at, it)| {
        let before = text[..at].rsplit('\n').next()?;
        let (name, parameters) = text[at + it.len()..].split_once('(')?;
        let is_test = parameters.trim_start().starts_with(')');
        (is_test && ["", "async "].contains(&before)).then_some(name)
    });
    let on_routes = text.split("\non_routes! {").skip(1).flat_map(|rest| {
        let list = rest.split('}').next().unwrap_or_default();
        list.split([':', ',']).skip(1).map(str::trim)
    });
    functions.chain(on_routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known {
            flags: ["--lattice".to_owned()].into(),
            variables: ["WASMCLOUD_LATTICE".to_owned()].into(),
            tests: ["modes::require_works".to_owned()].into(),
        }
    }

    fn found(text: &str) -> Vec<String> {
        let page = Page {
            path: "docs/a.md".into(),
            text: text.into(),
        };
        breaches(&page, &known())
    }

    #[test]
    fn what_exists_may_be_named() {
        let text =
            "`--lattice=x`, WASMCLOUD_LATTICE=x, WASMCLOUD_LABEL_zone, `modes::require_works`\n\
                    |---|---|\n`Host::builder()` `a::b::c` -- and - x--y";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn tests_are_functions_and_what_is_run_on_each_route() {
        let text = "use a::b;\n\non_routes! { LOCAL:\n    one,\n    two,\n}\n\nasync fn three(\n) -> Result<()> {\n    a(b, four,);\n}\nfn five(it: u8) {}\n";
        let tests: Vec<_> = functions(text).filter(|it| !it.is_empty()).collect();
        assert_eq!(tests, ["three", "one", "two"]);
    }

    #[test]
    fn what_does_not_exist_is_found() {
        let text =
            "`--latice`, `WASMCLOUD_LATICE`, `OTEL_NONE`, `modes::requires` `mode::require_works`";
        let breaches = found(text);
        assert_eq!(breaches.len(), 5, "{breaches:?}");
        assert_eq!(
            breaches[0],
            "docs/a.md names the flag `--latice`, which does not exist"
        );
    }
}
