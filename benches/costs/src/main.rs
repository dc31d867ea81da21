//! What a call costs, in numbers that a busy machine does not change: instructions, allocations and system calls.
//!
//! They are compared with those on record, in `benches/costs/record.json`. A change that costs
//! something so says it in its commit, by the record that it changes.
//!
//! ```console
//! $ cargo xtask costs            # compare with the record
//! $ cargo xtask costs --write    # write the record anew
//! ```
//!
//! Allocations are counted by this program. Instructions are those that valgrind counts, and system
//! calls those that strace sees; where a tool is not there, or is not allowed, the column is left
//! out, and said to be. Each number is the difference of a long and of a short run, by the number
//! of calls.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program speaks to its user"
)]

mod costs;
mod record;
mod tools;
mod work;

use std::alloc::System;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum as _};
use stats_alloc::{Region, StatsAlloc, INSTRUMENTED_SYSTEM};

use costs::Costs;
use record::Record;
use work::Work;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const EXAMPLES: &str = "Examples:
  cargo xtask costs
  cargo xtask costs --write

Exit codes: 0 when all is as on record, 1 when it is not or something failed, 2 when the command line is not right.";

/// What a call costs, beside what is on record.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
struct Arguments {
    /// Write the record anew
    #[arg(long)]
    write: bool,
    #[command(subcommand)]
    run: Option<Run>,
}

#[derive(Debug, Subcommand)]
enum Run {
    /// Do it so many times, and print what was allocated for that
    #[command(hide = true)]
    Run { work: Work, times: u32 },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.run {
        Some(Run::Run { work, times }) => run(work, times),
        None => compare(arguments.write),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How often it is done before allocations are counted: tables and buffers have their size then.
const WARM_UP: u32 = 100;

fn run(work: Work, times: u32) -> anyhow::Result<()> {
    let prepared = work.prepare()?;
    prepared.run(WARM_UP)?;
    let region = Region::new(ALLOCATOR);
    prepared.run(times)?;
    let stats = region.change();
    prepared.end();
    let allocations = stats.allocations + stats.reallocations;
    println!("{allocations} {}", stats.bytes_allocated);
    Ok(())
}

fn compare(write: bool) -> anyhow::Result<()> {
    let mut measured = Record::here()?;
    for &work in Work::value_variants() {
        let name = work.name();
        let costs = Costs::measure(&name).with_context(|| format!("cannot measure {name}"))?;
        measured.add(name, costs);
    }
    if write {
        println!("{measured}");
        return measured.write();
    }
    let on_record = Record::read()?;
    let compared = on_record.compare(&measured);
    println!("{compared}");
    compared.result()
}
