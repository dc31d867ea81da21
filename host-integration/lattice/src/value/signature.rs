//! The types of a function, as WIT has them.

use std::fmt::{self, Write as _};

use wasm_wave::value::Type as WaveType;
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
    /// `None` when values of the function mean nothing outside of the component, as a resource does, or cannot be written
    /// within reason.
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
                    expected: cut(|text| write!(text, "{}", of.wave)),
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
                [result] => write!(text, " -> {}", result.wave),
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
    for (at, of) in types.iter().enumerate() {
        if at > 0 {
            text.write_str(", ")?;
        }
        write!(text, "{}", of.wave)?;
    }
    Ok(())
}
