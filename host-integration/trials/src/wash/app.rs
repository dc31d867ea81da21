//! An application, deployed by `wash app` and `wadm`.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context as _};
use inhost_testbed::{runs, until, Guest, CALLEE, HTTP};

use super::checks::Checks;
use super::scenes::{call_in_memory, count, Stage, DEADLINE};
use super::user::WADM_ID;

/// The version of `wadm` that is built, as `wash up` has to be told it.
const VERSION: &str = "v0.20.0";

/// The name of the application.
const NAME: &str = "pair";

/// Two components and a link are deployed and undeployed.
pub(super) async fn app(stage: &Stage<'_>, wadm: &Path, checks: &mut Checks) -> anyhow::Result<()> {
    let mut user = stage.user("app")?;
    checks.begin("`wash up` starts wadm beside this host");
    // A wadm that is there in the right version is not downloaded.
    let downloads = user.downloads();
    fs::create_dir_all(&downloads)
        .with_context(|| format!("cannot create {}", downloads.display()))?;
    fs::copy(wadm, downloads.join("wadm"))
        .with_context(|| format!("cannot copy {}", wadm.display()))?;
    let more = ["--wadm-version", VERSION];
    user.up(stage.host, &more, &[]).await?;
    let process = user.id_in(WADM_ID)?;
    until("wadm does not answer", DEADLINE, async || {
        Ok(user.wash(&["app", "list"]).await.is_ok())
    })
    .await?;

    checks.begin("`wash app deploy` deploys two components and a link");
    let file = downloads.join("app.yaml");
    fs::write(&file, manifest()?).with_context(|| format!("cannot write {}", file.display()))?;
    let file = file.to_string_lossy();
    user.wash(&["app", "deploy", &*file]).await?;
    until("the application is not deployed", DEADLINE, async || {
        let status = user.wash(&["app", "status", NAME]).await?;
        Ok(status["status"]["status"]["type"] == "deployed")
    })
    .await?;

    checks.begin("the call of one by the other is in memory");
    call_in_memory(&user).await?;

    checks.begin("`wash app undeploy` takes them away");
    user.wash(&["app", "undeploy", NAME]).await?;
    until("there are components", DEADLINE, async || {
        Ok(count(&user.inventory().await?["components"]) == 0)
    })
    .await?;

    checks.begin("`wash down` stops the host and wadm");
    let answer = user.wash(&["down"]).await?;
    ensure!(answer["wadm_stopped"] == true, "{answer}");
    user.host_is_gone().await?;
    until("wadm still runs", DEADLINE, async || Ok(!runs(process))).await
}

/// The application: the HTTP guest, which calls the callee.
fn manifest() -> anyhow::Result<String> {
    let (http, callee) = (Guest::Http.reference()?, Guest::Callee.reference()?);
    Ok(format!(
        r#"apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: {NAME}
  annotations:
    description: Two components and a link
spec:
  components:
    - name: {HTTP}
      type: component
      properties:
        image: "{http}"
        id: {HTTP}
      traits:
        - type: spreadscaler
          properties:
            instances: 10
        - type: link
          properties:
            target:
              name: {CALLEE}
            namespace: inhost
            package: demo
            interfaces: [echo]
    - name: {CALLEE}
      type: component
      properties:
        image: "{callee}"
        id: {CALLEE}
      traits:
        - type: spreadscaler
          properties:
            instances: 10
"#
    ))
}
