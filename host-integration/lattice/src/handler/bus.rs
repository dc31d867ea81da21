//! `wasmcloud:bus/lattice`: a component chooses between its links.

use std::sync::Arc;

use async_trait::async_trait;
use wasmcloud_runtime::capability::CallTargetInterface;
use wasmcloud_runtime::component::{Bus, Bus1_0_0};

use super::Handler;

#[async_trait]
impl Bus for Handler {
    async fn set_link_name(
        &self,
        link_name: String,
        interfaces: Vec<Arc<CallTargetInterface>>,
    ) -> anyhow::Result<Result<(), String>> {
        let interfaces: Vec<_> = interfaces
            .iter()
            .map(|interface| interface.as_instance())
            .collect();
        let links = &self.component.links;
        let missing = interfaces
            .iter()
            .find(|interface| !links.has(&link_name, interface));
        if let Some(interface) = missing {
            return Ok(Err(format!(
                "the component `{}` has no link `{link_name}` of `{interface}`; {}",
                self.component.id,
                links.list()
            )));
        }
        self.choose(&link_name, interfaces);
        Ok(Ok(()))
    }
}

#[async_trait]
impl Bus1_0_0 for Handler {
    /// In this version it cannot fail: a link that is not there is an error of the call over it.
    async fn set_link_name(&self, link_name: String, interfaces: Vec<Arc<CallTargetInterface>>) {
        let interfaces = interfaces.iter();
        self.choose(
            &link_name,
            interfaces.map(|interface| interface.as_instance()),
        );
    }
}
