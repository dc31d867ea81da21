use std::time::Duration;

/// What the components of a lattice may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The linear memory of one instance, in bytes. The default is 256 MiB.
    pub memory: u64,
    /// How long one call may take. The default is ten minutes. Less than a second counts as one
    /// second, and a guest that computes without a pause is stopped on the next full second.
    pub execution_time: Duration,
    /// How many instances there can be at the same time, in all components together. Each core module in a component
    /// counts. For each, address space for a memory is reserved, 6 GiB or so of the 128 TiB that a process has; no
    /// memory is used for that. The default is 500. A call that finds no room fails at once, without
    /// having run.
    pub instances: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 << 20,
            execution_time: Duration::from_secs(600),
            instances: 500,
        }
    }
}

impl Limits {
    /// These, with another limit for the linear memory of one instance, in bytes.
    #[must_use]
    pub fn with_memory(self, memory: u64) -> Self {
        Self { memory, ..self }
    }

    /// These, with another limit for the time that one call may take.
    #[must_use]
    pub fn with_execution_time(self, execution_time: Duration) -> Self {
        Self {
            execution_time: execution_time.max(Duration::from_secs(1)),
            ..self
        }
    }

    /// These, with another limit for the number of instances.
    #[must_use]
    pub fn with_instances(self, instances: u32) -> Self {
        Self { instances, ..self }
    }
}
