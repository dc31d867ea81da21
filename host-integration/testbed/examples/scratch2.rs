//! scratch
#![allow(clippy::print_stdout)]
use inhost_testbed::*;
use std::time::{Duration, Instant};
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let bin = std::env::args().nth(1).unwrap();
    let mode = std::env::args().nth(2).unwrap();
    let fresh = std::env::args().nth(3).unwrap() == "fresh";
    let mut b = Host::builder(&bin).lattice("scratch");
    b = match mode.as_str() {
        "off" => b.local_dispatch(LocalDispatch::Off),
        "mpsc" => b.backend(Backend::Mpsc),
        _ => b.backend(Backend::Duplex),
    };
    if let Ok(l) = std::env::var("LOGL") {
        b = b.args(["--log-level", &l]).log_file("/tmp/hb/host.log");
    }
    let d = Deployment::start(b).await?;
    d.deploy_pair().await?;
    let driver = d.driver().await?.with_deadline(Duration::from_secs(5));
    for i in 0..2000 {
        let driver = if fresh {
            d.driver().await?.with_deadline(Duration::from_secs(5))
        } else {
            driver.clone()
        };
        let t = Instant::now();
        let before = d.host().status().await?["calls"].clone();
        if let Err(e) = driver.run(Workload::Ping, 0, 2).await {
            println!(
                "iteration {i} {:?}: {e:#}; before {before} status {} {}",
                t.elapsed(),
                d.host().status().await?["calls"],
                d.host().log().tail(5)
            );
            for e in d.host().status().await?["endpoints"].as_array().unwrap() {
                if e["queued"] != 0 {
                    println!("{e}");
                }
            }
            println!("ping {:?}", driver.ping(1).await);
            return Ok(());
        }
    }
    println!("fine");
    Ok(())
}
