//! The flags that this host adds: how calls between components on this host are made.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};

use clap::Args;
use wrpc_transport_nats::local::{BackendKind, Config, HttpName, Mode};

use crate::subject;

use super::values::{each_once, memory_of_machine, socket_address, whole};

/// What these flags stand under in the help.
pub(super) const HEADING: &str = "In-host invocation";

#[derive(Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct LocalArgs {
    /// How to call a component: `prefer` (in memory when it runs on this host, else over NATS),
    /// `require` (in memory; an error when it does not run on this host) or `off` (always over
    /// NATS)
    #[arg(
        long = "local-dispatch",
        value_name = "MODE",
        env = "WASMCLOUD_LOCAL_DISPATCH",
        default_value_t = Mode::Prefer
    )]
    pub(crate) mode: Mode,

    /// How to call one component, given by its ID, whatever `--local-dispatch` says; may be given more than once
    ///
    /// In the environment variable, several are separated by commas: `ID=MODE,ID=MODE`.
    #[arg(
        long = "local-dispatch-target",
        value_name = "ID=MODE",
        env = "WASMCLOUD_LOCAL_DISPATCH_TARGETS",
        value_delimiter = ',',
        value_parser = target_mode
    )]
    pub(crate) targets: Vec<(String, Mode)>,

    /// Answer the HTTP requests that components make to a host name by a component of this host,
    /// given by its ID, in memory; may be given more than once
    ///
    /// NAME is a host name, and a port where that is not the one of the scheme:
    /// `orders.local=orders`, `orders.local:8080=orders`. The component has to be offered under the
    /// same name, by the value `local-http` of its configuration. Other requests go to the HTTP
    /// client provider, as do all while the component does not run here. In the environment
    /// variable, several are separated by commas: `NAME=ID,NAME=ID`.
    #[arg(
        long = "local-http",
        value_name = "NAME=ID",
        env = "WASMCLOUD_LOCAL_HTTP",
        value_delimiter = ',',
        value_parser = http_target
    )]
    pub(crate) http: Vec<(HttpName, String)>,

    /// What carries the bytes of a call in memory: `duplex` or `mpsc`
    ///
    /// A backend has to be compiled in, with the cargo feature of its name. Without this flag it is `duplex` where
    /// that is compiled in, else `mpsc` where that is, else none: then every call goes over NATS.
    #[arg(
        long = "local-backend",
        value_name = "BACKEND",
        env = "WASMCLOUD_LOCAL_BACKEND",
        value_parser = compiled_in_backend
    )]
    pub(crate) backend: Option<BackendKind>,

    /// Bytes that one in-memory stream holds before its writer has to wait, at least 1
    ///
    /// A call has at most two streams, one for parameters and one for results, and one more for each nested stream.
    #[arg(
        long = "local-buffer-bytes",
        value_name = "BYTES",
        env = "WASMCLOUD_LOCAL_BUFFER_BYTES",
        default_value = "65536",
        value_parser = buffer_bytes
    )]
    pub(crate) buffer_bytes: NonZeroUsize,

    /// Invocations that may wait at one function before further ones go over NATS, at least 1
    #[arg(
        long = "local-queue-invocations",
        value_name = "COUNT",
        env = "WASMCLOUD_LOCAL_QUEUE_INVOCATIONS",
        default_value = "1024",
        value_parser = invocations
    )]
    pub(crate) queue_invocations: NonZeroUsize,

    /// Bytes of parameters that may wait at one function before further invocations go over NATS, at least 1; 64 MiB
    /// unless set
    #[arg(
        long = "local-queue-bytes",
        value_name = "BYTES",
        env = "WASMCLOUD_LOCAL_QUEUE_BYTES",
        default_value = "67108864",
        value_parser = queue_bytes
    )]
    pub(crate) queue_bytes: usize,

    /// Let an instance of one component, given by its ID, serve up to N invocations instead of one;
    /// may be given more than once
    ///
    /// Calls become faster, and a component is no longer isolated from its own earlier invocations:
    /// what one leaves in the guest's memory, the next one in the same instance finds. An instance
    /// serves one invocation at a time, and is dropped after a failure. In the environment
    /// variable, several are separated by commas: `ID=N,ID=N`.
    #[arg(
        long = "reuse-instances",
        value_name = "ID=N",
        env = "WASMCLOUD_REUSE_INSTANCES",
        value_delimiter = ',',
        value_parser = target_calls
    )]
    pub(crate) reuse: Vec<(String, NonZeroU32)>,

    /// Microseconds for which an idle thread waits for the next call while calls come one by one,
    /// before it goes to sleep; up to 10000, and 0 to turn that off
    ///
    /// Such calls then stay on one processor. Only one thread waits at a time, at most 10 times in
    /// a row, and not while it sees a function with several calls in flight. Other work that it
    /// could have taken is delayed by no more.
    #[arg(
        long = "local-linger-us",
        value_name = "MICROSECONDS",
        env = "WASMCLOUD_LOCAL_LINGER_US",
        default_value_t = 200,
        value_parser = linger
    )]
    pub(crate) linger_us: u64,

    /// Seconds for which calls in flight may go on when the host is told to stop, up to 3600
    ///
    /// No call is taken over NATS then; calls that wait are run. What has not come to its end is
    /// ended with an error. A stop command that comes with a time of its own may shorten it; a
    /// second SIGTERM or Ctrl-C ends it.
    #[arg(
        long = "drain-seconds",
        value_name = "SECONDS",
        env = "WASMCLOUD_DRAIN_SECONDS",
        default_value_t = 15,
        value_parser = drain
    )]
    pub(crate) drain_seconds: u64,

    /// IP address and port of a read-only listing of in-host invocation, over HTTP: JSON at
    /// `GET /`, and a page for people at `GET /ui`; off without it
    ///
    /// It shows counters, the functions that this host serves or calls, and the slowest recent
    /// calls, to anyone who can connect: choose a loopback address, or one that only operators
    /// reach. With port 0 the system picks a port, which is logged. A browser gets the page at `/`,
    /// too.
    #[arg(
        long = "local-status",
        value_name = "ADDR",
        env = "WASMCLOUD_LOCAL_STATUS",
        value_parser = socket_address
    )]
    pub(crate) status: Option<SocketAddr>,

    /// Publish a record of each call in memory on a NATS subject, without its payload; off without it. The subject is
    /// `wasmbus.local.{lattice}.tap` when none is given
    ///
    /// `{lattice}` stands for the name of the lattice. A record is a JSON object: subject, headers,
    /// sizes, duration and outcome of the call. Records that cannot be published in time are
    /// dropped, and counted. In the environment variable, `true` stands for the subject that is
    /// used when none is given, and `false` for none.
    #[arg(
        long = "local-dispatch-tap",
        value_name = "SUBJECT",
        env = "WASMCLOUD_LOCAL_DISPATCH_TAP",
        num_args = 0..=1,
        // So that what follows on the command line is not taken for the subject.
        require_equals = true,
        default_missing_value = "true",
        value_parser = tap_subject
    )]
    pub(crate) tap: Option<TapSubject>,
}

/// Where records of calls go when no subject is given.
const TAP_SUBJECT: &str = "wasmbus.local.{lattice}.tap";

impl LocalArgs {
    /// The transport's configuration.
    pub(crate) fn config(&self) -> Config {
        Config {
            mode: self.mode,
            targets: self.targets.iter().cloned().collect(),
            backend: self.backend,
            buffer_bytes: self.buffer_bytes,
            queue_invocations: self.queue_invocations,
            queue_bytes: self.queue_bytes,
            // Other flags say that.
            receive_within: None,
            steerable: false,
            receive_bytes: None,
            http: self.http.iter().cloned().collect(),
        }
    }

    /// Checks what no parser of one value can see.
    ///
    /// # Errors
    ///
    /// When a flag says two things of a component, or of a host name.
    pub(crate) fn check(&self) -> Result<(), String> {
        let targets = self.targets.iter().map(|(id, _)| id);
        each_once("--local-dispatch-target", targets)?;
        let names: Vec<_> = self.http.iter().map(|(name, _)| name).collect();
        if let Some((one, other)) = first_overlap(&names) {
            let why = match one == other {
                true => format!("gives the host name `{one}` to more than one component"),
                false => format!(
                    "has `{one}` and `{other}`, and a request can go to both: without a port, a name is the one at port 80 \
                     for `http`, and at 443 for `https`"
                ),
            };
            return Err(format!(
                "`--local-http` {why}. Give each name once, as in `orders.local=orders`"
            ));
        }
        each_once("--reuse-instances", self.reuse.iter().map(|(id, _)| id))
    }
}

impl LocalArgs {
    /// The IDs of components that flags name, with the flags.
    pub(crate) fn named(&self) -> Vec<(&'static str, String)> {
        let targets = self
            .targets
            .iter()
            .map(|(id, _)| ("--local-dispatch-target", id));
        let reuse = self.reuse.iter().map(|(id, _)| ("--reuse-instances", id));
        let http = self.http.iter().map(|(_, id)| ("--local-http", id));
        let named = targets.chain(reuse).chain(http);
        named.map(|(flag, id)| (flag, id.clone())).collect()
    }
}

/// What the tap was given: a subject, or that there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TapSubject(Option<String>);

impl LocalArgs {
    /// The subject of the tap, if it is on.
    pub(crate) fn tap_subject(&self) -> Option<&str> {
        self.tap.as_ref()?.0.as_deref()
    }
}

/// Parses the subject of the tap. The name of the lattice is not known yet.
fn tap_subject(text: &str) -> Result<TapSubject, String> {
    // As clap reads a flag that is on or off. An empty text is neither here.
    let subject = match text.to_ascii_lowercase().as_str() {
        "false" | "f" | "no" | "n" | "off" | "0" => return Ok(TapSubject(None)),
        "true" | "t" | "yes" | "y" | "on" | "1" => TAP_SUBJECT,
        _ => text,
    };
    let named = subject.replace("{lattice}", "lattice");
    subject::require_publishable("--local-dispatch-tap", &named)
        .map(|()| TapSubject(Some(subject.to_owned())))
        .map_err(|_| {
            "it is not a NATS subject to publish to: use letters, digits, `_`, `-` and `{lattice}`, in tokens separated by \
             single dots"
                .to_owned()
        })
}

/// Parses how many bytes a stream holds.
fn buffer_bytes(text: &str) -> Result<NonZeroUsize, String> {
    let most = NonZeroUsize::new(memory_of_machine()).unwrap_or(NonZeroUsize::MAX);
    whole(
        text,
        NonZeroUsize::MIN..=most,
        "bytes",
        "`65536` for 64 KiB",
    )
}

/// Parses how many bytes of parameters wait. With 0, one call waits and no more: that is said in invocations.
fn queue_bytes(text: &str) -> Result<usize, String> {
    whole(
        text,
        1..=memory_of_machine(),
        "bytes",
        "`67108864` for 64 MiB",
    )
}

/// The least that a call takes that waits, in bytes.
const A_CALL: usize = 1024;

/// Parses how many invocations wait: as many as the machine has memory for, at most.
fn invocations(text: &str) -> Result<NonZeroUsize, String> {
    let most = NonZeroUsize::new(memory_of_machine() / A_CALL).unwrap_or(NonZeroUsize::MAX);
    whole(text, NonZeroUsize::MIN..=most, "invocations", "`1024`")
}

/// The longest time that a thread may be asked to wait, in microseconds. Others would miss it.
const LONGEST_LINGER: u64 = 10_000;

/// Parses for how many microseconds an idle thread waits.
fn linger(text: &str) -> Result<u64, String> {
    whole(text, 0..=LONGEST_LINGER, "microseconds", "`200`")
}

/// The longest time for which a host may be asked to go on, in seconds.
const LONGEST_DRAIN: u64 = 3600;

/// Parses for how many seconds calls go on when the host is to stop.
fn drain(text: &str) -> Result<u64, String> {
    whole(text, 0..=LONGEST_DRAIN, "seconds", "`15`")
}

/// Parses the ID of a component and the mode of calls to it.
fn target_mode(text: &str) -> Result<(String, Mode), String> {
    let (id, mode) = target(text, "ID=MODE, as in `payments=require`")?;
    let mode = mode.parse().map_err(|error| format!("{error}"))?;
    Ok((id, mode))
}

/// The first two names that one request can go to.
fn first_overlap<'a>(names: &[&'a HttpName]) -> Option<(&'a HttpName, &'a HttpName)> {
    let mut pairs = names.iter().enumerate().flat_map(|(at, other)| {
        let before = names[..at].iter();
        before.map(move |one| (*one, *other))
    });
    pairs.find(|(one, other)| one.overlaps(other))
}

/// Parses a host name and the ID of the component that answers requests to it.
fn http_target(text: &str) -> Result<(HttpName, String), String> {
    let mut parts = text.split('=');
    let (Some(name), Some(id), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it has the form NAME=ID, as in `orders.local=orders`".to_owned());
    };
    let name = name.parse().map_err(|error| format!("{error}"))?;
    component_id(id)?;
    Ok((name, id.into()))
}

/// Parses the ID of a component and how many invocations an instance of it serves.
fn target_calls(text: &str) -> Result<(String, NonZeroU32), String> {
    let (id, calls) = target(text, "ID=N, as in `payments=1000`")?;
    let calls = calls.parse().map_err(|_| {
        format!(
            "`{calls}` is no number of invocations: use one from 1 to {}, without a unit, as in `payments=1000`",
            u32::MAX
        )
    })?;
    Ok((id, calls))
}

/// Parses the ID of a component and what follows it.
fn target<'a>(text: &'a str, form: &str) -> Result<(String, &'a str), String> {
    let (id, what) = text
        .split_once('=')
        .ok_or_else(|| format!("it has the form {form}"))?;
    component_id(id)?;
    Ok((id.into(), what))
}

/// Checks that `id` is one that a component can have.
fn component_id(id: &str) -> Result<(), String> {
    // What cannot be a part of a NATS subject.
    let invalid = |c: char| c.is_whitespace() || matches!(c, '.' | '*' | '>');
    if id.is_empty() || id.contains(invalid) {
        return Err(format!(
            "`{id}` is no component ID: it is empty, or has a space, `.`, `*` or `>` in it. Use one like `orders`"
        ));
    }
    Ok(())
}

/// Parses the name of a backend and refuses one that this binary was built without.
///
/// Here rather than later, so that it is reported like any other bad value, before the host connects to anything.
fn compiled_in_backend(name: &str) -> Result<BackendKind, String> {
    let backend: BackendKind = name.parse().map_err(|error| format!("{error}"))?;
    if backend.is_compiled_in() {
        return Ok(backend);
    }
    let otherwise = match BackendKind::compiled_in() {
        [] => "leave the flag out to send every call over NATS".to_string(),
        [other, ..] => format!("choose `--local-backend {other}`"),
    };
    Err(format!(
        "this binary was built without the `{backend}` backend; rebuild with `cargo build --features {}` or {otherwise}",
        backend.feature()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tap_is_turned_off_and_on_by_what_means_that() {
        for off in ["false", "False", "0", "no", "off", "n", "f"] {
            assert_eq!(tap_subject(off), Ok(TapSubject(None)), "{off}");
        }
        for on in ["true", "TRUE", "1", "yes", "on", "y", "t"] {
            let subject = TapSubject(Some(TAP_SUBJECT.to_owned()));
            assert_eq!(tap_subject(on), Ok(subject), "{on}");
        }
        let subject = TapSubject(Some("calls.{lattice}".to_owned()));
        assert_eq!(tap_subject("calls.{lattice}"), Ok(subject));
        assert!(tap_subject("").is_err());
    }
}
