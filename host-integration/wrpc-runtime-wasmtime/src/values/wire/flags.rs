//! `flags` as little-endian bits, in as many bytes as the type needs.

use std::collections::HashSet;
use std::io;

use anyhow::ensure;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use wasmtime::component::types::Flags;

/// How many bytes `count` flags take. A type without flags takes one byte too.
fn byte_count(count: usize) -> usize {
    count.div_ceil(8).max(1)
}

/// Appends the bits of the flags in `set`.
pub(super) fn encode(set: &[String], ty: &Flags, dst: &mut BytesMut) -> wasmtime::Result<()> {
    let names = ty.names();
    let set: HashSet<&str> = set.iter().map(String::as_str).collect();
    let start = dst.len();
    dst.resize(start + byte_count(names.len()), 0);
    let bits = &mut dst[start..];
    let mut found = 0;
    for (i, name) in names.enumerate() {
        if set.contains(name) {
            bits[i / 8] |= 1 << (i % 8);
            found += 1;
        }
    }
    ensure!(found == set.len(), "unknown flag in a value of type flags");
    Ok(())
}

/// Reads the names of the flags that are set. Bits that the type does not define are ignored.
pub(super) async fn read(r: &mut (impl AsyncRead + Unpin), ty: &Flags) -> io::Result<Vec<String>> {
    let names = ty.names();
    // Its size follows from the type. No peer has a say in it.
    let mut bits = vec![0; byte_count(names.len())];
    r.read_exact(&mut bits).await?;
    Ok(names
        .enumerate()
        .filter(|(i, _)| bits[i / 8] & (1 << (i % 8)) != 0)
        .map(|(_, name)| name.into())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::byte_count;

    #[test]
    fn eight_flags_share_a_byte_and_none_take_one() {
        let counts = [0, 1, 8, 9, 16, 17, 32, 33, 64, 65, 128, 129, 136, 137];
        let bytes = [1, 1, 1, 2, 2, 3, 4, 5, 8, 9, 16, 17, 17, 18];
        assert_eq!(counts.map(byte_count), bytes);
    }
}
