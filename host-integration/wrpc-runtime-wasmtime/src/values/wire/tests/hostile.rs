//! Bytes that no correct peer sends.

use core::pin::pin;
use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};

use wasmtime::component::Val;

use super::streams::Guest;
use super::transport::channel;
use super::values::known;
use super::{decode, engine, read_value, store, ty};

#[tokio::test]
async fn a_value_that_breaks_off_is_an_unexpected_end() {
    let engine = engine();
    let mut store = store(&engine);
    for (text, _, bytes) in known() {
        let ty = ty(&engine, text);
        for len in 0..bytes.len() {
            let err = decode(&mut store, &bytes[..len], 1, &ty).await;
            let err = err.expect_err("part of a value is no value");
            // A string that breaks off within a character is found not to be UTF-8 first.
            let within = text == "string" && core::str::from_utf8(&bytes[..len]).is_err();
            let kind = if within { InvalidData } else { UnexpectedEof };
            assert_eq!(
                err.kind(),
                kind,
                "{len} bytes of {bytes:?} as {text}: {err}"
            );
        }
    }
}

#[tokio::test]
async fn bytes_outside_of_the_type_are_refused() {
    let engine = engine();
    let mut store = store(&engine);
    let cases: [(&str, &[u8], _); 12] = [
        ("bool", &[2], InvalidData),
        ("(option u8)", &[2, 0], InvalidData),
        ("(result)", &[2], InvalidData),
        ("$color", &[3], InvalidInput),
        ("$color", &[0xff, 0xff, 0xff, 0xff, 0x0f], InvalidInput),
        ("$shape", &[3], InvalidInput),
        ("u16", &[0xff, 0xff, 0x07], InvalidData),
        ("u32", &[0xff, 0xff, 0xff, 0xff, 0x1f], InvalidData),
        ("s16", &[0x80, 0x80, 0x80, 0x00], InvalidData),
        ("char", &[0xff], InvalidInput),
        ("char", &[0xed, 0xa0, 0x80], InvalidInput),
        ("string", &[1, 0xff], InvalidData),
    ];
    for (text, bytes, kind) in cases {
        let err = decode(&mut store, bytes, usize::MAX, &ty(&engine, text)).await;
        let err = err.expect_err("bytes outside of the type");
        assert_eq!(err.kind(), kind, "{bytes:?} as {text}: {err}");
    }
}

#[tokio::test]
async fn what_no_memory_of_a_guest_holds_is_refused_when_it_says_how_large_it_is() {
    let engine = engine();
    let mut store = store(&engine);
    // Two lists, of which the first alone takes all that can be addressed.
    let bytes = [2, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let err = decode(&mut store, &bytes, 1, &ty(&engine, "(list (list u8))")).await;
    let err = err.expect_err("more than 4 GiB");
    assert_eq!(err.kind(), InvalidInput);
    for part in ["4294967295 bytes", "4294967294 are left", "as a stream"] {
        assert!(err.to_string().contains(part), "{err}");
    }
}

/// Were memory reserved for what is claimed, it would be 128 GiB and more, which allocators refuse.
#[tokio::test]
async fn a_claimed_length_reserves_no_memory() {
    let engine = engine();
    let mut store = store(&engine);
    let bytes = [0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 1];
    for text in [
        "(list u8)",
        "(list u64)",
        "(list (tuple string string))",
        "(list (list $point))",
        "string",
    ] {
        let err = decode(&mut store, &bytes, usize::MAX, &ty(&engine, text)).await;
        let err = err.expect_err("a list that breaks off");
        assert_eq!(err.kind(), UnexpectedEof, "{text}: {err}");
    }
}

#[tokio::test]
async fn flags_that_the_type_does_not_define_are_ignored() -> wasmtime::Result<()> {
    let engine = engine();
    let mut store = store(&engine);
    let flags = decode(&mut store, &[0xf1], 1, &ty(&engine, "$flags3")).await?;
    assert_eq!(flags, Val::Flags(vec!["x0".into()]));
    Ok(())
}

/// A stream takes no bytes in the value that holds it, so nothing else would stop a list of them.
#[tokio::test]
async fn a_claimed_number_of_streams_is_bounded() -> wasmtime::Result<()> {
    let mut guest = Guest::new().await?;
    let ty = guest.param("count")?;
    let (outgoing, incoming) = channel();
    let (mut w, mut r) = (pin!(outgoing), pin!(incoming));
    tokio::io::AsyncWriteExt::write_all(&mut w, &[0xff, 0xff, 0xff, 0xff, 0x0f]).await?;
    let mut val = Val::Bool(false);
    let err = read_value(&mut guest.store, &mut r, &[], &mut val, &ty, &[0])
        .await
        .expect_err("billions of streams");
    assert_eq!(err.kind(), InvalidData);
    assert!(err.to_string().contains("4096"), "{err}");
    Ok(())
}
