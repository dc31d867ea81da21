//! Two components in one process: one calls the other, and this program calls both.
//!
//! ```console
//! $ cargo run --package inhost-lattice --example local_lattice
//! ```

// It is a program.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use inhost_lattice::{Link, LocalLattice, Val, Wasm};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lattice = LocalLattice::builder()
        .component("caller", guest("caller"))
        .component("callee", guest("callee"))
        .link(Link::new("caller", "callee", "inhost:demo/echo"))
        .build()
        .await?;
    println!("calls are carried by {}", lattice.backend());

    // Looked up once, called any number of times; the caller passes it on to the callee.
    let ping = lattice.function("caller", "inhost:demo/driver.ping")?;
    println!("{ping}");
    for n in [1, 41] {
        println!("  {n} -> {:?}", ping.call(&[Val::U32(n)]).await?);
    }

    // Values as text.
    for (function, argument) in [
        ("echo-string", r#""hello""#),
        ("echo-option", r#"some("a value")"#),
        ("echo-variant", "radius(7)"),
    ] {
        let name = format!("inhost:demo/echo.{function}");
        let results = lattice.call_wave("callee", &name, &[argument]).await?;
        println!("{function}({argument}) -> {}", results.join(", "));
    }

    // What goes wrong says what to do.
    let wrong = lattice.call_wave("callee", "inhost:demo/echo.ping", &["many"]);
    if let Err(error) = wrong.await {
        println!("error: {error}");
    }

    let watch = lattice.watch();
    println!("{} calls were made", watch.calls());
    lattice.stop().await;
    println!(
        "{} functions are served, {} calls run",
        watch.served(),
        watch.in_flight()
    );
    Ok(())
}

/// A component that is committed in this repository.
fn guest(name: &str) -> Wasm {
    let guests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../guests");
    Wasm::file(guests.join(name).join(format!("{name}.wasm")))
}
