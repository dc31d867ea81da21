//! wadm, with the options of its own program.

use clap::Parser as _;
use wadm::config::WadmConfig;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = WadmConfig::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let mut tasks = wadm::start_wadm(config).await?;
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}
