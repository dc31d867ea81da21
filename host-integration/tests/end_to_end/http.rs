//! A request to the built-in HTTP server reaches a component, which calls another one.

use std::net::SocketAddr;

use inhost_testbed::{get_text, listens, Deployment, Guest, Link, CALLEE};
use tokio::net::TcpListener;

use crate::support::{assert_calls, nats, on_routes, Hosts as _, Route, PROMPTLY};

on_routes! { OURS:
    a_request_is_answered_by_a_component_that_calls_another,
}

const SERVER: &str = "http-server";

/// What a host has to be started with for [`serve`].
pub(crate) const SERVER_FEATURE: [&str; 2] = ["--feature", "builtin-http-server"];

/// An address that was free a moment ago. The server takes its address from a configuration, so it has to be known
/// before.
async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("its address")
}

async fn a_request_is_answered_by_a_component_that_calls_another(
    route: Route,
) -> anyhow::Result<()> {
    let host = route.host().args(SERVER_FEATURE);
    let deployment = host.start_on(&nats().await).await;
    deployment.deploy(Guest::Callee, CALLEE, 10).await?;
    deployment.deploy(Guest::Http, "http", 10).await?;
    deployment.link("http", CALLEE, "echo").await?;

    let address = serve(&deployment, "http").await;
    for n in 0..5 {
        let body = get_text(address, &format!("/ping?n={n}")).await?;
        assert_eq!(body.trim(), (n + 1).to_string());
    }
    assert!(
        get_text(address, "/elsewhere").await.is_err(),
        "404 is an error"
    );
    assert_calls(route, deployment.host(), 5).await;
    Ok(())
}

/// Starts the built-in HTTP server for a component on a host that has [`SERVER_FEATURE`].
pub(crate) async fn serve(deployment: &Deployment, component: &str) -> SocketAddr {
    let control = deployment.control();
    let address = free_address().await;
    control
        .config_put("address", &[("address", &address.to_string())])
        .await
        .expect("the configuration is stored");
    let id = deployment.host().id();
    control
        .provider_start(id, "wasmcloud+builtin://http-server", SERVER, &[])
        .await
        .expect("the server starts");
    let link = Link::new(SERVER, component, "wasi:http", "incoming-handler")
        .with_source_config(&["address"]);
    control.link_put(&link).await.expect("linked");
    let listening = listens(address, PROMPTLY).await;
    listening.expect("the server listens");
    address
}
