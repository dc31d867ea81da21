//! A byte stream by itself, by backend and payload: making one, one payload through it, and a round trip.
#![allow(missing_docs)]

use std::num::NonZeroUsize;

use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};
use inhost_backend_duplex::DuplexBackend;
use inhost_backend_mpsc::MpscBackend;
use inhost_benches::{runtime, BUFFER_BYTES, PAYLOADS};
use inhost_dispatch::Backend;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Writes `payload`, ends the stream, and reads it to its end.
async fn pass<B: Backend>(backend: B, payload: &[u8]) -> usize {
    let (mut writer, mut reader) = backend.stream();
    let mut received = Vec::with_capacity(payload.len());
    let write = async {
        writer.write_all(payload).await.expect("write");
        writer.shutdown().await.expect("shutdown");
    };
    let (read, ()) = tokio::join!(reader.read_to_end(&mut received), write);
    read.expect("read")
}

fn backend<B: Backend>(c: &mut Criterion, name: &str, backend: &B) {
    let runtime = runtime();
    c.bench_function(&format!("streams/make/{name}"), |b| {
        b.iter(|| backend.stream())
    });

    let mut group = c.benchmark_group("streams/one payload");
    for bytes in PAYLOADS {
        let payload = vec![7; bytes];
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(BenchmarkId::new(name, bytes), |b| {
            b.to_async(&runtime)
                .iter(|| pass(backend.clone(), &payload));
        });
    }
    group.finish();

    // Latency: one byte there and one back, between two tasks.
    c.bench_function(&format!("streams/round trip/{name}"), |b| {
        let (mut there, mut from) = backend.stream();
        let (mut to, mut back) = backend.stream();
        let echo = runtime.spawn(async move {
            while let Ok(byte) = from.read_u8().await {
                to.write_u8(byte).await.expect("write");
            }
        });
        b.iter(|| {
            runtime.block_on(async {
                there.write_u8(1).await.expect("write");
                back.read_u8().await.expect("read")
            })
        });
        drop(there);
        runtime.block_on(echo).expect("the echoing task");
    });
}

fn streams(c: &mut Criterion) {
    let limit = NonZeroUsize::new(BUFFER_BYTES).expect("not zero");
    backend(c, "duplex", &DuplexBackend::new(limit));
    backend(c, "mpsc", &MpscBackend::new(limit));
}

criterion_group!(benches, streams);
criterion_main!(benches);
