//! wasmtime's values and types to those of the WAVE encoding, and back.

use wasm_wave::lex::{Lexer, Token};
use wasm_wave::value::{Type as WaveType, Value};
use wasm_wave::wasm::{WasmTypeKind, WasmValue as _, WasmValueError};
use wasmtime::component::{Type, Val};

/// How many members the types of a function may have in all, to be written down: one that is
/// referred to many times counts each time.
const MAX_MEMBERS: usize = 1 << 14;

/// Makes WAVE types of those of a function.
pub(super) struct Waves {
    left: usize,
}

impl Waves {
    pub(super) fn new() -> Self {
        Self { left: MAX_MEMBERS }
    }

    /// The type as WAVE has it. `None` when a resource is in it: its values mean something only
    /// inside of a component. And when it is too large.
    pub(super) fn of(&mut self, ty: &Type) -> Option<WaveType> {
        self.count(1)?;
        Some(match ty {
            Type::Bool => WaveType::BOOL,
            Type::S8 => WaveType::S8,
            Type::U8 => WaveType::U8,
            Type::S16 => WaveType::S16,
            Type::U16 => WaveType::U16,
            Type::S32 => WaveType::S32,
            Type::U32 => WaveType::U32,
            Type::S64 => WaveType::S64,
            Type::U64 => WaveType::U64,
            Type::Float32 => WaveType::FLOAT32,
            Type::Float64 => WaveType::FLOAT64,
            Type::Char => WaveType::CHAR,
            Type::String => WaveType::STRING,
            Type::List(list) => WaveType::list(self.of(&list.ty())?),
            Type::Option(option) => WaveType::option(self.of(&option.ty())?),
            Type::Result(result) => {
                let (ok, err) = (self.payload(result.ok())?, self.payload(result.err())?);
                WaveType::result(ok, err)
            }
            Type::Tuple(tuple) => {
                let types: Option<Vec<_>> = tuple.types().map(|ty| self.of(&ty)).collect();
                WaveType::tuple(types?)?
            }
            Type::Record(record) => {
                let fields = record.fields();
                let fields: Option<Vec<_>> = fields
                    .map(|field| Some((field.name, self.of(&field.ty)?)))
                    .collect();
                WaveType::record(fields?)?
            }
            Type::Variant(variant) => {
                let cases = variant.cases();
                let cases: Option<Vec<_>> = cases
                    .map(|case| {
                        self.count(1)?;
                        Some((case.name, self.payload(case.ty)?))
                    })
                    .collect();
                WaveType::variant(cases?)?
            }
            Type::Enum(ty) => {
                self.count(ty.names().len())?;
                WaveType::enum_ty(ty.names())?
            }
            Type::Flags(flags) => {
                self.count(flags.names().len())?;
                WaveType::flags(flags.names())?
            }
            Type::Own(_) | Type::Borrow(_) => return None,
        })
    }

    fn payload(&mut self, ty: Option<Type>) -> Option<Option<WaveType>> {
        match ty {
            None => Some(None),
            Some(ty) => self.of(&ty).map(Some),
        }
    }

    fn count(&mut self, members: usize) -> Option<()> {
        self.left = self.left.checked_sub(members)?;
        Some(())
    }
}

/// How deep brackets may be in each other. Types are not nested deeper, and each of them has one pair of brackets.
const MAX_DEPTH: usize = 100;

/// Reads a value of type `ty`. The error says what is wrong with `text`.
pub(super) fn from_wave(ty: &WaveType, text: &str) -> Result<Val, String> {
    check_depth(text)?;
    let value: Value = wasm_wave::from_str(ty, text).map_err(|error| error.to_string())?;
    Ok(val(&value))
}

/// The parser calls itself for each bracket, whatever the type is.
fn check_depth(text: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    for token in Lexer::new(text) {
        match token {
            Ok(Token::BraceOpen | Token::ParenOpen | Token::BracketOpen) => depth += 1,
            Ok(Token::BraceClose | Token::ParenClose | Token::BracketClose) => {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!(
                "more than {MAX_DEPTH} brackets are in each other, which no type has"
            ));
        }
    }
    Ok(())
}

/// The value as text.
///
/// # Errors
///
/// When the value is not of the type.
pub(crate) fn to_wave(ty: &WaveType, val: &Val) -> Result<String, WasmValueError> {
    let value = value(ty, val)?;
    wasm_wave::to_string(&value).map_err(|error| WasmValueError::Other(error.to_string()))
}

fn val(value: &Value) -> Val {
    let boxed = |payload: Option<std::borrow::Cow<'_, Value>>| payload.map(|v| Box::new(val(&v)));
    match value.kind() {
        WasmTypeKind::Bool => Val::Bool(value.unwrap_bool()),
        WasmTypeKind::S8 => Val::S8(value.unwrap_s8()),
        WasmTypeKind::S16 => Val::S16(value.unwrap_s16()),
        WasmTypeKind::S32 => Val::S32(value.unwrap_s32()),
        WasmTypeKind::S64 => Val::S64(value.unwrap_s64()),
        WasmTypeKind::U8 => Val::U8(value.unwrap_u8()),
        WasmTypeKind::U16 => Val::U16(value.unwrap_u16()),
        WasmTypeKind::U32 => Val::U32(value.unwrap_u32()),
        WasmTypeKind::U64 => Val::U64(value.unwrap_u64()),
        WasmTypeKind::Float32 => Val::Float32(value.unwrap_float32()),
        WasmTypeKind::Float64 => Val::Float64(value.unwrap_float64()),
        WasmTypeKind::Char => Val::Char(value.unwrap_char()),
        WasmTypeKind::String => Val::String(value.unwrap_string().into_owned()),
        WasmTypeKind::List => Val::List(value.unwrap_list().map(|v| val(&v)).collect()),
        WasmTypeKind::Tuple => Val::Tuple(value.unwrap_tuple().map(|v| val(&v)).collect()),
        WasmTypeKind::Record => Val::Record(
            value
                .unwrap_record()
                .map(|(name, field)| (name.into_owned(), val(&field)))
                .collect(),
        ),
        WasmTypeKind::Variant => {
            let (case, payload) = value.unwrap_variant();
            Val::Variant(case.into_owned(), boxed(payload))
        }
        WasmTypeKind::Enum => Val::Enum(value.unwrap_enum().into_owned()),
        WasmTypeKind::Option => Val::Option(boxed(value.unwrap_option())),
        WasmTypeKind::Result => Val::Result(match value.unwrap_result() {
            Ok(payload) => Ok(boxed(payload)),
            Err(payload) => Err(boxed(payload)),
        }),
        WasmTypeKind::Flags => {
            Val::Flags(value.unwrap_flags().map(|name| name.into_owned()).collect())
        }
        kind => unreachable!("a value of the kind {kind}, which no type of `Waves` has"),
    }
}

fn value(ty: &WaveType, val: &Val) -> Result<Value, WasmValueError> {
    use wasm_wave::wasm::WasmType as _;

    let many = |types: Vec<WaveType>, vals: &[Val]| -> Result<Vec<Value>, WasmValueError> {
        types.iter().zip(vals).map(|(ty, v)| value(ty, v)).collect()
    };
    let payload = |ty: Option<WaveType>, val: &Option<Box<Val>>| match (ty, val) {
        (Some(ty), Some(val)) => value(&ty, val).map(Some),
        _ => Ok(None),
    };
    match val {
        Val::Bool(v) => Ok(Value::make_bool(*v)),
        Val::S8(v) => Ok(Value::make_s8(*v)),
        Val::U8(v) => Ok(Value::make_u8(*v)),
        Val::S16(v) => Ok(Value::make_s16(*v)),
        Val::U16(v) => Ok(Value::make_u16(*v)),
        Val::S32(v) => Ok(Value::make_s32(*v)),
        Val::U32(v) => Ok(Value::make_u32(*v)),
        Val::S64(v) => Ok(Value::make_s64(*v)),
        Val::U64(v) => Ok(Value::make_u64(*v)),
        Val::Float32(v) => Ok(Value::make_float32(*v)),
        Val::Float64(v) => Ok(Value::make_float64(*v)),
        Val::Char(v) => Ok(Value::make_char(*v)),
        Val::String(v) => Ok(Value::make_string(v.as_str().into())),
        Val::List(vals) => {
            let element = ty.list_element_type().ok_or_else(|| mismatch(ty))?;
            let values: Result<Vec<_>, _> = vals.iter().map(|v| value(&element, v)).collect();
            Value::make_list(ty, values?)
        }
        Val::Tuple(vals) => Value::make_tuple(ty, many(ty.tuple_element_types().collect(), vals)?),
        Val::Record(fields) => {
            let types: Vec<_> = ty.record_fields().map(|(_, ty)| ty).collect();
            let values = types.iter().zip(fields);
            let values: Result<Vec<_>, _> = values
                .map(|(ty, (name, v))| Ok((name.as_str(), value(ty, v)?)))
                .collect();
            Value::make_record(ty, values?)
        }
        Val::Variant(case, val) => {
            let found = ty.variant_cases().find(|(name, _)| name == case);
            let (_, case_ty) = found.ok_or_else(|| WasmValueError::UnknownCase(case.clone()))?;
            let payload = payload(case_ty, val)?;
            Value::make_variant(ty, case, payload)
        }
        Val::Enum(case) => Value::make_enum(ty, case),
        Val::Option(val) => Value::make_option(ty, payload(ty.option_some_type(), val)?),
        Val::Result(val) => {
            let (ok, err) = ty.result_types().ok_or_else(|| mismatch(ty))?;
            let val = match val {
                Ok(val) => Ok(payload(ok, val)?),
                Err(val) => Err(payload(err, val)?),
            };
            Value::make_result(ty, val)
        }
        Val::Flags(names) => Value::make_flags(ty, names.iter().map(String::as_str)),
        Val::Resource(_) => Err(WasmValueError::UnsupportedType("resource".into())),
    }
}

fn mismatch(ty: &WaveType) -> WasmValueError {
    WasmValueError::Other(format!("a value that is no {ty:?}"))
}
