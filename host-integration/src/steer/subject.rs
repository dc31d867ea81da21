//! Commands over NATS, on a subject of the host.

use std::sync::Arc;

use anyhow::Context as _;
use async_nats::{Client, ConnectOptions, Subscriber};
use futures::StreamExt as _;
use tokio::task::JoinSet;
use tracing::{info, warn};
use wasmcloud_host::WasmbusHostConfig;

use super::{Steering, Way};
use crate::{host_config, nats_credentials};

/// Takes commands for as long as it lives.
pub(crate) struct Subject {
    _task: JoinSet<()>,
}

impl Subject {
    /// Subscribes `wasmbus.local.{lattice}.mode.{host}` over a connection of its own, with the
    /// address and credentials of the control interface.
    ///
    /// # Errors
    ///
    /// When the NATS server cannot be reached.
    pub(crate) async fn start(
        steering: Arc<Steering>,
        config: &mut WasmbusHostConfig,
    ) -> anyhow::Result<Self> {
        let host = host_config::host_id(config);
        let subject = format!("wasmbus.local.{}.mode.{host}", config.lattice);
        let (client, commands) = subscribe(config, &subject).await?;
        info!(subject, "the mode of calls can be changed over NATS");
        let mut task = JoinSet::new();
        task.spawn(answer(steering, client, commands));
        Ok(Self { _task: task })
    }
}

async fn subscribe(
    config: &WasmbusHostConfig,
    subject: &str,
) -> anyhow::Result<(Client, Subscriber)> {
    let options: ConnectOptions = nats_credentials::connect_options(
        config.ctl_jwt.clone(),
        config.ctl_key.clone(),
        config.ctl_tls,
    );
    let client = options
        .name("wasmcloud steering")
        .connect(config.ctl_nats_url.as_str())
        .await
        .context(
            "`--local-steer on`: cannot connect to the NATS server of the control interface",
        )?;
    let commands = client.subscribe(subject.to_owned()).await;
    let commands =
        commands.with_context(|| format!("`--local-steer on`: cannot subscribe `{subject}`"))?;
    client
        .flush()
        .await
        .context("`--local-steer on`: the NATS server does not answer")?;
    Ok((client, commands))
}

async fn answer(steering: Arc<Steering>, client: Client, mut commands: Subscriber) {
    while let Some(command) = commands.next().await {
        let answer = steering.command(&command.payload, Way::Nats);
        let Some(reply) = command.reply else {
            continue;
        };
        if let Err(error) = client.publish(reply, answer.json().into()).await {
            warn!(%error, "`--local-steer`: a command cannot be answered");
        }
    }
}
