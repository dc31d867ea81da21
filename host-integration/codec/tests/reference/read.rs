//! What a message means to one who reads it with the readers of the published decoder.

use std::future::Future;
use std::io;
use std::pin::{pin, Pin};
use std::task::{Context, Poll, Waker};

use inhost_codec::Type;
use tokio::io::AsyncReadExt as _;
use wasm_tokio::cm::AsyncReadValue as _;
use wasm_tokio::{AsyncReadCore as _, AsyncReadLeb128 as _, AsyncReadUtf8 as _};

/// What a value means, whatever its type is called. A record or tuple means its fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    Number(i128),
    F32(u32),
    F64(u64),
    Char(char),
    /// Text is its bytes.
    List(Vec<Vec<Meaning>>),
    Case(u32, Vec<Meaning>),
    Flags(Vec<bool>),
    /// The path that its content travels at.
    Stream(Vec<usize>),
}

/// The number that a value is, whatever its type is called. Flags are its bits, the first one the
/// lowest: so they are in the byte that the published encoder makes of up to eight of them.
fn number(meaning: &Meaning) -> Option<i128> {
    match meaning {
        Meaning::Number(number) => Some(*number),
        Meaning::Case(case, none) if none.is_empty() => Some((*case).into()),
        Meaning::Flags(flags) if flags.len() <= 8 => {
            let bits = flags.iter().enumerate();
            Some(bits.map(|(at, set)| i128::from(*set) << at).sum())
        }
        _ => None,
    }
}

/// Whether `read` is what was `meant`. A flag that the reader does not know of is not in `read`.
pub(crate) fn is_as_meant(read: &[Meaning], meant: &[Meaning]) -> bool {
    let alike = |(read, meant): (&Meaning, &Meaning)| match (read, meant) {
        (Meaning::List(read), Meaning::List(meant)) => {
            let mut elements = read.iter().zip(meant);
            read.len() == meant.len() && elements.all(|(read, meant)| is_as_meant(read, meant))
        }
        (Meaning::Case(read, payload), Meaning::Case(meant, meant_payload)) => {
            read == meant && is_as_meant(payload, meant_payload)
        }
        (Meaning::Flags(read), Meaning::Flags(meant)) => {
            let beyond = read.iter().skip(meant.len());
            read.iter().zip(meant).all(|(a, b)| a == b) && beyond.copied().all(|set| !set)
        }
        (read, meant) => match (number(read), number(meant)) {
            (Some(read), Some(meant)) => read == meant,
            _ => read == meant,
        },
    };
    read.len() == meant.len() && read.iter().zip(meant).all(alike)
}

/// Reads values of `types`, and returns how many bytes they have.
pub(crate) fn read(types: &[Type], message: &[u8]) -> io::Result<(Vec<Meaning>, usize)> {
    let reading = async {
        let (mut rest, mut meaning) = (message, Vec::new());
        for (at, ty) in types.iter().enumerate() {
            value(ty, vec![at], &mut rest, &mut meaning).await?;
        }
        io::Result::Ok((meaning, message.len() - rest.len()))
    };
    // All bytes are there: nothing waits.
    match pin!(reading).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read,
        Poll::Pending => unreachable!("a slice has always something to say"),
    }
}

type Reading<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + 'a>>;

fn value<'a>(
    ty: &'a Type,
    path: Vec<usize>,
    r: &'a mut &[u8],
    out: &'a mut Vec<Meaning>,
) -> Reading<'a> {
    Box::pin(async move {
        let meaning = match ty {
            Type::Bool => Meaning::Case(r.read_bool().await?.into(), Vec::new()),
            Type::U8 => Meaning::Number(r.read_u8().await?.into()),
            Type::S8 => Meaning::Number(r.read_i8().await?.into()),
            Type::U16 => Meaning::Number(r.read_u16_leb128().await?.into()),
            Type::S16 => Meaning::Number(r.read_i16_leb128().await?.into()),
            Type::U32 => Meaning::Number(r.read_u32_leb128().await?.into()),
            Type::S32 => Meaning::Number(r.read_i32_leb128().await?.into()),
            Type::U64 => Meaning::Number(r.read_u64_leb128().await?.into()),
            Type::S64 => Meaning::Number(r.read_i64_leb128().await?.into()),
            Type::F32 => Meaning::F32(r.read_u32_le().await?),
            Type::F64 => Meaning::F64(r.read_u64_le().await?),
            Type::Char => Meaning::Char(r.read_char_utf8().await?),
            Type::String => {
                let mut text = String::new();
                r.read_core_name(&mut text).await?;
                let byte = |byte| vec![Meaning::Number(i128::from(byte))];
                Meaning::List(text.bytes().map(byte).collect())
            }
            Type::List(element) => {
                let mut elements = Vec::new();
                for at in 0..r.read_u32_leb128().await? {
                    elements.push(one(element, below(&path, at as usize), r).await?);
                }
                Meaning::List(elements)
            }
            Type::Tuple(types) => {
                for (at, ty) in types.iter().enumerate() {
                    value(ty, below(&path, at), r, out).await?;
                }
                return Ok(());
            }
            Type::Variant(cases) => {
                let case = r.read_u32_leb128().await?;
                let ty = cases
                    .get(case as usize)
                    .ok_or(io::ErrorKind::InvalidInput)?;
                Meaning::Case(case, payload(ty.as_ref(), path, r).await?)
            }
            Type::Option(some) => {
                let is_some = r.read_option_status().await?;
                let ty = is_some.then_some(&**some);
                Meaning::Case(is_some.into(), payload(ty, path, r).await?)
            }
            Type::Result(ok, err) => {
                let is_ok = r.read_result_status().await?;
                let ty = if is_ok { ok } else { err };
                Meaning::Case((!is_ok).into(), payload(ty.as_deref(), path, r).await?)
            }
            Type::Flags(count) => {
                let mut bits = vec![0; count.div_ceil(8)];
                r.read_exact(&mut bits).await?;
                let is_set = |at: usize| bits[at / 8] & (1 << (at % 8)) != 0;
                Meaning::Flags((0..*count).map(is_set).collect())
            }
            Type::Handle(_) => {
                let mut handle = vec![0; r.read_u32_leb128().await? as usize];
                r.read_exact(&mut handle).await?;
                let byte = |byte| vec![Meaning::Number(i128::from(byte))];
                Meaning::List(handle.into_iter().map(byte).collect())
            }
            Type::Stream(_) => Meaning::Stream(path),
        };
        out.push(meaning);
        Ok(())
    })
}

fn below(path: &[usize], at: usize) -> Vec<usize> {
    [path, &[at]].concat()
}

async fn one(ty: &Type, path: Vec<usize>, r: &mut &[u8]) -> io::Result<Vec<Meaning>> {
    let mut meaning = Vec::new();
    value(ty, path, r, &mut meaning).await?;
    Ok(meaning)
}

/// What a case holds has the path of the case.
async fn payload(ty: Option<&Type>, path: Vec<usize>, r: &mut &[u8]) -> io::Result<Vec<Meaning>> {
    match ty {
        Some(ty) => one(ty, path, r).await,
        None => Ok(Vec::new()),
    }
}
