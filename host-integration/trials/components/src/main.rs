//! Makes components: `components encode MODULE OUTPUT` makes one of a core module,
//! `components compose OUTPUT COMPONENT...` one of components that call each other.

mod compose;

use std::fs;
use std::path::PathBuf;

use anyhow::{bail, Context as _};
use wit_component::ComponentEncoder;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let (output, component) = match arguments[..] {
        ["encode", module, output] => (output, encode(module)?),
        ["compose", output, ref files @ ..] if !files.is_empty() => {
            let files: Vec<_> = files.iter().map(PathBuf::from).collect();
            (output, compose::compose(&files)?)
        }
        _ => bail!(
            "usage: components encode MODULE OUTPUT, or components compose OUTPUT COMPONENT..."
        ),
    };
    fs::write(output, component).with_context(|| format!("cannot write {output}"))
}

/// The component of a core module that `wit-bindgen` has put the description of its interfaces into.
fn encode(module: &str) -> anyhow::Result<Vec<u8>> {
    let core = fs::read(module).with_context(|| format!("cannot read {module}"))?;
    let mut encoder = ComponentEncoder::default().module(&core)?.validate(true);
    let component = encoder.encode();
    component.with_context(|| format!("cannot turn {module} into a component"))
}
