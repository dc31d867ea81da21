//! The component that calls: `inhost:demo/driver` says what.

wit_bindgen::generate!({
    path: "../wit",
    world: "caller",
    additional_derives: [PartialEq],
    generate_all,
});

mod plan;
mod run;
mod shapes;
mod soak;
mod values;

use exports::inhost::demo::driver::{Guest, SoakReport, Workload};
use inhost::demo::{absent, echo, unlinked};
use wasmcloud::bus::lattice::{set_link_name, CallTargetInterface};

struct Caller;

export!(Caller);

impl Guest for Caller {
    fn run(workload: Workload, size: u32, calls: u32) -> Result<Vec<u64>, String> {
        run::run(workload, size, calls)
    }

    fn shapes() -> Vec<(String, String)> {
        shapes::all()
    }

    fn soak(seed: u64, calls: u32) -> SoakReport {
        soak::soak(seed, calls)
    }

    fn ping_via(link: String, n: u32) -> Result<u32, String> {
        use_link(&link)?;
        let answer = echo::ping(n);
        // The host keeps the choice for all instances of this component, beyond this call.
        use_link("default")?;
        Ok(answer)
    }

    fn ping(n: u32) -> u32 {
        echo::ping(n)
    }

    fn echo_bytes(data: Vec<u8>) -> Vec<u8> {
        echo::echo_bytes(&data)
    }

    fn call_trap(message: String) -> u32 {
        echo::trap(&message)
    }

    fn call_wait(ms: u32) -> u32 {
        echo::wait(ms)
    }

    fn call_count(id: u64) -> u64 {
        echo::count(id)
    }

    fn call_version() -> u32 {
        echo::version()
    }

    fn call_note(id: u64) -> u64 {
        echo::note(id);
        id
    }

    fn call_absent() -> u32 {
        absent::nothing()
    }

    fn call_unlinked() -> u32 {
        unlinked::nothing()
    }
}

/// From now on, calls of `echo` take the link of this name.
fn use_link(name: &str) -> Result<(), String> {
    let echo = CallTargetInterface::new("inhost", "demo", "echo");
    set_link_name(name, vec![echo])
}
