//! Two host processes in one lattice: what is not on this host is reached over NATS.

use inhost_testbed::{Guest, CALLEE, CALLER};

use crate::support::{
    add_host_with_callee, calls, nats, on_routes, until_not_listed, Hosts as _, Route,
};

on_routes! { OURS:
    a_callee_on_another_host_is_reached_over_nats,
}

on_routes! { LOCAL:
    a_callee_on_both_hosts_is_called_on_this_one,
}

async fn a_callee_on_another_host_is_reached_over_nats(route: Route) -> anyhow::Result<()> {
    let mut deployment = route.start_on(&nats().await).await;
    deployment.deploy(Guest::Caller, CALLER, 10).await?;
    add_host_with_callee(&mut deployment, route).await;
    deployment.link(CALLER, CALLEE, "echo").await?;
    let driver = deployment.driver().await?;
    for n in 0..10 {
        assert_eq!(driver.ping(n).await?, n + 1);
    }
    assert_eq!(calls(deployment.host()).await, (0, 10));
    Ok(())
}

async fn a_callee_on_both_hosts_is_called_on_this_one(route: Route) -> anyhow::Result<()> {
    let mut deployment = route.start_pair_on(&nats().await).await;
    add_host_with_callee(&mut deployment, route).await;
    let driver = deployment.driver().await?;
    for n in 0..20 {
        assert_eq!(driver.ping(n).await?, n + 1);
    }
    assert_eq!(calls(deployment.host()).await, (20, 0));

    // Gone here, still there: the next call finds its way.
    let host = deployment.host().id().to_owned();
    let control = deployment.control();
    control.stop_component(&host, CALLEE).await?;
    until_not_listed(deployment.host(), CALLEE).await;
    assert_eq!(driver.ping(1).await?, 2);
    assert_eq!(calls(deployment.host()).await, (20, 1));
    Ok(())
}
