use std::io;
use std::sync::Arc;

use ::loom::future::block_on;
use ::loom::{model, thread};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::sync::stream::{Reader, Streams, Writer};

const PATH: &[usize] = &[0, 1];

fn paths() -> Arc<Paths<Streams>> {
    Arc::new(Paths::new())
}

fn writer(paths: &Paths<Streams>) -> Writer {
    paths.writer(PATH, &Streams).expect("the path is free")
}

fn reader(paths: &Paths<Streams>) -> Reader {
    paths.reader(PATH, &Streams).expect("the path is free")
}

fn write(mut writer: Writer) -> io::Result<usize> {
    block_on(writer.write(b"x"))
}

fn read_all(mut reader: Reader) -> Vec<u8> {
    let mut bytes = Vec::new();
    block_on(reader.read_to_end(&mut bytes)).expect("a clean end");
    bytes
}

#[test]
fn two_sides_that_ask_at_once_get_the_halves_of_one_stream() {
    model(|| {
        let paths = paths();
        let writing = thread::spawn({
            let paths = Arc::clone(&paths);
            move || write(writer(&paths)).expect("someone reads")
        });
        // Kept until the writer has written: a reader that is dropped loses bytes.
        assert_eq!(read_all(reader(&paths)), b"x");
        writing.join().expect("the writing side");
    });
}

#[test]
fn a_reader_that_asks_while_the_writing_side_goes_sees_the_end() {
    model(|| {
        let paths = paths();
        let writing = thread::spawn({
            let paths = Arc::clone(&paths);
            move || paths.gone(Side::Writing)
        });
        assert_eq!(read_all(reader(&paths)), b"");
        writing.join().expect("the writing side");
    });
}

#[test]
fn a_writer_that_asks_while_the_reading_side_goes_has_a_broken_pipe() {
    model(|| {
        let paths = paths();
        let reading = thread::spawn({
            let paths = Arc::clone(&paths);
            move || paths.gone(Side::Reading)
        });
        let writer = writer(&paths);
        reading.join().expect("the reading side");
        let error = write(writer).expect_err("no one reads");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_side_that_writes_and_goes_is_read_by_one_that_asks_meanwhile() {
    model(|| {
        let paths = paths();
        let writing = thread::spawn({
            let paths = Arc::clone(&paths);
            move || {
                write(writer(&paths)).expect("someone reads, or will");
                paths.gone(Side::Writing);
            }
        });
        let bytes = read_all(reader(&paths));
        // It asked before or after the writer. It cannot have asked after the side went and found nothing.
        assert_eq!(bytes, b"x");
        writing.join().expect("the writing side");
    });
}

#[test]
fn two_sides_that_go_while_they_ask_leave_no_one_waiting() {
    model(|| {
        let paths = paths();
        let writing = thread::spawn({
            let paths = Arc::clone(&paths);
            move || {
                let writer = writer(&paths);
                paths.gone(Side::Writing);
                // It has its half, and may be done with it later.
                drop(writer);
            }
        });
        assert_eq!(read_all(reader(&paths)), b"");
        paths.gone(Side::Reading);
        writing.join().expect("the writing side");
    });
}

#[test]
fn a_path_asked_for_twice_at_once_is_given_once() {
    model(|| {
        let paths = paths();
        let other = thread::spawn({
            let paths = Arc::clone(&paths);
            move || paths.writer(PATH, &Streams).is_ok()
        });
        let one = paths.writer(PATH, &Streams).is_ok();
        let other = other.join().expect("the other");
        assert!(one != other);
    });
}
