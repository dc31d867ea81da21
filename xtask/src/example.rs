//! `cargo xtask example`: builds a component in another language than Rust.

use anyhow::bail;
use xtask::languages::{Built, Language};

/// Builds the example in `language` and says where it is.
///
/// # Errors
///
/// When this machine lacks what it takes, or when it does not build.
pub(crate) fn build(language: Language) -> anyhow::Result<()> {
    match language.build()? {
        Built::Component(path) => println!("{}", path.display()),
        Built::Missing(why) => bail!("{why}"),
    }
    Ok(())
}
