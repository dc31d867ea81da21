//! The plain path, in components.

mod agreement;
mod arbitrary;
mod guest;
mod host;
mod hostile;
mod stack;
mod threads;
mod vectors;
mod version;
