//! Flags that bound what components may use.

use std::time::Duration;

use clap::Args;

use super::values::{memory_of_machine, whole};

const MIB: u64 = 1024 * 1024;

/// The runtime of the host library takes no shorter time.
const SHORTEST: Duration = Duration::from_secs(1);

#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Longest time that one invocation of a component may run, in milliseconds; less than 1000 is taken for 1000
    #[arg(
        long = "max-execution-time-ms",
        value_name = "MILLISECONDS",
        env = "WASMCLOUD_MAX_EXECUTION_TIME_MS",
        default_value = "600000",
        value_parser = execution_time
    )]
    pub(crate) max_execution_time: Duration,

    /// Largest linear memory of one component instance, in bytes; 256 MiB unless set
    #[arg(
        long = "max-linear-memory-bytes",
        value_name = "BYTES",
        env = "WASMCLOUD_MAX_LINEAR_MEMORY",
        default_value_t = 256 * MIB,
        value_parser = linear_memory
    )]
    pub(crate) max_linear_memory: u64,

    /// Largest component binary that is loaded, in bytes; 50 MiB unless set
    #[arg(
        long = "max-component-size-bytes",
        value_name = "BYTES",
        env = "WASMCLOUD_MAX_COMPONENT_SIZE",
        default_value_t = 50 * MIB,
        value_parser = component_size
    )]
    pub(crate) max_component_size: u64,

    /// Largest number of component instances, and of core modules in them, at the same time
    #[arg(
        long,
        value_name = "COUNT",
        env = "WASMCLOUD_MAX_COMPONENTS",
        default_value_t = 10_000,
        value_parser = components
    )]
    pub(crate) max_components: u32,
}

fn execution_time(value: &str) -> Result<Duration, String> {
    let example = "`600000` for ten minutes";
    let time = whole(value, 1..=u64::MAX, "milliseconds", example).map(Duration::from_millis)?;
    Ok(time.max(SHORTEST))
}

// A stock host takes any number here. With 0 it starts, and then starts no component. With a large
// one it makes instances without a pool.

/// No guest has more than 4 GiB, nor more than the machine.
fn linear_memory(value: &str) -> Result<u64, String> {
    let most = (4 << 30).min(memory_of_machine() as u64);
    whole(value, 1..=most, "bytes", "`268435456` for 256 MiB")
}

fn component_size(value: &str) -> Result<u64, String> {
    whole(value, 1..=u64::MAX, "bytes", "`52428800` for 50 MiB")
}

fn components(value: &str) -> Result<u32, String> {
    whole(value, 1..=u32::MAX, "components", "`10000`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_guest_can_have_is_refused_with_an_example() {
        let more_than_the_machine_has = (memory_of_machine() as u64).saturating_add(1).to_string();
        for bytes in ["0", "4294967297", "64M", &more_than_the_machine_has] {
            let error = linear_memory(bytes).expect_err(bytes);
            assert!(error.contains("`268435456` for 256 MiB"), "{error}");
        }
        assert_eq!(linear_memory("268435456"), Ok(256 * MIB));
        for time in ["64M", "1s", ""] {
            let error = execution_time(time).expect_err(time);
            assert!(error.contains("`600000` for ten minutes"), "{error}");
        }
    }
}
