//! The demo components' functions, as Rust methods.

use std::time::Duration;

use bytes::Bytes;

use crate::wrpc::Peer;

/// The interface of the callee.
pub const ECHO: &str = "inhost:demo/echo@0.1.0";

/// The interface of the caller.
pub const DRIVER: &str = "inhost:demo/driver@0.1.0";

/// The id under which [`Deployment::deploy_pair`](crate::Deployment::deploy_pair) starts the caller.
pub const CALLER: &str = "caller";

/// The id under which [`Deployment::deploy_pair`](crate::Deployment::deploy_pair) starts the callee.
pub const CALLEE: &str = "callee";

/// What the caller does with the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Calls `ping`.
    Ping,
    /// Calls `echo-bytes`.
    Echo,
    /// Calls `echo-strings` with strings of 10 to 30 bytes.
    Strings,
    /// Calls `echo-record` with a record of ten fields.
    Record,
}

impl Workload {
    /// The number of the case in the WIT enum, as it is encoded.
    fn number(self) -> u8 {
        match self {
            Self::Ping => 0,
            Self::Echo => 1,
            Self::Strings => 2,
            Self::Record => 3,
        }
    }
}

/// What [`Driver::soak`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoakReport {
    /// Calls of `ping`.
    pub pings: u32,
    /// Calls of `echo-bytes`.
    pub echoes: u32,
    /// Calls of `echo-strings`.
    pub strings: u32,
    /// Calls of `echo-record`.
    pub records: u32,
    /// The bytes that were sent by `echo-bytes` and `echo-strings`.
    pub bytes: u64,
    /// How long the longest call took, as the caller measured it.
    pub longest: Duration,
    /// How many answers were not what they should have been.
    pub wrong: u32,
    /// The first of them, in words.
    pub first_wrong: Option<String>,
}

/// A [`SoakReport`] as it is encoded.
type EncodedSoakReport = (u32, u32, u32, u32, u64, u64, u32, Option<String>);

/// The caller component, called from outside: `inhost:demo/driver`. Each method makes the caller call the
/// callee.
///
/// Each fails when the call of the caller itself fails, which is also how a call that traps inside it shows.
#[derive(Clone, Debug)]
pub struct Driver(Peer);

impl Driver {
    /// The driver at `peer`. Calls may take as long as the peer's deadline says.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self(peer)
    }

    /// The same driver, with another limit for the duration of a call.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self(self.0.with_deadline(deadline))
    }

    /// The component that this calls.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0
    }

    /// Makes the caller do `calls` calls one after the other. `size` is the number of bytes of an
    /// [`Echo`](Workload::Echo), and of strings of [`Strings`](Workload::Strings); the other workloads have no use
    /// for it. Returns the duration of each call in nanoseconds, as the caller measured it.
    ///
    /// # Errors
    ///
    /// When a call fails or its answer is wrong.
    pub async fn run(&self, workload: Workload, size: u32, calls: u32) -> anyhow::Result<Vec<u64>> {
        let params = (workload.number(), size, calls);
        let (durations,): (Result<Vec<u64>, String>,) = self.0.call(DRIVER, "run", params).await?;
        durations.map_err(|reason| anyhow::anyhow!("the caller says: {reason}"))
    }

    /// Passes each kind of WIT value to the callee and back. Returns, for each call, the function and the case,
    /// and a text that begins with `equal: ` if the same value came back, else with `DIFFERENT: `.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub async fn shapes(&self) -> anyhow::Result<Vec<(String, String)>> {
        let (shapes,): (Vec<(String, String)>,) = self.0.call(DRIVER, "shapes", ()).await?;
        Ok(shapes)
    }

    /// The callee's `ping`: `n + 1`.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub async fn ping(&self, n: u32) -> anyhow::Result<u32> {
        let (n,): (u32,) = self.0.call(DRIVER, "ping", (n,)).await?;
        Ok(n)
    }

    /// The callee's `echo-bytes`: the same bytes.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub async fn echo_bytes(&self, bytes: Bytes) -> anyhow::Result<Bytes> {
        let (bytes,): (Bytes,) = self.0.call(DRIVER, "echo-bytes", (bytes,)).await?;
        Ok(bytes)
    }

    /// `ping` of the component that the link named `link` leads to. The inner error is the caller's own: there
    /// is no such link.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub async fn ping_via(&self, link: &str, n: u32) -> anyhow::Result<Result<u32, String>> {
        let (n,): (Result<u32, String>,) = self
            .0
            .call(DRIVER, "ping-via", (link.to_owned(), n))
            .await?;
        Ok(n)
    }

    /// Makes the callee trap with `message`.
    ///
    /// # Errors
    ///
    /// Always, if the callee does as it should.
    pub async fn call_trap(&self, message: &str) -> anyhow::Result<u32> {
        let (n,): (u32,) = self
            .0
            .call(DRIVER, "call-trap", (message.to_owned(),))
            .await?;
        Ok(n)
    }

    /// Makes the callee wait for `milliseconds` before it answers.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub async fn call_wait(&self, milliseconds: u32) -> anyhow::Result<u32> {
        let (n,): (u32,) = self.0.call(DRIVER, "call-wait", (milliseconds,)).await?;
        Ok(n)
    }

    /// Makes the callee count `id` at the [`Tally`](crate::Tally). Returns how often it has been counted.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub async fn call_count(&self, id: u64) -> anyhow::Result<u64> {
        let (count,): (u64,) = self.0.call(DRIVER, "call-count", (id,)).await?;
        Ok(count)
    }

    /// Makes the caller do `calls` calls one after the other. Which they are and what they send, from nothing to
    /// 1 MiB, follows from `seed`. Returns what was done, wrong answers included.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub async fn soak(&self, seed: u64, calls: u32) -> anyhow::Result<SoakReport> {
        let (report,): (EncodedSoakReport,) = self.0.call(DRIVER, "soak", (seed, calls)).await?;
        let (pings, echoes, strings, records, bytes, longest, wrong, first_wrong) = report;
        Ok(SoakReport {
            pings,
            echoes,
            strings,
            records,
            bytes,
            longest: Duration::from_nanos(longest),
            wrong,
            first_wrong,
        })
    }

    /// The version of the callee: 1, or 2 for [`Guest::CalleeV2`](crate::Guest::CalleeV2).
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub async fn call_version(&self) -> anyhow::Result<u32> {
        let (version,): (u32,) = self.0.call(DRIVER, "call-version", ()).await?;
        Ok(version)
    }

    /// Makes the caller call `note`, a function without results, with which the callee counts `id` at the
    /// [`Tally`](crate::Tally). Returns when that lets the caller go on, which may be before the callee has run.
    ///
    /// # Errors
    ///
    /// When a call fails.
    pub async fn call_note(&self, id: u64) -> anyhow::Result<()> {
        let (_id,): (u64,) = self.0.call(DRIVER, "call-note", (id,)).await?;
        Ok(())
    }

    /// Calls `inhost:demo/absent`, to be linked to a component that does not export it.
    ///
    /// # Errors
    ///
    /// Always, if the host does as it should.
    pub async fn call_absent(&self) -> anyhow::Result<u32> {
        let (n,): (u32,) = self.0.call(DRIVER, "call-absent", ()).await?;
        Ok(n)
    }

    /// Calls `inhost:demo/unlinked`, for which there is to be no link.
    ///
    /// # Errors
    ///
    /// Always, if the host does as it should.
    pub async fn call_unlinked(&self) -> anyhow::Result<u32> {
        let (n,): (u32,) = self.0.call(DRIVER, "call-unlinked", ()).await?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::NatsServer;

    #[tokio::test]
    async fn run_passes_its_parameters_and_reads_the_durations() {
        let server = NatsServer::start().await.unwrap();
        let nats = server.client().await.unwrap();
        let peer = Peer::new(&nats, "lattice", CALLER).await.unwrap();
        let _served = peer
            .serve(
                DRIVER,
                "run",
                |(workload, size, calls): (u8, u32, u32)| async move {
                    (match workload {
                        1 => Ok(vec![u64::from(size); calls as usize]),
                        other => Err(format!("workload {other}")),
                    },)
                },
            )
            .await
            .unwrap();
        let driver = Driver::new(peer);
        let durations = driver.run(Workload::Echo, 1 << 20, 3).await.unwrap();
        assert_eq!(durations, [1 << 20; 3]);
        let error = driver.run(Workload::Ping, 0, 3).await.unwrap_err();
        assert!(error.to_string().contains("workload 0"));
    }

    #[tokio::test]
    async fn soak_reads_what_the_caller_did() {
        let server = NatsServer::start().await.unwrap();
        let nats = server.client().await.unwrap();
        let peer = Peer::new(&nats, "lattice", CALLER).await.unwrap();
        let _served = peer
            .serve(DRIVER, "soak", |(seed, calls): (u64, u32)| async move {
                let wrong = Some(format!("seed {seed}"));
                ((calls, 2_u32, 3_u32, 4_u32, 5_u64, 6_u64, 7_u32, wrong),)
            })
            .await
            .unwrap();
        let expected = SoakReport {
            pings: 1,
            echoes: 2,
            strings: 3,
            records: 4,
            bytes: 5,
            longest: Duration::from_nanos(6),
            wrong: 7,
            first_wrong: Some("seed 99".to_owned()),
        };
        assert_eq!(Driver::new(peer).soak(99, 1).await.unwrap(), expected);
    }
}
