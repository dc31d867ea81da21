//! HTTP requests of one component to another, in memory.
//!
//! There is no HTTP client provider. What would go to one is seen at the NATS server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use inhost_testbed::{
    get_text, get_text_within, Decision, Deployment, Guest, HostBuilder, Link, NatsServer,
    PolicyService, SlowCall, HTTP,
};
use serde_json::Value;

use crate::support::{calls, nats, until, Hosts as _, Route, PROMPTLY};

/// The one that answers, and its configuration.
const ORDERS: &str = "orders";
const OFFER: &str = "orders-offer";

const NAME: &str = "orders.local";
const FLAG: &str = "--local-http=orders.local=orders,orders.local:8080=orders";

/// A component that makes requests, behind the built-in HTTP server, and one that may answer them.
struct Between {
    deployment: Deployment,
    front: SocketAddr,
    /// What goes to the HTTP client.
    client: async_nats::Subscriber,
}

impl Between {
    async fn start(nats: &Arc<NatsServer>, host: HostBuilder, offer: &str, instances: u32) -> Self {
        let deployment = host.args(Deployment::HTTP_SERVER).start_on(nats).await;
        let client = deployment
            .client()
            .subscribe(format!("{}.http-client.>", deployment.lattice()));
        let client = client.await.expect("subscribed");
        let control = deployment.control();
        let offered = control.config_put(OFFER, &[("local-http", offer)]).await;
        offered.expect("the configuration is stored");
        let between = Self {
            front: {
                let reference = Guest::Fetcher.reference().expect("the guest");
                let front = deployment
                    .deploy_http_as(deployment.host(), &reference)
                    .await;
                front.expect("the server listens")
            },
            deployment,
            client,
        };
        let link = Link::new(HTTP, "http-client", "wasi:http", "outgoing-handler");
        let linked = between.deployment.control().link_put(&link).await;
        linked.expect("linked");
        between.scale(instances).await;
        between
    }

    async fn scale(&self, instances: u32) {
        let (deployment, reference) = (&self.deployment, Guest::Fetcher.reference());
        let id = deployment.host().id();
        let reference = reference.expect("the guest");
        let scaled = deployment
            .control()
            .scale_with_config(id, &reference, ORDERS, instances, &[OFFER])
            .await;
        scaled.expect("scaled");
        let is_served = async || {
            let served = deployment.served(ORDERS).await.expect("the server answers");
            (served > 0) == (instances > 0)
        };
        until("it is served", is_served).await;
    }

    /// Waits until the component answers to this name, or does not.
    async fn until_answered(&self, name: &str, is: bool) {
        let answered = async || {
            let status = self.deployment.host().status().await.expect("the listing");
            let names = status["http"].as_array().expect("a list").iter();
            let mut entries = names.filter(|it| it["name"] == name && it["component"] == ORDERS);
            entries.next().is_some_and(|it| it["answered"] == is)
        };
        until("it is so", answered).await;
    }

    /// Has a request made, and says what came back.
    async fn fetch(&self, query: &str) -> anyhow::Result<String> {
        get_text(self.front, &format!("/fetch?{query}")).await
    }

    async fn until_in_flight(&self, count: u64) {
        until("they are under way", async || {
            let status = self.deployment.host().status().await.expect("the listing");
            status["in_flight"] == count
        })
        .await;
    }

    /// Has three requests made that take a while, scales while they are under way, and says what came back.
    async fn three_while_scaled_to(&self, instances: u32) -> [String; 3] {
        let fetch = || self.fetch("to=orders.local&path=/wait?ms=1500");
        let scaled = async {
            self.until_in_flight(3).await;
            self.scale(instances).await;
        };
        let (one, two, three, ()) = tokio::join!(fetch(), fetch(), fetch(), scaled);
        [one, two, three].map(|it| it.expect("an answer"))
    }

    /// Has a request made that goes to the HTTP client.
    async fn goes_to_client(&mut self, query: &str) {
        let path = format!("/fetch?{query}");
        let fetched = get_text_within(Duration::from_millis(300), self.front, &path);
        let (fetched, sent) =
            tokio::join!(fetched, tokio::time::timeout(PROMPTLY, self.client.next()));
        assert!(fetched.is_err(), "there is no client that could answer");
        let sent = sent.expect("it is sent").expect("the connection is there");
        assert!(
            sent.subject
                .ends_with(".wrpc:http/outgoing-handler@0.1.0.handle"),
            "{sent:?}"
        );
    }

    /// Whether nothing went to the HTTP client.
    async fn client_heard_nothing(&mut self) {
        self.deployment
            .client()
            .flush()
            .await
            .expect("the server is there");
        let heard = tokio::time::timeout(Duration::from_millis(50), self.client.next()).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}

fn line<'a>(answer: &'a str, begins: &str) -> &'a str {
    let found = answer.lines().find_map(|line| line.strip_prefix(begins));
    found.unwrap_or_else(|| panic!("no line begins with `{begins}`: {answer}"))
}

#[tokio::test]
async fn a_request_to_a_component_of_the_host_stays_in_memory() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let mut it = Between::start(&nats, route.host().arg(FLAG), NAME, 10).await;
        it.until_answered(NAME, true).await;
        let answer = it
            .fetch("to=orders.local&path=/seen/it&method=POST&size=300000&trailer=t")
            .await;
        let answer = answer.expect("an answer");
        assert_eq!(line(&answer, "status "), "200");
        assert_eq!(line(&answer, "header x-answer: "), "yes");
        assert_eq!(line(&answer, "trailer x-end: "), "yes");
        assert_eq!(answer.lines().last(), Some("elsewhere"));
        for (query, agent) in [("agent=me", "me"), ("scheme=https", "wasmcloud-local-http")] {
            let query =
                format!("to=orders.local&path=/seen&method=POST&size=300000&trailer=t&{query}");
            let answer = it.fetch(&query).await.expect("an answer");
            assert_eq!(line(&answer, "method "), "Method::Post");
            assert_eq!(line(&answer, "path "), "/seen");
            assert_eq!(line(&answer, "scheme "), "Some(Scheme::Http)");
            assert_eq!(line(&answer, "authority "), NAME);
            assert_eq!(line(&answer, "seen header user-agent: "), agent);
            assert_eq!(line(&answer, "seen trailer x-trailer: "), "t");
            assert_eq!(line(&answer, "body "), "300000 of 300000");
            assert!(
                !answer.contains("seen header host:"),
                "a guest does not see it: {answer}"
            );
        }
        let answer = it
            .fetch("to=orders.local&path=/early&method=POST&size=300000")
            .await;
        assert_eq!(answer.expect("an answer").lines().last(), Some("early"));
        let answer = it
            .fetch("to=orders.local&path=/seen")
            .await
            .expect("an answer");
        assert_eq!(line(&answer, "body "), "0 of 0");

        let host = it.deployment.host();
        assert_eq!(calls(host).await, (5, 0), "over {route:?}");
        let status = host.status().await.expect("the listing");
        let functions = status["functions"].as_array().expect("a list");
        let ours = |it: &&Value| it["instance"] == "wrpc:http/incoming-handler@0.1.0";
        let prefix = format!("{}.{ORDERS}", host.lattice());
        let counted = functions
            .iter()
            .filter(ours)
            .find(|it| it["prefix"] == *prefix);
        assert_eq!(counted.expect("it is listed")["calls"]["local"], 5);
        it.client_heard_nothing().await;
    }
}

#[tokio::test]
async fn a_request_goes_to_the_client_unless_host_and_component_agree() {
    let nats = nats().await;
    let to_orders = "to=orders.local&path=/seen";
    for route in Route::LOCAL {
        let mut it = Between::start(&nats, route.host().arg(FLAG), NAME, 10).await;
        it.until_answered(NAME, true).await;
        it.fetch(to_orders).await.expect("an answer");
        it.goes_to_client("to=orders.local:8080&path=/seen").await;
        it.goes_to_client("to=other.local&path=/seen").await;
        let control = it.deployment.control();
        for (offer, name, is) in [
            ("", NAME, false),
            ("orders.local:8080, no name!", "orders.local:8080", true),
        ] {
            let put = control.config_put(OFFER, &[("local-http", offer)]).await;
            put.expect("the configuration is stored");
            it.until_answered(name, is).await;
        }
        it.until_answered(NAME, false).await;
        it.goes_to_client(to_orders).await;
        it.fetch("to=orders.local:8080&path=/seen")
            .await
            .expect("an answer");
        it.scale(0).await;
        it.goes_to_client("to=orders.local:8080&path=/seen").await;
    }
    let mut without =
        Between::start(&nats, Route::Duplex.host().lattice("no-flag"), NAME, 10).await;
    without.goes_to_client(to_orders).await;
    let off = Route::Nats.host().arg(FLAG).lattice("off");
    let mut off = Between::start(&nats, off, NAME, 10).await;
    off.goes_to_client(to_orders).await;
    let off = Route::Mpsc.host().arg(FLAG).lattice("target-off");
    let mut off = Between::start(
        &nats,
        off.arg("--local-dispatch-target=orders=off"),
        NAME,
        10,
    )
    .await;
    let log = off.deployment.host().log();
    let known = log.wait_for(
        "the component is offered for HTTP requests in memory",
        PROMPTLY,
    );
    known.await.expect("the offer is known");
    off.until_answered(NAME, false).await;
    off.goes_to_client(to_orders).await;
    assert_eq!(calls(off.deployment.host()).await, (0, 1));
}

#[tokio::test]
async fn a_component_without_a_link_to_a_client_makes_no_request() {
    let nats = nats().await;
    let mut errors = Vec::new();
    for flag in [FLAG, "--local-http=another=another"] {
        let host = Route::Duplex.host().lattice("unlinked").arg(flag);
        let it = Between::start(&nats, host, NAME, 10).await;
        let link = Link::new(HTTP, "http-client", "wasi:http", "outgoing-handler");
        it.deployment
            .control()
            .link_del(&link)
            .await
            .expect("the link is gone");
        let gone = async || it.fetch("to=orders.local&path=/seen").await.is_err();
        until("the host knows that there is no link", gone).await;
        it.fetch("to=orders.local&path=/seen")
            .await
            .expect_err("there is no link");
        let log = it.deployment.host().log();
        let why = log.wait_for("link `default` not found", PROMPTLY).await;
        errors.push(why.expect("the host says why"));
        it.deployment.stop().await.expect("stopped");
    }
    assert_eq!(errors[0], errors[1], "it is the error of a stock host");
}

#[tokio::test]
async fn a_request_that_is_not_answered_ends_with_an_error_of_http_and_its_instance_is_free() {
    let nats = nats().await;
    for route in Route::LOCAL {
        let mut it = Between::start(&nats, route.host().arg(FLAG), NAME, 1).await;
        it.until_answered(NAME, true).await;
        for (query, error) in [
            ("path=/trap", "ErrorCode::HttpProtocolError"),
            (
                "path=/trap&method=POST&size=300000",
                "ErrorCode::HttpProtocolError",
            ),
            ("path=/refuse", "ErrorCode::ConfigurationError"),
            (
                "path=/wait?ms=500&first-byte=50",
                "ErrorCode::ConnectionReadTimeout",
            ),
        ] {
            let answer = it.fetch(&format!("to=orders.local&{query}")).await;
            assert_eq!(
                line(&answer.expect("an answer"), "error "),
                error,
                "{query}, over {route:?}"
            );
            let answer = it
                .fetch("to=orders.local&path=/seen")
                .await
                .expect("an answer");
            assert_eq!(
                line(&answer, "status "),
                "200",
                "after {query}, over {route:?}"
            );
        }
        // The client's time between bytes is the caller's own: the answer breaks off.
        let stalls = "to=orders.local&path=/stall?ms=500&between-bytes=50";
        let answer = it.fetch(stalls).await.expect("an answer");
        assert_eq!(line(&answer, "status "), "200");
        assert_eq!(line(&answer, "stalled"), "");
        assert!(
            answer.contains("ConnectionReadTimeout"),
            "over {route:?}: {answer}"
        );
        it.client_heard_nothing().await;
    }
}

#[tokio::test]
async fn a_policy_decides_about_a_request_as_about_any_call() {
    let nats = nats().await;
    let client = nats.client().await.expect("a connection");
    for route in Route::LOCAL {
        let topic = format!("policy.{route:?}");
        let decide = |request: &Value| {
            let is_call = request["kind"] == "performInvocation";
            match is_call && request["request"]["target"]["componentId"] == ORDERS {
                true => Decision::Deny,
                false => Decision::Permit,
            }
        };
        let service = PolicyService::serve(&client, &topic, decide).await;
        let service = service.expect("the policy service is there");
        let host = route
            .host()
            .arg(FLAG)
            .arg(format!("--policy-topic={topic}"));
        let mut it = Between::start(&nats, host, NAME, 10).await;
        it.until_answered(NAME, true).await;
        let answer = it
            .fetch("to=orders.local&path=/seen")
            .await
            .expect("an answer");
        assert_eq!(line(&answer, "error "), "ErrorCode::HttpRequestDenied");
        let asked = service.requests_of("performInvocation");
        let function = |it: &&Value| it["request"]["target"]["componentId"] == ORDERS;
        let about = asked.iter().find(function).expect("it is asked");
        let about = &about["request"];
        assert_eq!(about["interface"], "wrpc:http/incoming-handler@0.1.0");
        assert_eq!(about["function"], "handle");
        it.client_heard_nothing().await;
    }
}

#[tokio::test]
async fn what_waits_when_the_component_is_scaled_is_answered_and_what_waits_when_it_is_stopped_is_refused(
) {
    let nats = nats().await;
    for route in Route::LOCAL {
        let it = Between::start(&nats, route.host().arg(FLAG), NAME, 1).await;
        it.until_answered(NAME, true).await;
        let answers = it.three_while_scaled_to(2).await;
        let waited = |it: &&String| it.ends_with("waited\n");
        // The host library has taken one, which waits for an instance: that one ends with the version.
        assert!(
            answers.iter().filter(waited).count() >= 2,
            "over {route:?}: {answers:?}"
        );
        let taken = answers.iter().find(|it| !waited(it));
        assert!(
            taken.is_none_or(|it| it.contains("ErrorCode::HttpProtocolError")),
            "{answers:?}"
        );
        it.until_in_flight(0).await;
        it.scale(1).await;
        let answers = it.three_while_scaled_to(0).await;
        let mut refused = answers
            .iter()
            .map(|it| it.contains("ErrorCode::ConnectionRefused"));
        assert!(refused.any(|it| it), "over {route:?}: {answers:?}");
        assert!(
            answers.iter().any(|it| it.ends_with("waited\n")),
            "what runs goes on: {answers:?}"
        );
    }
}

#[tokio::test]
async fn the_listing_says_of_a_name_what_a_request_to_it_meets() {
    let nats = nats().await;
    let to_orders = "to=orders.local&path=/seen";
    let host = Route::Duplex.host().lattice("listed").arg(FLAG);
    let mut it = Between::start(&nats, host, NAME, 10).await;
    it.until_answered(NAME, true).await;
    let folder = tempfile::tempdir().expect("a folder");
    let other = Guest::Callee.reference().expect("the guest");
    let again = Guest::Fetcher.copy_to(folder.path(), "again.wasm");
    for (reference, is) in [(other, false), (again.expect("a copy"), true)] {
        let host = it.deployment.host().id();
        let updated = it.deployment.control().update(host, &reference, ORDERS);
        updated.await.expect("updated");
        it.until_answered(NAME, is).await;
        match is {
            true => drop(it.fetch(to_orders).await.expect("an answer")),
            false => it.goes_to_client(to_orders).await,
        }
    }
    it.scale(0).await;
    it.until_answered(NAME, false).await;
}

#[tokio::test]
async fn a_body_that_no_one_reads_ends_its_request_before_it_takes_all_of_the_memory() {
    const MIB: u64 = 1 << 20;
    let nats = nats().await;
    for route in Route::LOCAL {
        let it = Between::start(&nats, route.host().arg(FLAG), NAME, 2).await;
        it.until_answered(NAME, true).await;
        let host = it.deployment.host();
        let fetch = async |query: &str| {
            let path = format!("/fetch?to=orders.local&{query}");
            let answer = get_text_within(Duration::from_secs(60), it.front, &path).await;
            answer.expect("an answer")
        };
        let post = async |size: u64| {
            until("both instances are in use", async || {
                host.status().await.expect("the listing")["in_flight"] == 2
            })
            .await;
            fetch(&format!("path=/seen&method=POST&size={size}")).await
        };
        // It waits for an instance with its request, and is read then.
        let wait = "path=/wait?ms=5000";
        let (_, _, read) = tokio::join!(fetch(wait), fetch(wait), post(60 * MIB));
        let size = 60 * MIB;
        assert_eq!(
            line(&read, "body "),
            format!("{size} of {size}"),
            "over {route:?}"
        );

        let wait = "path=/wait?ms=20000";
        let (waited, _, ended) = tokio::join!(fetch(wait), fetch(wait), post(3000 * MIB));
        assert!(waited.ends_with("waited\n"), "over {route:?}: {waited}");
        let code = "ErrorCode::HttpRequestBodySize(None)";
        assert_eq!(line(&ended, "error "), code, "over {route:?}");
        let why = host.wait_for_log("more than 251658240 bytes of a stream", PROMPTLY);
        let why = why.await.expect("the log says why");
        assert!(why.contains(ORDERS), "{why}");
        if let Some(peak) = host.usage().peak_resident_bytes() {
            assert!(peak < 800 * MIB, "over {route:?}: {peak}");
        }
        // The host library had taken the request. Its guest gets an error in place of the rest of the body, and ends.
        until("both instances are free", async || {
            host.status().await.expect("the listing")["in_flight"] == 0
        })
        .await;
        let answer = fetch("path=/seen").await;
        assert_eq!(line(&answer, "status "), "200", "over {route:?}");
    }
}

#[tokio::test]
async fn a_request_whose_caller_goes_in_the_middle_of_its_body_does_not_keep_its_instance() {
    let nats = nats().await;
    for route in [Route::Nats, Route::Duplex] {
        // A `POST` of `/seen` to `orders`, whose body and trailers follow, and one that has both.
        const BEGUN: &[u8] = b"\0\0\x02\x01\x05/seen\x01\0\x01\x06orders\0";
        const WHOLE: &[u8] = b"\x01x\x01\0\x02\x01\x05/seen\x01\0\x01\x06orders\0";
        let it = Between::start(&nats, route.host().arg(FLAG), NAME, 1).await;
        let (lattice, client) = (it.deployment.lattice(), it.deployment.client());
        let handle = ("wrpc:http/incoming-handler@0.1.0", "handle");
        for (body, trailers) in [
            (&b""[..], &b""[..]),
            (b"\x03abc", b""),
            (b"\x03abc\x05d", b""),
            (b"\x03abc\x05d", b"\0"),
            (b"\x03abc\0", b""),
        ] {
            let call = SlowCall::begin(client, (lattice, ORDERS), handle, BEGUN.into());
            let call = call.await.expect("it is taken");
            call.send("".into()).await.expect("it is sent");
            for (at, part) in [(1, trailers), (0, body)] {
                // What is empty is the end.
                for part in [part, b""] {
                    let sent = call.send_at(&[0, at], part.into()).await;
                    sent.expect("it is sent");
                }
            }
            let answer = call.results(PROMPTLY).await.expect("it is answered");
            assert_eq!(answer.first(), Some(&0), "over {route:?}: {body:?}");
            // The only instance is free.
            let next = SlowCall::begin(client, (lattice, ORDERS), handle, WHOLE.into());
            let next = next.await.expect("it is taken");
            next.send("".into()).await.expect("it is sent");
            let answer = next.results(PROMPTLY).await.expect("it is answered");
            assert_eq!(answer.first(), Some(&0), "over {route:?}: {body:?}");
        }
    }
}
