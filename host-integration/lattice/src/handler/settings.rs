//! `wasi:config`, `wasmcloud:secrets` and `wasi:logging`.

use std::sync::Arc;

use anyhow::anyhow;
use async_trait::async_trait;
use tracing::{debug, error, info, trace, warn};
use wasmcloud_runtime::capability::config::store::Error as ConfigError;
use wasmcloud_runtime::capability::logging::logging::Level;
use wasmcloud_runtime::capability::secrets::store::{Secret, SecretValue, SecretsError};
use wasmcloud_runtime::component::{Config, Logging, Secrets};

use super::Handler;

#[async_trait]
impl Config for Handler {
    async fn get(&self, key: &str) -> anyhow::Result<Result<Option<String>, ConfigError>> {
        Ok(Ok(self.component.config.get(key).cloned()))
    }

    async fn get_all(&self) -> anyhow::Result<Result<Vec<(String, String)>, ConfigError>> {
        let mut all: Vec<_> = self.component.config.clone().into_iter().collect();
        all.sort();
        Ok(Ok(all))
    }
}

#[async_trait]
impl Secrets for Handler {
    async fn get(&self, key: &str) -> anyhow::Result<Result<Secret, SecretsError>> {
        Ok(match self.component.secrets.contains_key(key) {
            true => Ok(Arc::new(key.to_owned())),
            false => Err(SecretsError::NotFound),
        })
    }

    async fn reveal(&self, secret: Secret) -> anyhow::Result<SecretValue> {
        let found = self.component.secrets.get(&*secret).cloned();
        found.ok_or_else(|| {
            let id = &self.component.id;
            anyhow!("the component `{id}` has no secret `{secret}`")
        })
    }
}

#[async_trait]
impl Logging for Handler {
    async fn log(&self, level: Level, context: String, message: String) -> anyhow::Result<()> {
        let component = &*self.component.id;
        match level {
            Level::Trace => trace!(target: GUEST, component, context, "{message}"),
            Level::Debug => debug!(target: GUEST, component, context, "{message}"),
            Level::Info => info!(target: GUEST, component, context, "{message}"),
            Level::Warn => warn!(target: GUEST, component, context, "{message}"),
            Level::Error => error!(target: GUEST, component, context, "{message}"),
            Level::Critical => {
                error!(target: GUEST, component, context, critical = true, "{message}")
            }
        }
        Ok(())
    }
}

/// The `tracing` target of what guests log.
const GUEST: &str = "inhost_lattice::guest";
