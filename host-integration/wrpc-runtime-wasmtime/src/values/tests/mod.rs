//! Values of components.

mod agreement;
mod arbitrary;
mod guest;
mod host;
mod hostile;
mod resources;
mod stack;
mod threads;
mod vectors;
mod version;
