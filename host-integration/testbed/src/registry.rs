//! An image registry that takes its time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";

/// An OCI registry on a free port of the loopback interface, without TLS and without users. It
/// serves images to pull, and lets those who ask wait for as long as was said.
///
/// Serving ends when it is dropped.
#[derive(Debug)]
pub struct ImageRegistry {
    address: SocketAddr,
    images: Images,
    task: JoinHandle<()>,
}

type Images = Arc<Mutex<HashMap<String, Image>>>;

#[derive(Clone, Debug)]
struct Image {
    wasm: Vec<u8>,
    delay: Duration,
}

/// What is answered to a request.
#[derive(Default)]
struct Answer {
    kind: &'static str,
    body: Vec<u8>,
}

impl ImageRegistry {
    /// Starts a registry without images.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub async fn serve() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("cannot listen for an image registry")?;
        let address = listener.local_addr()?;
        let images = Images::default();
        let served = Arc::clone(&images);
        let task = tokio::spawn(async move {
            // They end with this task.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(connection(stream, Arc::clone(&served)));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            images,
            task,
        })
    }

    /// Has the component `wasm` under `name`, and returns its reference. Each answer with its
    /// manifest comes after `delay`; a host asks for that whenever it fetches the image, also when
    /// it has it in its cache.
    pub fn put(&self, name: &str, wasm: Vec<u8>, delay: Duration) -> String {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.insert(name.to_owned(), Image { wasm, delay });
        format!("{}/{name}:1", self.address)
    }

    /// What a host's `--allowed-insecure` is to name.
    #[must_use]
    pub fn name(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for ImageRegistry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request.
async fn connection(stream: TcpStream, images: Images) {
    let mut stream = BufReader::new(stream);
    let Ok(Some(path)) = request(&mut stream).await else {
        return;
    };
    let (status, answer) = match answer(&path, &images).await {
        Some(answer) => ("200 OK", answer),
        None => ("404 Not Found", Answer::default()),
    };
    let Answer { kind, body } = answer;
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    );
    // Who has gone needs no answer.
    let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
    let _ = stream.shutdown().await;
}

/// The path of a request; `None` when there is none.
async fn request(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut path = None;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" if path.is_some() => return Ok(path),
            first if path.is_none() => path = first.split(' ').nth(1).map(str::to_owned),
            _ => {}
        }
    }
}

async fn answer(path: &str, images: &Images) -> Option<Answer> {
    let path = path.strip_prefix("/v2/")?;
    let Some((name, rest)) = path.split_once('/') else {
        // Whether a user is needed.
        return path.is_empty().then(|| Answer {
            kind: "application/json",
            body: b"{}".into(),
        });
    };
    let image = images
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(name)
        .cloned()?;
    let (kind, body) = match rest.split_once('/')? {
        ("manifests", _) => {
            tokio::time::sleep(image.delay).await;
            let describe = |kind: &str, body: &[u8]| json!({ "mediaType": kind, "digest": digest(body), "size": body.len() });
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": describe(CONFIG, b"{}"),
                "layers": [describe(LAYER, &image.wasm)],
            });
            (MANIFEST, manifest.to_string().into_bytes())
        }
        ("blobs", asked) if asked == digest(b"{}") => (CONFIG, b"{}".into()),
        ("blobs", asked) if asked == digest(&image.wasm) => (LAYER, image.wasm),
        _ => return None,
    };
    Some(Answer { kind, body })
}

fn digest(body: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{get_json, get_text};

    #[tokio::test]
    async fn an_image_is_described_after_the_time_that_was_said_and_can_be_had() {
        let registry = ImageRegistry::serve().await.unwrap();
        let delay = Duration::from_millis(50);
        let reference = registry.put("image", b"wasm".into(), delay);
        assert_eq!(reference, format!("{}/image:1", registry.name()));
        let asked = std::time::Instant::now();
        let manifest = get_json(registry.address, "/v2/image/manifests/1")
            .await
            .unwrap();
        assert!(asked.elapsed() >= delay);
        let digest = manifest["layers"][0]["digest"].as_str().unwrap();
        let blob = get_text(registry.address, &format!("/v2/image/blobs/{digest}")).await;
        assert_eq!(blob.unwrap(), "wasm");
        let other = get_json(registry.address, "/v2/other/manifests/1").await;
        other.unwrap_err();
    }
}
