use std::future::poll_fn;
use std::sync::Arc;

use ::loom::future::block_on;
use ::loom::{model, thread};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::sync::stream::Streams;

fn root() -> (Arc<LazyStream<Streams>>, Arc<LazyStream<Streams>>) {
    let root = Arc::new(LazyStream::new());
    (Arc::clone(&root), root)
}

/// Waits for the end. loom finds a wake-up that is lost: then no thread can go on.
fn read_all(root: &LazyStream<Streams>) -> Vec<u8> {
    let mut bytes = Vec::new();
    block_on(async {
        if let Some(mut stream) = poll_fn(|cx| root.poll_begun(cx)).await {
            stream.read_to_end(&mut bytes).await.expect("bytes");
        }
    });
    bytes
}

#[test]
fn a_reader_that_begins_to_wait_gets_what_is_written() {
    model(|| {
        let (near, far) = root();
        let writer = thread::spawn(move || {
            let mut stream = far.begin(&Streams).expect("someone reads");
            block_on(stream.write_all(b"w")).expect("someone reads");
            far.end();
        });
        assert_eq!(read_all(&near), b"w");
        writer.join().expect("the writer");
    });
}

#[test]
fn a_reader_that_begins_to_wait_learns_of_the_end() {
    model(|| {
        let (near, far) = root();
        let writer = thread::spawn(move || far.end());
        assert_eq!(read_all(&near), b"");
        writer.join().expect("the writer");
    });
}

#[test]
fn a_writer_learns_that_its_reader_goes() {
    model(|| {
        let (near, far) = root();
        let reader = thread::spawn(move || near.unread());
        let begun = far.begin(&Streams);
        reader.join().expect("the reader");
        match begun {
            // The half that was left for the reader is gone.
            Ok(mut stream) => {
                let written = block_on(stream.write_all(b"w")).expect_err("no one reads");
                assert_eq!(written.kind(), io::ErrorKind::BrokenPipe);
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
        }
        assert!(far.begin(&Streams).is_err());
    });
}
