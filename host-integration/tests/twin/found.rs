//! Programs that were found by chance, made short, and that this host has failed once.

use crate::program::Program;
use crate::twins::Mode;

/// What was found, and the mode in which it was.
pub(crate) const FOUND: [(Mode, &str); 4] = [
    // The update that fails keeps the image of the scale from taking effect.
    (
        Mode::Prefer,
        "scale v1 1; scale+update v2 3 a +71; update missing",
    ),
    (
        Mode::Prefer,
        "scale v1 1; scale+update v2 4 b +127; update text",
    ),
    // The update of before the stop is carried on after it.
    (
        Mode::Prefer,
        "scale v1 1; update slow +130; scale 3; stop +120; scale+update v2 1 a",
    ),
    (
        Mode::Mixed,
        "scale v1 1; update slow +130; scale 3; stop +120; scale+update v2 1 a",
    ),
];

/// What was found in a mode, as programs.
pub(crate) fn in_mode(mode: Mode) -> impl Iterator<Item = Program> {
    let found = FOUND.into_iter().filter(move |(it, _)| *it == mode);
    found.map(|(_, program)| program.parse().expect("a program"))
}
