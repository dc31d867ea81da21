//! A whole local call without wasm: the route, the queue, two streams, and a callee that sends back what it gets.
#![allow(missing_docs)]

use std::num::NonZeroUsize;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use futures::StreamExt as _;
use inhost_backend_duplex::DuplexBackend;
use inhost_backend_mpsc::MpscBackend;
use inhost_benches::{runtime, BUFFER_BYTES, PAYLOADS};
use inhost_conformance::support::{read_all, Host};
use inhost_dispatch::Backend;
use tokio::io::AsyncWriteExt as _;

/// Calls the function once and reads its results to their end. A client is made for each call, as the host does.
async fn call<B: Backend>(host: &Host<B>, params: &'static [u8]) -> usize {
    let (mut outgoing, mut incoming) = host.invoke("", params).await.expect("invoke");
    outgoing.shutdown().await.expect("shutdown");
    read_all(&mut incoming).await.expect("results").len()
}

fn backend<B: Backend>(c: &mut Criterion, name: &str, backend: B) {
    let runtime = runtime();
    let host = Host::new(backend);
    let mut served = runtime.block_on(host.serve());
    let callee = runtime.spawn(async move {
        while let Some((_, mut outgoing, mut incoming)) = served.next().await {
            // As the host does: each invocation runs in a task of its own.
            tokio::spawn(async move {
                tokio::io::copy(&mut incoming, &mut outgoing)
                    .await
                    .expect("copy");
                outgoing.shutdown().await.expect("shutdown");
            });
        }
    });
    let mut group = c.benchmark_group("dispatch/call");
    for bytes in PAYLOADS {
        let params: &'static [u8] = vec![7; bytes].leak();
        assert_eq!(runtime.block_on(call(&host, params)), bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new(name, bytes), |b| {
            b.to_async(&runtime).iter(|| call(&host, params));
        });
    }
    group.finish();
    callee.abort();
}

fn dispatch(c: &mut Criterion) {
    let limit = NonZeroUsize::new(BUFFER_BYTES).expect("not zero");
    backend(c, "duplex", DuplexBackend::new(limit));
    backend(c, "mpsc", MpscBackend::new(limit));
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
