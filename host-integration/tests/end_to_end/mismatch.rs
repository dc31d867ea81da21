//! A callee whose function has another type than its caller thinks.
//!
//! wRPC sends values without their types. Over NATS, most mismatches show when the bytes are read,
//! and are errors; some do not, and then something else is read than was meant. A local call
//! compares the types before the function runs.

use std::path::Path;

use inhost_testbed::{
    stock_host, Deployment, Driver, Guest, Host, HostBuilder, CALLEE, CALLER, ECHO,
};
use tempfile::TempDir;

use crate::support::{component, nats, until, Hosts as _, Route, PROMPTLY};

/// How often something is tried over NATS, where upstream's transport loses a message now and then (see guarantees.md,
/// "Calls over NATS"): then the call hangs, or ends without results.
const ATTEMPTS: usize = 5;

/// A callee with another `ping`, which should be `func(n: u32) -> u32`.
struct Mistaken {
    what: &'static str,
    /// Parameters and results, in component model text.
    ty: &'static str,
    /// The core function, in WebAssembly text. It has a memory, with `abcdef` at its start.
    core: &'static str,
    /// What strings are passed through.
    options: &'static str,
    /// How an error shows the types.
    shown: &'static str,
    /// Whether bytes that are read as another type than they were written as make a value.
    bytes_fit: bool,
}

const MEMORY: &str = r#"(memory $core "memory") (realloc (func $core "realloc"))"#;

const STRING_TO_STRING: Mistaken = Mistaken {
    what: "takes a string and answers it",
    ty: r#"(param "n" string) (result string)"#,
    core: "(param i32 i32) (result i32)
        (i32.store (i32.const 16) (local.get 0)) (i32.store (i32.const 20) (local.get 1)) (i32.const 16)",
    options: MEMORY,
    shown: "func(string) -> (string)",
    bytes_fit: false,
};

const ANSWERS_STRING: Mistaken = Mistaken {
    what: "answers \"abc\"",
    ty: r#"(param "n" u32) (result string)"#,
    core: "(param i32) (result i32)
        (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (i32.const 3)) (i32.const 16)",
    options: MEMORY,
    shown: "func(u32) -> (string)",
    bytes_fit: true,
};

const ANSWERS_NOTHING: Mistaken = Mistaken {
    what: "answers nothing",
    ty: r#"(param "n" u32)"#,
    core: "(param i32)",
    options: "",
    shown: "func(u32) -> ()",
    bytes_fit: false,
};

const ANSWERS_A_FRACTION: Mistaken = Mistaken {
    what: "answers a fraction",
    ty: r#"(param "n" u32) (result f64)"#,
    core: "(param i32) (result f64) (f64.reinterpret_i64 (i64.const 0xbfffffffffffffff))",
    options: "",
    shown: "func(u32) -> (f64)",
    bytes_fit: false,
};

const TAKES_MORE: Mistaken = Mistaken {
    what: "takes two numbers",
    ty: r#"(param "n" u32) (param "m" u32) (result u32)"#,
    core: "(param i32 i32) (result i32) (local.get 0)",
    options: "",
    shown: "func(u32, u32) -> (u32)",
    bytes_fit: false,
};

const TAKES_NOTHING: Mistaken = Mistaken {
    what: "takes nothing and answers 77",
    ty: "(result u32)",
    core: "(result i32) (i32.const 77)",
    options: "",
    shown: "func() -> (u32)",
    bytes_fit: true,
};

impl Mistaken {
    /// Writes the component to `folder` and returns the reference by which a host starts it.
    fn write_to(&self, folder: &Path) -> String {
        let Self {
            ty, core, options, ..
        } = self;
        let text = format!(
            r#"(component
                (core module $module
                    (memory (export "memory") 1)
                    (data (i32.const 0) "abcdef")
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                    (func (export "ping") {core}))
                (core instance $core (instantiate $module))
                (func $ping {ty} (canon lift (core func $core "ping") {options}))
                (instance $echo (export "ping" (func $ping)))
                (export "{ECHO}" (instance $echo)))"#
        );
        component(folder, "mistaken.wasm", &text)
    }
}

/// A host with the caller, linked to a callee that is still to be deployed.
struct Stage {
    name: String,
    deployment: Deployment,
    driver: Driver,
    folder: TempDir,
    local: bool,
}

impl Stage {
    async fn start(name: String, host: HostBuilder, local: bool) -> Self {
        let deployment = host.start_on(&nats().await).await;
        let deployed = deployment.deploy(Guest::Caller, CALLER, 10).await;
        deployed.expect("deployed");
        let linked = deployment.link(CALLER, CALLEE, "echo").await;
        linked.expect("linked");
        Self {
            name,
            driver: deployment.driver().await.expect("the caller"),
            deployment,
            folder: tempfile::tempdir().expect("a folder"),
            local,
        }
    }

    /// One for each route, and one with a stock host.
    async fn each() -> Vec<Self> {
        let mut stages = Vec::new();
        for route in Route::OURS {
            let name = format!("over {route:?}");
            stages.push(Self::start(name, route.host(), route != Route::Nats).await);
        }
        let stock = tokio::task::spawn_blocking(stock_host).await;
        let stock = stock.expect("no panic").expect("there is a stock host");
        let stock = Host::stock(stock).lattice("stock");
        stages.push(Self::start("on a stock host".to_owned(), stock, false).await);
        stages
    }

    /// Replaces the callee.
    async fn deploy(&self, reference: &str) {
        let Self { deployment, .. } = self;
        let host = deployment.host();
        if deployment.served(CALLEE).await.expect("a number") > 0 {
            let stopped = deployment.control().stop_component(host.id(), CALLEE).await;
            stopped.expect("stopped");
            until("the callee before is not gone", async || {
                deployment.served(CALLEE).await.expect("a number") == 0
            })
            .await;
        }
        let deployed = deployment.deploy_on(host, reference, CALLEE, 10).await;
        deployed.expect("deployed");
    }

    /// What the caller's `ping(n)` comes to, which is an error unless `wanted` is an answer.
    async fn ping(&self, what: &str, n: u32, wanted: Option<u32>) {
        let attempts = if self.local { 1 } else { ATTEMPTS };
        let mut seen = String::new();
        for _ in 0..attempts {
            match tokio::time::timeout(PROMPTLY, self.driver.ping(n)).await {
                Ok(Ok(answer)) if wanted == Some(answer) => return,
                Ok(Err(_)) if wanted.is_none() => return,
                // No loss of a message makes this.
                Ok(Ok(answer)) => {
                    panic!("{}, a callee that {what} answers {answer}", self.name)
                }
                Ok(Err(error)) => seen = format!("{error:#}"),
                Err(_) => "the call hangs".clone_into(&mut seen),
            }
        }
        panic!("{}, a callee that {what}: {seen}", self.name);
    }
}

#[tokio::test]
async fn a_callee_of_another_type_is_an_error_at_once() -> anyhow::Result<()> {
    for stage in Stage::each().await {
        for mistaken in [
            STRING_TO_STRING,
            ANSWERS_NOTHING,
            ANSWERS_A_FRACTION,
            TAKES_MORE,
            ANSWERS_STRING,
            TAKES_NOTHING,
        ] {
            let (name, what) = (&stage.name, mistaken.what);
            if mistaken.bytes_fit && !stage.local {
                continue;
            }
            stage.deploy(&mistaken.write_to(stage.folder.path())).await;
            let before = stage.deployment.host().log_lines().len();
            stage.ping(what, 1, None).await;
            if !stage.local {
                continue;
            }
            let function = format!("{ECHO}.ping");
            let parts = [
                &*function,
                "the types of the function differ",
                "func(u32) -> (u32)",
                mistaken.shown,
            ];
            let missing = format!("{name}, the log does not say what differs: {what}");
            until(&missing, async || {
                let lines = stage.deployment.host().log_lines();
                let new = lines[before..].join("\n");
                parts.iter().all(|part| new.contains(part))
            })
            .await;
        }
        // The caller is as good as before.
        let right = Guest::Callee.reference()?;
        stage.deploy(&right).await;
        stage.ping("is as it should be", 1, Some(2)).await;
    }
    Ok(())
}

#[tokio::test]
async fn what_the_bytes_do_not_tell_is_read_as_on_a_stock_host_over_nats() {
    for stage in Stage::each().await {
        if stage.local {
            continue;
        }
        for (mistaken, n, expected) in [
            // The length of an empty string is a zero, there and back.
            (STRING_TO_STRING, 0, 0),
            // A length is a number; what follows the value is not read.
            (ANSWERS_STRING, 1, 3),
            // Nor are parameters that no one asks for.
            (TAKES_NOTHING, 1, 77),
        ] {
            stage.deploy(&mistaken.write_to(stage.folder.path())).await;
            stage.ping(mistaken.what, n, Some(expected)).await;
        }
    }
}
