//! Runs the target `lift`: under libFuzzer, or on the files that the command line names.

#![allow(unexpected_cfgs, reason = "`cargo xtask fuzz` sets it")]
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| inhost_codec_fuzz::lift(data));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    inhost_codec_fuzz::replay(inhost_codec_fuzz::lift)
}
