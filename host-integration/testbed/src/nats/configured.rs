//! A server with a configuration file, which can change while the server runs.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, Context as _};

use super::search::Search;
use super::server::{files, NatsServer, DEADLINE};
use crate::log::Log;
use crate::wait::until;

/// What the server says when it has taken another configuration.
const RELOADED: &str = "Reloaded server configuration";

impl NatsServer {
    /// Finds a server as [`Search::find`] does, and starts it with a configuration file of this
    /// text. Addresses, ports and JetStream are set on its command line, and count.
    ///
    /// Users in the file are what it is for: [`NatsServer::client_as`] is one of them, and
    /// `no_auth_user` those who do not say who they are.
    ///
    /// # Errors
    ///
    /// As for [`NatsServer::start`], and when the server does not take the configuration.
    pub async fn start_with(config: &str) -> anyhow::Result<Self> {
        let found = tokio::task::spawn_blocking(|| Search::from_env().find()).await??;
        let files = files()?;
        std::fs::write(config_file(files.path()), config)?;
        Self::start_in(files, &found.binary).await
    }

    /// Gives a server that was [started with](Self::start_with) a configuration another one, and
    /// waits until it has taken it. Who is connected stays so, and may do what the new one allows.
    ///
    /// # Errors
    ///
    /// When the server does not take the configuration within 20 seconds.
    ///
    /// # Panics
    ///
    /// When the server is killed.
    pub async fn reload(&self, config: &str) -> anyhow::Result<()> {
        let count = |log: &Log| {
            let lines = log.lines();
            lines.iter().filter(|it| it.contains(RELOADED)).count()
        };
        let before = count(&self.log);
        std::fs::write(config_file(self.files.path()), config)?;
        self.signal("HUP")?;
        let what = "the nats-server does not take another configuration";
        until(what, DEADLINE, async || Ok(count(&self.log) > before))
            .await
            .map_err(|error| anyhow!("{error}. Its last lines:\n{}", self.log.tail(5)))
    }

    /// As [`NatsServer::client`], as a user of the configuration that the server was [started with](Self::start_with).
    ///
    /// # Errors
    ///
    /// As for [`NatsServer::client`], and when there is no such user.
    pub async fn client_as(
        &self,
        user: &str,
        password: &str,
    ) -> anyhow::Result<async_nats::Client> {
        let options =
            async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
        let client = options.connect(self.url()).await;
        client.with_context(|| format!("cannot connect to {} as {user}", self.url()))
    }
}

/// Where the configuration of a server is that has one.
pub(super) fn config_file(files: &Path) -> PathBuf {
    files.join("server.conf")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use futures::StreamExt as _;

    #[tokio::test]
    async fn what_a_user_may_do_changes_while_the_user_is_connected() {
        let config = |deny: &str| {
            let user = format!(
                "{{ user: who, password: p, permissions: {{ publish: {{ deny: [{deny}] }} }} }}"
            );
            format!("authorization {{ users: [{user}, {{ user: all, password: p }}] }}\nno_auth_user: who\n")
        };
        let server = NatsServer::start_with(&config("")).await.unwrap();
        let all = server.client_as("all", "p").await.unwrap();
        let mut heard = all.subscribe("a.>").await.unwrap();
        crate::wrpc::settle(&all).await.unwrap();
        let who = server.client().await.unwrap();
        for (deny, expected) in [("\"a.b\"", "a.c"), ("", "a.b")] {
            server.reload(&config(deny)).await.unwrap();
            for subject in ["a.b", "a.c"] {
                who.publish(subject, "hello".into()).await.unwrap();
            }
            crate::wrpc::settle(&who).await.unwrap();
            assert_eq!(&*heard.next().await.unwrap().subject, expected);
        }
        // And so after it was away.
        server.reload(&config("\"a.>\"")).await.unwrap();
        server.kill();
        server.restart().await.unwrap();
        let who = server.client().await.unwrap();
        who.publish("a.b", "hello".into()).await.unwrap();
        crate::wrpc::settle(&who).await.unwrap();
        crate::wrpc::settle(&all).await.unwrap();
        let rest = tokio::time::timeout(Duration::from_millis(50), async {
            heard.next().await.unwrap().subject
        });
        assert_eq!(&*rest.await.unwrap(), "a.c");
    }
}
