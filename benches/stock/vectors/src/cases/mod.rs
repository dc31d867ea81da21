//! The values that become vectors.

mod lists;
mod named;
mod nested;
mod scalars;

use crate::case::Case;

pub(crate) fn all() -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    scalars::add(&mut cases)?;
    lists::add(&mut cases)?;
    nested::add(&mut cases)?;
    named::add(&mut cases);
    Ok(cases)
}
