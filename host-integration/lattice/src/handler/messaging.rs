//! `wasmcloud:messaging`: there is no broker, so messages go to the component that the link leads to.

use anyhow::{bail, Error};
use wasmcloud_runtime::capability::messaging0_2_0::types::BrokerMessage;
use wasmcloud_runtime::capability::messaging0_3_0::request_reply::RequestOptions;
use wasmcloud_runtime::capability::messaging0_3_0::types::{
    Error as MessagingError, Message, Topic,
};
use wasmcloud_runtime::capability::wrpc::wasmcloud::messaging0_2_0 as remote;
use wasmcloud_runtime::component::{
    Messaging0_2, Messaging0_3, MessagingClient0_3, MessagingHostMessage0_3,
};

use super::Handler;

impl Messaging0_2 for Handler {
    async fn request(
        &self,
        subject: String,
        body: Vec<u8>,
        timeout_ms: u32,
    ) -> anyhow::Result<Result<BrokerMessage, String>> {
        let body = body.into();
        let answer = remote::consumer::request(self, None, &subject, &body, timeout_ms).await?;
        Ok(answer.map(|message| BrokerMessage {
            subject: message.subject,
            body: message.body.into(),
            reply_to: message.reply_to,
        }))
    }

    async fn publish(&self, message: BrokerMessage) -> anyhow::Result<Result<(), String>> {
        let message = remote::types::BrokerMessage {
            subject: message.subject,
            body: message.body.into(),
            reply_to: message.reply_to,
        };
        remote::consumer::publish(self, None, &message).await
    }
}

/// An experiment of the host, which is off here: the runtime then links what imports it to other components, and calls
/// none of these.
impl Messaging0_3 for Handler {
    async fn connect(
        &self,
        _name: String,
    ) -> Result<Result<Box<dyn MessagingClient0_3 + Send + Sync>, MessagingError>, Error> {
        unavailable()
    }

    async fn send(
        &self,
        _client: &(dyn MessagingClient0_3 + Send + Sync),
        _topic: Topic,
        _message: Message,
    ) -> Result<Result<(), MessagingError>, Error> {
        unavailable()
    }

    async fn request(
        &self,
        _client: &(dyn MessagingClient0_3 + Send + Sync),
        _topic: Topic,
        _message: &Message,
        _options: Option<RequestOptions>,
    ) -> Result<Result<Vec<Box<dyn MessagingHostMessage0_3 + Send + Sync>>, MessagingError>, Error>
    {
        unavailable()
    }

    async fn reply(
        &self,
        _reply_to: &Message,
        _message: Message,
    ) -> Result<Result<(), MessagingError>, Error> {
        unavailable()
    }
}

fn unavailable<T>() -> anyhow::Result<T> {
    bail!("`wasmcloud:messaging@0.3.0` is an experiment that this lattice does not have: use version 0.2.0")
}
