//! Fuzz targets for `inhost-codec`: each takes any bytes, makes a situation of them, and asserts what must hold in all.
//!
//! - [`decode`]: a peer that sends any message, in pieces, to a guest whose allocator may be broken.
//! - [`lift`]: a guest that passes any core values with any memory.
//!
//! `cargo xtask fuzz` runs them with libFuzzer, which needs a C++ compiler. It builds with `--cfg fuzzing`. Without
//! that the binaries only run the inputs in the files that they are given, which shows a finding again.

#[path = "../../tests/guest/mod.rs"]
mod guest;

mod decode;
mod input;
mod lift;

pub use decode::decode;
pub use lift::lift;

use std::sync::Arc;

use inhost_codec::{
    Checker, Destination, Lift, Lower, LowerError, Passes, Plan, Progress, MAX_FLAT_PARAMS,
};

use crate::guest::{Encoding, Failure, Guest, Noting};

/// Runs `target` on the content of each file that the command line names.
///
/// # Errors
///
/// When a file cannot be read.
///
/// # Panics
///
/// When an input is a finding.
pub fn replay(target: fn(&[u8])) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        target(&std::fs::read(path)?);
    }
    Ok(())
}

/// Lowers `message` into `guest` as parameters. Returns the core values.
fn lower(plan: &Plan, message: &[u8], guest: &mut Guest) -> Result<Vec<u64>, LowerError<Failure>> {
    let mut core = vec![0; plan.flat_count().clamp(1, MAX_FLAT_PARAMS)];
    let lower = Lower::new(plan);
    lower.run(
        message,
        guest,
        &mut core,
        MAX_FLAT_PARAMS,
        Destination::Allocate,
    )?;
    Ok(core)
}

/// What becomes of a complete message on its way through an honest guest.
fn through_guest(plan: &Arc<Plan>, message: &[u8], encoding: Encoding) -> Vec<u8> {
    let mut checker = Checker::new(Arc::clone(plan));
    let checked = checker.advance(message);
    assert!(matches!(checked, Ok(Progress::Complete { .. })));
    let (mut handles, mut streams) = (Vec::new(), Vec::new());
    for found in checker.into_found() {
        match found.passes {
            Passes::Handle(bytes) => handles.push(&message[bytes]),
            Passes::Stream(path) => streams.push(path),
        }
    }
    let mut guest = Guest::new(encoding);
    let core = lower(plan, message, &mut guest).expect("a complete message can be lowered");
    let mut noting = Noting::new(guest.view());
    let lifted = Lift::new(plan).run(&mut noting, &core, MAX_FLAT_PARAMS);
    let lifted = lifted.expect("what was lowered can be lifted");
    assert_eq!(
        noting.streams(),
        streams,
        "paths out of the guest and into it"
    );
    let message = lifted.with_handles(&handles);
    message.expect("it has as many handles")
}
