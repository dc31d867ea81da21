//! Links decide where a call goes, as on a stock host.

use inhost_testbed::{Guest, Link, CALLER};

use crate::support::{assert_calls, nats, on_routes, Hosts as _, Route};

on_routes! { OURS:
    a_named_link_leads_to_its_own_target,
    a_link_that_is_moved_takes_the_calls_along,
}

async fn a_named_link_leads_to_its_own_target(route: Route) -> anyhow::Result<()> {
    let deployment = route.start_on(&nats().await).await;
    for (guest, id) in [(Guest::Callee, "other"), (Guest::Caller, CALLER)] {
        deployment.deploy(guest, id, 10).await?;
    }
    let link = Link::new(CALLER, "other", "inhost:demo", "echo").named("by-name");
    deployment.control().link_put(&link).await?;
    // The default link leads nowhere, so an answer can only come by the other.
    deployment.link(CALLER, "nobody", "echo").await?;
    let driver = deployment.driver().await?;
    let answer = driver.ping_via("by-name", 41).await?;
    assert_eq!(answer, Ok(42));
    assert_calls(route, deployment.host(), 1).await;
    assert!(driver.ping(41).await.is_err());
    let refused = driver.ping_via("unknown", 41).await?;
    assert!(refused.expect_err("no such link").contains("unknown"));
    Ok(())
}

async fn a_link_that_is_moved_takes_the_calls_along(route: Route) -> anyhow::Result<()> {
    let (deployment, driver) = route.pair().await?;
    assert_eq!(driver.ping(1).await?, 2);
    let link = Link::new(CALLER, inhost_testbed::CALLEE, "inhost:demo", "echo");
    deployment.control().link_del(&link).await?;
    assert!(driver.ping(1).await.is_err(), "there is no link any more");
    deployment.control().link_put(&link).await?;
    assert_eq!(driver.ping(1).await?, 2);
    Ok(())
}
