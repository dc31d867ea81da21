//! Calls into a lattice and between its components, over both backends.

mod common;

use common::{chain, guest, pair, text, BACKENDS, ECHO};
use inhost_lattice::{CallError, Link, LocalLattice, Val};

#[tokio::test]
async fn a_component_calls_another() {
    for backend in BACKENDS {
        let lattice = pair().backend(backend).build().await.expect("it builds");
        assert_eq!(lattice.backend(), backend);
        let called = lattice.call("caller", "inhost:demo/driver.ping", &[Val::U32(41)]);
        assert_eq!(called.await.expect("it answers"), [Val::U32(42)]);
        // One call from outside, one between the components.
        assert_eq!(lattice.watch().calls(), 2);
    }
}

#[tokio::test]
async fn a_chain_of_three_answers() {
    for backend in BACKENDS {
        let lattice = LocalLattice::builder()
            .component("a", guest("caller"))
            .component("b", guest("middle"))
            .component("c", guest("callee"))
            .link(Link::new("a", "b", ECHO))
            .link(Link::new("b", "c", "inhost:demo/echo@0.1.0"))
            .backend(backend)
            .build()
            .await
            .expect("it builds");
        let ping = lattice
            .function("a", "inhost:demo/driver@0.1.0.ping")
            .expect("exported");
        assert_eq!(ping.call_wave(&["1"]).await.expect("it answers"), ["2"]);
        assert_eq!(lattice.watch().calls(), 3);
    }
}

/// Larger than any buffer, so that it has to stream.
#[tokio::test]
async fn a_megabyte_passes_both_ways() {
    for backend in BACKENDS {
        let lattice = pair().backend(backend).build().await.expect("it builds");
        let data: Vec<_> = (0..1 << 20).map(|n| Val::U8(n as u8)).collect();
        let sent = [Val::List(data)];
        let called = lattice
            .call("caller", "inhost:demo/driver.echo-bytes", &sent)
            .await;
        assert!(called.expect("it answers") == sent, "other bytes came back");
    }
}

#[tokio::test]
async fn values_of_every_kind_pass_as_text() {
    let lattice = pair().build().await.expect("it builds");
    for (function, value) in [
        ("echo-string", r#""Straße\n""#),
        ("echo-strings", r#"["a", ""]"#),
        ("echo-bytes", "[0, 255]"),
        ("echo-option", r#"some("x")"#),
        ("echo-option", "none"),
        ("echo-result", "ok(7)"),
        ("echo-result", r#"err("no")"#),
        ("echo-enum", "sent"),
        ("echo-flags", "{}"),
        ("echo-tuple", r#"(1, "t", 0.5, some('c'), [65535], open)"#),
        ("echo-nested", "[[], [none]]"),
        ("echo-options", "some(some(none))"),
    ] {
        let name = format!("{ECHO}.{function}");
        let answer = lattice
            .call_wave("callee", &name, &[value])
            .await
            .unwrap_or_else(|error| panic!("{function}: {}", chain(&error)));
        assert_eq!(answer, [value], "{function}");
    }
    let scalars = [
        "true",
        "-128",
        "255",
        "-32768",
        "65535",
        "-2147483648",
        "4294967295",
        "-9223372036854775808",
        "18446744073709551615",
        "1.5",
        "-0.25",
        "'ß'",
    ];
    let called = lattice.call_wave("callee", "inhost:demo/echo.echo-scalars", &scalars);
    let answer = called.await.expect("it answers");
    assert_eq!(answer, [format!("({})", scalars.join(", "))]);
}

/// The caller compares what comes back with what it sent.
#[tokio::test]
async fn every_shape_of_value_passes_between_components() {
    for backend in BACKENDS {
        let lattice = pair().backend(backend).build().await.expect("it builds");
        let called = lattice
            .call("caller", "inhost:demo/driver.shapes", &[])
            .await;
        let [Val::List(shapes)] = &called.expect("it answers")[..] else {
            panic!("another type");
        };
        assert!(shapes.len() > 50, "{}", shapes.len());
        for shape in shapes {
            let Val::Tuple(parts) = shape else {
                panic!("another type");
            };
            assert!(
                matches!(&parts[1], Val::String(said) if said.starts_with("equal")),
                "{parts:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_are_all_answered_and_leave_nothing() {
    for backend in BACKENDS {
        // Fewer instances than calls: most of them wait for their turn.
        let lattice = pair()
            .max_instances("callee", 3.try_into().expect("not 0"))
            .backend(backend)
            .build()
            .await
            .expect("it builds");
        let ping = lattice
            .function("caller", "inhost:demo/driver.ping")
            .expect("exported");
        let calls = (0..500_u32).map(|n| {
            let ping = ping.clone();
            tokio::spawn(async move { ping.call(&[Val::U32(n)]).await })
        });
        for (n, call) in (0..).zip(calls.collect::<Vec<_>>()) {
            let answer = call.await.expect("no panic").expect("it answers");
            assert_eq!(answer, [Val::U32(n + 1)]);
        }
        let watch = lattice.watch();
        assert_eq!(watch.calls(), 1000);
        lattice.stop().await;
        assert_eq!((watch.in_flight(), watch.served()), (0, 0));
    }
}

#[tokio::test]
async fn a_trap_is_an_error_with_its_cause_and_the_next_call_works() {
    for backend in BACKENDS {
        let lattice = pair().backend(backend).build().await.expect("it builds");
        let called = lattice
            .call_wave("callee", "inhost:demo/echo.trap", &[r#""why""#])
            .await;
        let error = chain(&called.expect_err("it traps"));
        assert!(error.contains("inhost:demo/echo@0.1.0.trap"), "{error}");
        assert!(error.contains("unreachable"), "{error}");

        // The callee of a callee: the whole way is told.
        let called = lattice
            .call_wave("caller", "inhost:demo/driver.call-trap", &[r#""why""#])
            .await;
        let error = chain(&called.expect_err("it traps"));
        for part in ["call-trap", "`callee`", "unreachable"] {
            assert!(error.contains(part), "no `{part}` in {error}");
        }
        let called = lattice
            .call_wave("caller", "inhost:demo/driver.ping", &["1"])
            .await;
        assert_eq!(called.expect("it answers"), ["2"]);
    }
}

#[tokio::test]
async fn a_link_that_is_missing_is_named_with_those_that_are_there() {
    let lattice = pair().build().await.expect("it builds");
    let called = lattice
        .call("caller", "inhost:demo/driver.call-unlinked", &[])
        .await;
    let error = chain(&called.expect_err("it is not linked"));
    for part in [
        "the component `caller` has no link `default` of `inhost:demo/unlinked@0.1.0`",
        "it has links of `inhost:demo/echo` to `callee`",
    ] {
        assert!(error.contains(part), "no `{part}` in {error}");
    }
}

#[tokio::test]
async fn a_link_to_a_component_that_does_not_export_the_interface_says_what_it_exports() {
    let absent = Link::new("caller", "callee", "inhost:demo/absent");
    let lattice = pair().link(absent).build().await.expect("it builds");
    let called = lattice
        .call("caller", "inhost:demo/driver.call-absent", &[])
        .await;
    let error = chain(&called.expect_err("it is not exported"));
    let expected =
        "does not export `inhost:demo/absent@0.1.0.nothing`; it exports `inhost:demo/echo@0.1.0`";
    assert!(error.contains(expected), "{error}");
}

#[tokio::test]
async fn a_link_name_chosen_by_an_instance_holds_for_it_alone() {
    let lattice = LocalLattice::builder()
        .component("caller", guest("caller"))
        .component("one", guest("callee"))
        .component("two", guest("callee-v2"))
        .link(Link::new("caller", "one", ECHO))
        .link(Link::new("caller", "two", ECHO).named("backup"))
        .build()
        .await
        .expect("it builds");
    let call = |function: &str, arguments: &[&str]| {
        let function = lattice.function("caller", &format!("inhost:demo/driver.{function}"));
        let arguments: Vec<_> = arguments.iter().map(|text| text.to_string()).collect();
        async move {
            function
                .expect("exported")
                .call_wave(&arguments)
                .await
                .expect("it answers")
        }
    };
    assert_eq!(call("ping-via", &[r#""backup""#, "1"]).await, ["ok(2)"]);
    let [refused] = &call("ping-via", &[r#""other""#, "1"]).await[..] else {
        panic!("another number of results");
    };
    assert!(
        refused.contains("no link `other` of `inhost:demo/echo`"),
        "{refused}"
    );
    assert_eq!(call("call-version", &[]).await, ["1"]);
}

#[tokio::test]
async fn a_version_of_a_link_is_for_that_version() {
    let other = Link::new("caller", "callee", "inhost:demo/echo@0.2.0");
    let lattice = LocalLattice::builder()
        .component("caller", guest("caller"))
        .component("callee", guest("callee"))
        .link(other)
        .build()
        .await
        .expect("it builds");
    let called = lattice
        .call_wave("caller", "inhost:demo/driver.ping", &["1"])
        .await;
    let error = chain(&called.expect_err("the import has another version"));
    assert!(
        error.contains("it has links of `inhost:demo/echo@0.2.0` to `callee`"),
        "{error}"
    );
}

#[tokio::test]
async fn what_cannot_be_called_is_refused_before_anything_runs() {
    let lattice = pair().build().await.expect("it builds");
    let cases: [(&str, &str, &[&str], &[&str]); 7] = [
        (
            "other",
            "inhost:demo/echo.ping",
            &["1"],
            &["no component `other`", "`callee`, `caller`"],
        ),
        (
            "callee",
            "inhost:demo/echo.pong",
            &[],
            &["does not export", "inhost:demo/echo@0.1.0.ping"],
        ),
        (
            "callee",
            "inhost:demo/echo@0.9.0.ping",
            &["1"],
            &["does not export"],
        ),
        ("callee", "ping", &["1"], &["does not export"]),
        (
            "callee",
            "inhost:demo/echo.ping",
            &[],
            &["it is `func(u32) -> u32`, with 1 parameters, and 0"],
        ),
        (
            "callee",
            "inhost:demo/echo.ping",
            &["\"x\""],
            &["argument 1 is not a `u32`"],
        ),
        (
            "callee",
            "inhost:demo/echo.echo-tuple",
            &["(1)"],
            &["tuple<u8, string, f64, option<char>, list<u16>, enum {"],
        ),
    ];
    for (id, function, arguments, expected) in cases {
        let error = lattice
            .call_wave(id, function, arguments)
            .await
            .expect_err(function);
        assert!(error.is_invalid_input(), "{error}");
        for part in expected {
            assert!(error.to_string().contains(part), "no `{part}` in {error}");
        }
    }
    // As values, too.
    let called = lattice
        .call("callee", "inhost:demo/echo.ping", &[Val::Bool(true)])
        .await;
    assert!(
        matches!(called, Err(CallError::Arguments { .. })),
        "{called:?}"
    );
    assert_eq!(lattice.watch().calls(), 0);
}

#[tokio::test]
async fn functions_are_listed_with_their_types() {
    let lattice = pair().build().await.expect("it builds");
    assert_eq!(
        lattice.components().collect::<Vec<_>>(),
        ["callee", "caller"]
    );
    let functions = lattice.functions("callee").expect("it is there");
    let functions: Vec<_> = functions.iter().map(ToString::to_string).collect();
    for expected in [
        "inhost:demo/echo@0.1.0.ping: func(u32) -> u32",
        "inhost:demo/echo@0.1.0.note: func(u64)",
        "inhost:demo/echo@0.1.0.echo-result: func(result<u32, string>) -> result<u32, string>",
    ] {
        assert!(
            functions.iter().any(|f| f == expected),
            "no {expected} in {functions:#?}"
        );
    }
}

#[tokio::test]
async fn a_function_of_the_component_itself_can_be_called() {
    let component = r#"(component
        (core module $m (func (export "answer") (result i32) i32.const 42))
        (core instance $i (instantiate $m))
        (func (export "answer") (result u32) (canon lift (core func $i "answer"))))"#;
    let builder = LocalLattice::builder().component("a", text(component));
    let lattice = builder.build().await.expect("it builds");
    let called = lattice.call("a", "answer", &[]).await;
    assert_eq!(called.expect("it answers"), [Val::U32(42)]);
}

#[tokio::test]
async fn functions_with_streams_are_for_other_components_only() {
    let builder = LocalLattice::builder().component("s", guest("streamer"));
    let lattice = builder.build().await.expect("it builds");
    for function in [
        "inhost:demo/pipe.through",
        "wrpc:http/incoming-handler.handle",
    ] {
        let called = lattice.call("s", function, &[]).await;
        assert!(
            matches!(called, Err(CallError::NotPlain { .. })),
            "{called:?}"
        );
    }
    assert!(lattice.functions("s").expect("it is there").is_empty());
}

#[tokio::test]
async fn an_argument_of_brackets_is_an_error_that_says_so() {
    let lattice = pair().build().await.expect("it builds");
    let echo = lattice
        .function("callee", "inhost:demo/echo.echo-strings")
        .expect("exported");
    for bracket in ["[", "(", "{", "some(", "["] {
        let argument = bracket.repeat(20_000);
        let error = echo.call_wave(&[argument]).await;
        let error = chain(&error.expect_err("no type is so deep"));
        let expected = "more than 100 brackets are in each other";
        assert!(error.contains(expected), "{bracket}: {error}");
    }
    // Those in a text are none.
    let text = format!("[{:?}]", "[".repeat(1000));
    let answer = echo.call_wave(&[&text]).await.expect("a list of one text");
    assert_eq!(answer, [text]);
}

#[tokio::test]
async fn a_file_that_is_no_component_is_an_error_that_says_what_it_is() {
    let callee = std::fs::read("../guests/callee/callee.wasm").expect("the callee");
    let module = wat::parse_str(r#"(module (import "env" "f" (func)))"#).expect("valid text");
    for (what, bytes, expected) in [
        ("an empty file", vec![], "it is empty"),
        ("text", b"(component)".to_vec(), "it is no WebAssembly"),
        (
            "an archive",
            b"PK\x03\x04 and so on".to_vec(),
            "it is no WebAssembly",
        ),
        ("a core module", module, "it is a core module"),
        (
            "a header",
            callee[..7].to_vec(),
            "it ends within its header",
        ),
        (
            "a half",
            callee[..callee.len() / 2].to_vec(),
            "ends too early",
        ),
    ] {
        let builder = LocalLattice::builder().component("a", bytes);
        let error = chain(&builder.build().await.expect_err("it is none"));
        assert!(
            error.contains("cannot start the component `a`"),
            "{what}: {error}"
        );
        assert!(error.contains(expected), "{what}: {error}");
    }
}
