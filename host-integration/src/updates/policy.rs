//! Asks the policy service what the host would ask it, before the host does.
//!
//! The host library remembers each answer about a component and an image, a denial included, and
//! from then on refuses whatever comes for them without asking: a scale, and a stop. (Upstream:
//! `Manager::evaluate_action`.) It asks nothing at an update. So what follows from an update must
//! not be what brings a denial: nothing is made anew while the answer to this is no.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use async_nats::Client;
use tokio::time::timeout;
use tracing::debug;
use wascap::jwt;
use wasmcloud_host::{
    OciConfig, PolicyHostInfo, PolicyManager, RegistryAuth, RegistryConfig, RegistryType,
    WasmbusHostConfig,
};
use wasmcloud_runtime::component::claims_token;

use super::host::Place;

/// How long an image may take to fetch, before the question is left to the host.
const FETCHING: Duration = Duration::from_secs(30);

/// What a component says of itself, and who has signed it.
type Claims = jwt::Claims<jwt::Component>;

/// A policy service that the host asks, and where the host finds the images that it asks about.
pub(super) struct Policy {
    topic: String,
    /// How long an answer may take. The host library's default without it.
    timeout: Option<Duration>,
    allow_file_load: bool,
    additional_ca_paths: Vec<PathBuf>,
    registries: HashMap<String, RegistryConfig>,
    /// The claims of the image that was denied last: it may be asked about often.
    last: Mutex<Option<(String, Option<Claims>)>>,
}

/// What may be started.
pub(super) struct Start<'a> {
    pub(super) id: &'a str,
    pub(super) reference: &'a str,
    pub(super) count: u32,
    pub(super) annotations: BTreeMap<String, String>,
    /// The labels of the host.
    pub(super) labels: HashMap<String, String>,
}

impl Policy {
    /// That of a host with this configuration. None if it asks no one.
    pub(super) fn of(config: &WasmbusHostConfig) -> Option<Self> {
        let service = &config.policy_service_config;
        let topic = service.policy_topic.clone()?;
        Some(Self {
            topic,
            timeout: service.policy_timeout_ms,
            allow_file_load: config.allow_file_load,
            additional_ca_paths: config.oci_opts.additional_ca_paths.clone(),
            registries: registries(&config.oci_opts),
            last: Mutex::default(),
        })
    }

    /// Why a component may not be started. None if it may, or if the host is to ask by itself, as
    /// it is not known here what it would: the image cannot be had.
    ///
    /// # Errors
    ///
    /// When the policy service does not answer.
    pub(super) async fn denial(
        &self,
        client: &Client,
        place: &Place,
        start: Start<'_>,
    ) -> anyhow::Result<Option<String>> {
        let claims = match self.claims(start.reference).await {
            Ok(claims) => claims,
            Err(error) => {
                debug!(
                    component = start.id,
                    reference = start.reference,
                    ?error,
                    "policy is left to the host"
                );
                return Ok(None);
            }
        };
        let host = PolicyHostInfo {
            public_key: place.host_id.clone(),
            lattice: place.lattice.to_string(),
            labels: start.labels,
        };
        // A new one has nothing to remember. It hears of no changes, as it is gone with the answer.
        let manager = PolicyManager::new(
            client.clone(),
            host,
            Some(self.topic.clone()),
            self.timeout,
            None,
        );
        let answer = manager
            .await?
            .evaluate_start_component(
                start.id,
                start.reference,
                start.count,
                &start.annotations,
                claims.as_ref(),
            )
            .await
            .context("the policy service does not answer")?;
        if answer.permitted {
            // It is not asked about again soon, and another image may come under the same reference.
            *self.last() = None;
        }
        let why = || {
            answer
                .message
                .unwrap_or_else(|| "it does not say why".into())
        };
        Ok((!answer.permitted).then(why))
    }

    /// What the image says of itself.
    async fn claims(&self, reference: &str) -> anyhow::Result<Option<Claims>> {
        if let Some((of, claims)) = &*self.last() {
            if of == reference {
                return Ok(claims.clone());
            }
        }
        let image = wasmcloud_host::fetch_component(
            reference,
            self.allow_file_load,
            &self.additional_ca_paths,
            &self.registries,
        );
        let image = timeout(FETCHING, image)
            .await
            .context("the image takes too long")??;
        // All of the image is hashed.
        let token = tokio::task::spawn_blocking(move || claims_token(image)).await??;
        let claims = token.map(|it| it.claims);
        *self.last() = Some((reference.to_owned(), claims.clone()));
        Ok(claims)
    }

    fn last(&self) -> MutexGuard<'_, Option<(String, Option<Claims>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How each registry is to be spoken to, as far as flags say it. What a configuration service says
/// besides is the host's alone.
fn registries(oci: &OciConfig) -> HashMap<String, RegistryConfig> {
    let names = oci.oci_registry.iter().chain(&oci.allowed_insecure);
    let all = names.filter_map(|name| {
        let auth = match oci.oci_registry.as_ref() == Some(name) {
            true => RegistryAuth::from((oci.oci_user.clone(), oci.oci_password.clone())),
            false => RegistryAuth::default(),
        };
        let config = RegistryConfig::builder()
            .reg_type(RegistryType::Oci)
            .auth(auth)
            .allow_insecure(oci.allowed_insecure.contains(name))
            .allow_latest(oci.allow_latest)
            .additional_ca_paths(oci.additional_ca_paths.clone())
            .build();
        Some((name.clone(), config.ok()?))
    });
    all.collect()
}
