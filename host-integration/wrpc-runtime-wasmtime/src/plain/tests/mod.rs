//! The plain path, in components.

mod agreement;
mod arbitrary;
mod guest;
mod host;
mod hostile;
mod vectors;
mod version;
