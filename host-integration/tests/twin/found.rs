//! Programs that were found by chance, made short, and on which this host or the test has failed once.

use crate::program::Program;
use crate::twins::Mode;

/// What was found, and the mode in which it was.
pub(crate) const FOUND: [(Mode, &str); 18] = [
    // The host has nothing to do for the update of the first scale, and does not say so.
    (
        Mode::Prefer,
        "scale v1 1; scale+update less 2 b +2; scale+update v2 2",
    ),
    // The update that fails keeps the image of the scale from taking effect.
    (
        Mode::Prefer,
        "scale v1 1; scale+update v2 3 a +71; update missing",
    ),
    (
        Mode::Prefer,
        "scale v1 1; scale+update v2 4 b +127; update text",
    ),
    // A scale names the image that is on its way already.
    (
        Mode::Prefer,
        "scale v1 1; scale+update v2 4 a +125; scale 1 a; permission put; update less",
    ),
    // An update of what does not run, and one to what it is just started from.
    (
        Mode::Prefer,
        "scale v1 1; stop; update slow +98; scale 2 +48; update slow; update v2 +40",
    ),
    // The second of two commands with the same number of instances overtakes the first.
    (
        Mode::Require,
        "scale v1 1; scale+update v1 5; scale+update slow 1 +70; scale+update v1 1 a",
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
    // The inventory is asked for between a stop and the end of the update that was under way.
    (
        Mode::Prefer,
        "scale v1 1; update slow +6; stop +22; cut; update less +87",
    ),
    // Another image is on record while the slow one loads: no fault of the host, but of the test,
    // which took it for the end.
    (
        Mode::Prefer,
        "scale v1 1; update v1; update text +69; scale+update slow 1 a +14; update v1; permission put +71; scale+update v1 4",
    ),
    // The events of a command were compared where not the same was on record before it.
    (
        Mode::Require,
        "scale v1 2; scale+update v1 5; notes 5; scale+update v2 3 a +12; cut; update v2; config del b +126",
    ),
    // What the update has left is mended after a second without commands, and the test took the
    // time before for the end.
    (
        Mode::Require,
        "scale v1 1; scale+update v2 4 +134; update less +34; scale 2 a; notes 4; cut +31; scale 5 b +136",
    ),
    // The reference on record is that of an image which does not load, and an update with its code has come before.
    (
        Mode::Require,
        "scale v1 3 a; update v2 +54; scale+update missing 2 a +76",
    ),
    // The reference on record came with a scale, and that of another scale, which it takes for an
    // update, does not load.
    (
        Mode::Prefer,
        "scale v1 1; scale 5; update slow; scale+update v2 1 a +119; scale+update missing 1 a",
    ),
    // What a missing permission kept from serving does so once it is there again: a change without
    // a command, which no rule knew.
    (
        Mode::Require,
        "scale v1 1; permission del +144; scale+update v1 4 +117; update slow; notes 1; cut +42; update less +76; scale 5 b +84",
    ),
    // The reference that was waited for comes with a scale, which leaves the code.
    (
        Mode::Prefer,
        "scale v1 1 a; update slow; scale+update missing 5 b; scale 3 b +42; scale missing 1; scale+update v2 5 a; scale+update v2 2",
    ),
    // An update takes on what another one has put over a scale, and the events are missed: no fault
    // of the host, but of the model.
    (
        Mode::Prefer,
        "scale v1 1; notes 4 +46; update slow +2; scale+update bumped 4 a +35; cut; cut",
    ),
    // On a stock host what the update has left serves beside what was scaled after it.
    (
        Mode::Off,
        "scale v1 2 a; update slow; config del a +80; cut; scale+update slow 1 a; notes 8; update text +48",
    ),
];

/// What was found in a mode, as programs.
pub(crate) fn in_mode(mode: Mode) -> impl Iterator<Item = Program> {
    let found = FOUND.into_iter().filter(move |(it, _)| *it == mode);
    found.map(|(_, program)| program.parse().expect("a program"))
}
