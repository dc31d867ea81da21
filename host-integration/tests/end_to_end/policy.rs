//! A policy service decides about local calls as it does about those over NATS.

use std::future::Future;
use std::sync::Arc;

use inhost_testbed::{
    Decision, Deployment, Driver, NatsServer, PolicyService, Tally, CALLEE, CALLER, ECHO,
};
use serde_json::Value;

use crate::support::{
    assert_calls, calls, nats, on_routes, promptly, until, Hosts as _, Route, PROMPTLY,
};

on_routes! { OURS:
    a_service_that_does_not_answer_denies_and_is_asked_again,
    without_a_service_a_call_is_denied_at_once,
    a_changed_decision_holds_for_the_calls_that_follow,
}

on_routes! { LOCAL:
    the_caller_s_error_names_the_function_that_was_denied,
}

/// Where the host asks, and where it hears of changed decisions.
const TOPIC: &str = "policy.requests";
const CHANGES: &str = "policy.changes";

/// What a request about a call is.
const CALL: &str = "performInvocation";

/// What the host waits for a decision. The driver's calls may take several times as long.
const TIMEOUT_MS: &str = "300";

/// The pair on a host that asks a policy service, and the tally that the callee counts at.
struct Guarded {
    deployment: Deployment,
    driver: Driver,
    service: PolicyService,
    tally: Tally,
}

/// `decide` is asked about calls. Components may be started.
async fn start(
    nats: &Arc<NatsServer>,
    route: Route,
    mut decide: impl FnMut(&Value) -> Decision + Send + 'static,
) -> Guarded {
    let client = nats.client().await.expect("a connection");
    let decide = move |request: &Value| match request["kind"] == CALL {
        true => decide(request),
        false => Decision::Permit,
    };
    // Each route has topics of its own, as the routes share the server.
    let service = PolicyService::serve(&client, &of(TOPIC, route), decide).await;
    let service = service.expect("the policy service is there");
    let host = route.host().args([
        format!("--policy-topic={}", of(TOPIC, route)),
        format!("--policy-changes-topic={}", of(CHANGES, route)),
        format!("--policy-timeout-ms={TIMEOUT_MS}"),
    ]);
    let deployment = host.start_pair_on(nats).await;
    let linked = deployment.link(CALLEE, "tally", "tally").await;
    linked.expect("linked");
    let tally = Tally::serve(&client, deployment.lattice(), "tally").await;
    Guarded {
        driver: deployment.driver().await.expect("the caller"),
        deployment,
        service,
        tally: tally.expect("the tally is served"),
    }
}

fn of(topic: &str, route: Route) -> String {
    format!("{topic}.{route:?}")
}

/// Whether a request is about a call of the callee's `function`.
fn about(request: &Value, function: &str) -> bool {
    let call = &request["request"];
    call["target"]["componentId"] == CALLEE && call["function"] == function
}

/// What decides so about calls of the callee's `count`, and permits the others.
fn on_count(decision: Decision) -> impl FnMut(&Value) -> Decision + Send {
    move |request| match about(request, "count") {
        true => decision,
        false => Decision::Permit,
    }
}

/// Awaits a call that must fail, and soon.
async fn refused<T: std::fmt::Debug>(
    route: Route,
    call: impl Future<Output = anyhow::Result<T>>,
) -> String {
    let answer = promptly(format!("over {route:?} a denied call hangs"), call).await;
    format!("{:#}", answer.expect_err("it is denied"))
}

#[tokio::test]
async fn a_denied_call_fails_for_its_caller_and_the_callee_does_not_run() -> anyhow::Result<()> {
    let nats = nats().await;
    let mut errors = Vec::new();
    for route in Route::OURS {
        let Guarded {
            deployment,
            driver,
            service,
            tally,
        } = start(&nats, route, on_count(Decision::Deny)).await;
        for _ in 0..3 {
            errors.push(refused(route, driver.call_count(7)).await);
        }
        let why = "policy denied request to invoke component";
        let line = deployment.host().wait_for_log(why, PROMPTLY).await;
        line.expect("the host logs why");
        // What is allowed still goes, the same way.
        assert_eq!(driver.ping(1).await?, 2);
        assert_eq!(tally.total(), 0, "over {route:?} the callee has run");
        assert_calls(route, deployment.host(), 4).await;
        let asked = service.requests_of(CALL);
        let asked = asked.iter().filter(|request| about(request, "count"));
        assert_eq!(asked.count(), 1, "the host remembers the decision");
    }
    // The id of the caller's lattice is in the error, and nothing else differs.
    let errors: Vec<_> = errors.iter().map(|error| without_lattice(error)).collect();
    assert!(
        errors.windows(2).all(|two| two[0] == two[1]),
        "the same outcome over each route: {errors:#?}"
    );
    Ok(())
}

fn without_lattice(error: &str) -> String {
    Route::OURS.iter().fold(error.to_owned(), |error, route| {
        error.replace(&format!("{route:?}").to_lowercase(), "LATTICE")
    })
}

async fn the_caller_s_error_names_the_function_that_was_denied(route: Route) -> anyhow::Result<()> {
    let guarded = start(&nats().await, route, on_count(Decision::Deny)).await;
    refused(route, guarded.driver.call_count(7)).await;
    let log = guarded.deployment.host().log();
    let error = log.wait_for("ended without finishing its results", PROMPTLY);
    let line = error.await.expect("the caller's error is in the log");
    for name in [CALLEE, ECHO, "count"] {
        assert!(line.contains(name), "`{name}` is missing in: {line}");
    }
    Ok(())
}

#[tokio::test]
async fn the_service_is_asked_the_same_about_a_call_over_each_route() -> anyhow::Result<()> {
    let nats = nats().await;
    let mut asked = Vec::new();
    for route in Route::OURS {
        let guarded = start(&nats, route, |_| Decision::Permit).await;
        for n in 0..3 {
            assert_eq!(guarded.driver.ping(n).await?, n + 1);
        }
        assert_eq!(guarded.driver.call_count(7).await?, 1);
        // The last one is that of the tally, which is elsewhere.
        let (local, remote) = calls(guarded.deployment.host()).await;
        let expected = match route.is_local() {
            false => (0, 5),
            true => (4, 1),
        };
        assert_eq!((local, remote), expected, "over {route:?}");
        let requests: Vec<_> = guarded.service.requests();
        asked.push(requests.into_iter().map(comparable).collect::<Vec<_>>());
    }
    let functions: Vec<_> = asked[0]
        .iter()
        .filter(|request| request["kind"] == CALL)
        .map(|request| {
            let request = &request["request"];
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let target = text(&request["target"]["componentId"]);
            (
                target,
                text(&request["interface"]),
                text(&request["function"]),
            )
        })
        .collect();
    let expected = [
        (CALLER, inhost_testbed::DRIVER, "ping"),
        (CALLEE, ECHO, "ping"),
        (CALLER, inhost_testbed::DRIVER, "call-count"),
        (CALLEE, ECHO, "count"),
    ]
    .map(|(target, interface, function)| {
        (target.to_owned(), interface.to_owned(), function.to_owned())
    });
    assert_eq!(functions, expected);
    for (route, asked_here) in Route::OURS.iter().zip(&asked).skip(1) {
        assert_eq!(asked_here, &asked[0], "over {route:?} and over NATS");
    }
    Ok(())
}

/// A request without what is another one for each request and each host.
fn comparable(mut request: Value) -> Value {
    let own = "its own";
    for (path, what) in [
        ("/requestId", "the request has an id"),
        ("/host/publicKey", "the host says who it is"),
        ("/host/lattice", "the host says where it is"),
        ("/host/labels/inhost-testbed", "the host has its labels"),
    ] {
        let field = request.pointer_mut(path).expect(what);
        assert!(field.is_string(), "{what}: {field}");
        *field = own.into();
    }
    request
}

async fn a_service_that_does_not_answer_denies_and_is_asked_again(
    route: Route,
) -> anyhow::Result<()> {
    let mut asked = 0;
    let decide = move |request: &Value| {
        asked += u32::from(about(request, "count"));
        match about(request, "count") && asked < 3 {
            true => Decision::Silence,
            false => Decision::Permit,
        }
    };
    let guarded = start(&nats().await, route, decide).await;
    for _ in 0..2 {
        refused(route, guarded.driver.call_count(7)).await;
    }
    assert_eq!(guarded.tally.total(), 0, "the callee has run");
    let answer = promptly("there is no answer", guarded.driver.call_count(7)).await;
    let count = answer.expect("it is allowed now");
    assert_eq!((count, guarded.tally.total()), (1, 1));
    Ok(())
}

async fn without_a_service_a_call_is_denied_at_once(route: Route) -> anyhow::Result<()> {
    // So that the host knows that the caller may be called, and does not know it of the callee.
    let decide = on_count(Decision::Silence);
    let Guarded {
        deployment,
        driver,
        service,
        tally,
    } = start(&nats().await, route, decide).await;
    assert_eq!(driver.ping(1).await?, 2);
    refused(route, driver.call_count(7)).await;
    drop(service);
    refused(route, driver.call_count(7)).await;
    assert_eq!(tally.total(), 0, "the callee has run");
    // What the host has been told of holds.
    assert_eq!(driver.ping(1).await?, 2);
    assert_calls(route, deployment.host(), 4).await;
    Ok(())
}

async fn a_changed_decision_holds_for_the_calls_that_follow(route: Route) -> anyhow::Result<()> {
    let Guarded {
        deployment,
        driver,
        service,
        tally,
    } = start(&nats().await, route, |_| Decision::Permit).await;
    assert_eq!(driver.call_count(1).await?, 1);
    let requests = service.requests_of(CALL);
    let request = requests.iter().find(|request| about(request, "count"));
    let request = request.expect("the host has asked about the callee");
    for permitted in [false, true] {
        let changes = of(CHANGES, route);
        let change = PolicyService::change(deployment.client(), &changes, request, permitted).await;
        change.expect("announced");
        let what = format!("it is not permitted={permitted}");
        until(&what, async || {
            driver.call_count(2).await.is_ok() == permitted
        })
        .await;
        if !permitted {
            // Now that the host has heard of it, the callee does not run any more.
            let before = tally.total();
            for _ in 0..3 {
                refused(route, driver.call_count(3)).await;
            }
            assert_eq!(tally.total(), before, "the callee has run");
        }
    }
    assert_eq!(service.requests_of(CALL).len(), requests.len());
    Ok(())
}
