//! A caller and a callee whose types of a function differ, but not in what a peer reads: the calls
//! go as they do over NATS.

use inhost_testbed::{Deployment, CALLEE, CALLER, ECHO};

use crate::support::{component, nats, on_routes, Hosts as _, Route};

on_routes! { OURS:
    types_that_read_each_other_on_the_wire_do_so_in_memory,
}

/// A function that passes one number, of a type that is one core value.
struct Pair {
    /// As the caller has it, and as the callee does: parameter and result, in component model text.
    caller: &'static str,
    callee: &'static str,
    /// What is sent, and what comes back: `None` for an error.
    calls: &'static [(u32, Option<u32>)],
}

const PAIRS: [Pair; 10] = [
    Pair {
        caller: r#"(enum "a" "b" "c" "d")"#,
        callee: r#"(enum "a" "b" "c")"#,
        calls: &[(2, Some(2)), (3, None), (0, Some(0))],
    },
    Pair {
        caller: r#"(enum "a" "b" "c")"#,
        callee: r#"(enum "a" "b" "c" "d")"#,
        calls: &[(0, Some(0)), (2, Some(2))],
    },
    Pair {
        caller: r#"(variant (case "a") (case "b") (case "c") (case "d"))"#,
        callee: r#"(enum "a" "b")"#,
        calls: &[(1, Some(1)), (2, None), (3, None), (1, Some(1))],
    },
    Pair {
        caller: r#"(flags "a" "b" "c" "d")"#,
        callee: r#"(flags "a" "b" "c")"#,
        calls: &[(0b0101, Some(0b0101)), (0b1111, Some(0b0111))],
    },
    Pair {
        caller: r#"(record (field "n" u32))"#,
        callee: "u32",
        calls: &[(7, Some(7)), (u32::MAX, Some(u32::MAX))],
    },
    Pair {
        caller: "u32",
        callee: "(tuple (tuple u16))",
        calls: &[(65_535, Some(65_535)), (65_536, None)],
    },
    Pair {
        caller: "bool",
        callee: r#"(enum "no" "yes")"#,
        calls: &[(0, Some(0)), (1, Some(1))],
    },
    Pair {
        caller: r#"(flags "a" "b" "c" "d" "e" "f" "g" "h")"#,
        callee: "u8",
        calls: &[(0x80, Some(0x80)), (0xff, Some(0xff)), (0, Some(0))],
    },
    Pair {
        caller: "bool",
        callee: "u8",
        calls: &[(0, Some(0)), (1, Some(1))],
    },
    Pair {
        caller: "u32",
        callee: r#"(enum "a" "b" "c")"#,
        calls: &[(2, Some(2)), (3, None), (u32::MAX, None)],
    },
];

/// The caller: `inhost:demo/driver.ping`, whose number it passes on.
fn caller(ty: &str) -> String {
    format!(
        r#"(component
            (import "{ECHO}" (instance $echo
                (type $t' {ty}) (export "t" (type $t (eq $t')))
                (export "ping" (func (param "n" $t) (result $t)))))
            (core func $ping (canon lower (func $echo "ping")))
            (core module $module
                (import "echo" "ping" (func $ping (param i32) (result i32)))
                (func (export "ping") (param i32) (result i32) (call $ping (local.get 0))))
            (core instance $core (instantiate $module
                (with "echo" (instance (export "ping" (func $ping))))))
            (func $run (param "n" u32) (result u32) (canon lift (core func $core "ping")))
            (instance $driver (export "ping" (func $run)))
            (export "inhost:demo/driver@0.1.0" (instance $driver)))"#
    )
}

/// The callee, which answers what it was sent.
fn callee(ty: &str) -> String {
    format!(
        r#"(component
            (type $t' {ty}) (export $t "t" (type $t'))
            (core module $module (func (export "ping") (param i32) (result i32) (local.get 0)))
            (core instance $core (instantiate $module))
            (func $ping (param "n" $t) (result $t) (canon lift (core func $core "ping")))
            (instance $echo (export "t" (type $t)) (export "ping" (func $ping)))
            (export "{ECHO}" (instance $echo)))"#
    )
}

async fn deploy(deployment: &Deployment, reference: &str, id: &str) {
    let host = deployment.host();
    let deployed = deployment.deploy_on(host, reference, id, 10).await;
    deployed.unwrap_or_else(|error| panic!("{reference}: {error:#}"));
}

async fn types_that_read_each_other_on_the_wire_do_so_in_memory(
    route: Route,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let nats = nats().await;
    for (number, pair) in PAIRS.iter().enumerate() {
        let lattice = format!("{route:?}-{number}");
        let host = route.host().lattice(lattice);
        let deployment = host.start_on(&nats).await;
        let references = [
            component(
                folder.path(),
                &format!("callee-{number}.wasm"),
                &callee(pair.callee),
            ),
            component(
                folder.path(),
                &format!("caller-{number}.wasm"),
                &caller(pair.caller),
            ),
        ];
        deploy(&deployment, &references[0], CALLEE).await;
        deploy(&deployment, &references[1], CALLER).await;
        deployment.link(CALLER, CALLEE, "echo").await?;
        let driver = deployment.driver().await?;
        for (sent, expected) in pair.calls {
            let answer = driver.ping(*sent).await;
            let what = format!("{} as {} over {route:?}, {sent}", pair.caller, pair.callee);
            match (answer, expected) {
                (Ok(answer), Some(expected)) => assert_eq!(answer, *expected, "{what}"),
                (Err(_), None) => {}
                (answer, expected) => panic!("{what}: {answer:?} instead of {expected:?}"),
            }
        }
    }
    Ok(())
}
