//! The types of a function, as WIT has them.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use wasm_wave::value::Type as WaveType;
use wasm_wave::wasm::{WasmType as _, WasmTypeKind};
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{Type, Val};

use super::convert::{from_wave, Waves};

/// The types of a function that is called from outside. As text, it is as in WIT, and cut after 4 KiB.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) params: Box<[Typed]>,
    pub(crate) results: Box<[Typed]>,
}

/// A type, as a component has it and as text needs it.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub(crate) ty: Type,
    pub(crate) wave: WaveType,
}

/// Why arguments do not fit a function.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("it is `{signature}`, with {expected} parameters, and {given} arguments were given")]
    Count {
        signature: String,
        expected: usize,
        given: usize,
    },
    #[error("argument {number} is not a `{expected}`: {detail}")]
    Argument {
        number: usize,
        expected: String,
        detail: String,
    },
}

impl Signature {
    /// `None` when values of the function mean nothing outside of the component, as a resource
    /// does, or cannot be written within reason.
    pub(crate) fn of(ty: &ComponentFunc) -> Option<Self> {
        let mut waves = Waves::new();
        let mut typed = |ty| {
            let wave = waves.of(&ty)?;
            Some(Typed { ty, wave })
        };
        Some(Self {
            params: ty.params().map(&mut typed).collect::<Option<_>>()?,
            results: ty.results().map(&mut typed).collect::<Option<_>>()?,
        })
    }

    /// Reads arguments in the WAVE encoding, one text each.
    pub(crate) fn parse(&self, arguments: &[impl AsRef<str>]) -> Result<Vec<Val>, Misfit> {
        self.check_count(arguments.len())?;
        let arguments = self.params.iter().zip(arguments).enumerate();
        arguments
            .map(|(at, (of, text))| {
                from_wave(&of.wave, text.as_ref()).map_err(|detail| Misfit::Argument {
                    number: at + 1,
                    expected: cut(|text| name(text, &of.wave)),
                    detail,
                })
            })
            .collect()
    }

    pub(crate) fn check_count(&self, given: usize) -> Result<(), Misfit> {
        match self.params.len() {
            expected if expected == given => Ok(()),
            expected => Err(Misfit::Count {
                signature: self.to_string(),
                expected,
                given,
            }),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = cut(|text| {
            text.write_str("func(")?;
            commas(text, &self.params)?;
            text.write_str(")")?;
            match &*self.results {
                [] => Ok(()),
                [result] => {
                    text.write_str(" -> ")?;
                    name(text, &result.wave)
                }
                results => {
                    text.write_str(" -> (")?;
                    commas(text, results)?;
                    text.write_str(")")
                }
            }
        });
        f.write_str(&text)
    }
}

/// How long a text of types is at most, in bytes.
const MAX_TEXT: usize = 4096;

/// What `write` writes, up to a length at which people read on.
fn cut(write: impl FnOnce(&mut Short) -> fmt::Result) -> String {
    let mut text = Short(String::new());
    // It fails when it is full.
    if write(&mut text).is_err() {
        text.0.push('…');
    }
    text.0
}

struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_TEXT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

fn commas(text: &mut Short, types: &[Typed]) -> fmt::Result {
    items(text, types.iter(), |text, of| name(text, &of.wave))
}

/// Writes items with commas between them.
fn items<T>(
    text: &mut Short,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Short, T) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.enumerate() {
        if at > 0 {
            text.write_str(", ")?;
        }
        write(text, item)?;
    }
    Ok(())
}

/// Writes a type as WIT has it where it is written in place. The text of WAVE has other names for floats.
fn name(text: &mut Short, ty: &WaveType) -> fmt::Result {
    match ty.kind() {
        WasmTypeKind::Float32 => text.write_str("f32"),
        WasmTypeKind::Float64 => text.write_str("f64"),
        WasmTypeKind::List => of(text, "list", ty.list_element_type()),
        WasmTypeKind::Option => of(text, "option", ty.option_some_type()),
        WasmTypeKind::Result => match ty.result_types() {
            None | Some((None, None)) => text.write_str("result"),
            Some((ok, None)) => of(text, "result", ok),
            Some((ok, err)) => {
                text.write_str("result<")?;
                items(text, [ok, err].into_iter(), |text, ty| match ty {
                    Some(ty) => name(text, &ty),
                    None => text.write_str("_"),
                })?;
                text.write_str(">")
            }
        },
        WasmTypeKind::Tuple => {
            text.write_str("tuple<")?;
            items(text, ty.tuple_element_types(), |text, ty| name(text, &ty))?;
            text.write_str(">")
        }
        WasmTypeKind::Record => members(text, "record", ty.record_fields(), |text, ty| {
            text.write_str(": ")?;
            name(text, &ty)
        }),
        WasmTypeKind::Variant => members(text, "variant", ty.variant_cases(), |text, ty| {
            let Some(ty) = ty else { return Ok(()) };
            text.write_str("(")?;
            name(text, &ty)?;
            text.write_str(")")
        }),
        WasmTypeKind::Enum => {
            let cases = ty.enum_cases().map(|name| (name, ()));
            members(text, "enum", cases, |_, ()| Ok(()))
        }
        WasmTypeKind::Flags => {
            let flags = ty.flags_names().map(|name| (name, ()));
            members(text, "flags", flags, |_, ()| Ok(()))
        }
        simple => write!(text, "{simple}"),
    }
}

fn of(text: &mut Short, outer: &str, inner: Option<WaveType>) -> fmt::Result {
    write!(text, "{outer}<")?;
    inner.map_or(Ok(()), |inner| name(text, &inner))?;
    text.write_str(">")
}

/// Writes what has names, and behind each name what `write` writes.
fn members<'a, T>(
    text: &mut Short,
    kind: &str,
    members: impl Iterator<Item = (Cow<'a, str>, T)>,
    mut write: impl FnMut(&mut Short, T) -> fmt::Result,
) -> fmt::Result {
    write!(text, "{kind} {{ ")?;
    items(text, members, |text, (name, member)| {
        text.write_str(&name)?;
        write(text, member)
    })?;
    text.write_str(" }")
}
