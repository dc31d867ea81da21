//! The values that become vectors.

mod lists;
mod mixed;
mod named;
mod nested;
mod resources;
mod scalars;

use crate::case::Case;

pub(crate) fn all() -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    scalars::add(&mut cases)?;
    lists::add(&mut cases)?;
    nested::add(&mut cases)?;
    named::add(&mut cases);
    resources::add(&mut cases)?;
    mixed::add(&mut cases);
    Ok(cases)
}
