//! wasmtime's types as the codec has them.

use inhost_codec::{Plan, Type as Plain, Unsupported};
use wasmtime::component::Type;

/// Why a function does not take the plain path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotPlain {
    #[error("it has a resource, or something made of one such as a stream")]
    Resource,
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
}

pub(super) fn plan(types: impl Iterator<Item = Type>) -> Result<Plan, NotPlain> {
    let types: Vec<_> = types.map(|ty| plain(&ty)).collect::<Result<_, _>>()?;
    Ok(Plan::new(&types)?)
}

fn plain(ty: &Type) -> Result<Plain, NotPlain> {
    let optional = |ty: Option<Type>| ty.as_ref().map(plain).transpose();
    Ok(match ty {
        Type::Bool => Plain::Bool,
        Type::S8 => Plain::S8,
        Type::U8 => Plain::U8,
        Type::S16 => Plain::S16,
        Type::U16 => Plain::U16,
        Type::S32 => Plain::S32,
        Type::U32 => Plain::U32,
        Type::S64 => Plain::S64,
        Type::U64 => Plain::U64,
        Type::Float32 => Plain::F32,
        Type::Float64 => Plain::F64,
        Type::Char => Plain::Char,
        Type::String => Plain::String,
        Type::List(list) => Plain::list(plain(&list.ty())?),
        Type::Record(record) => {
            let fields = record.fields().map(|field| plain(&field.ty));
            Plain::Tuple(fields.collect::<Result<_, _>>()?)
        }
        Type::Tuple(tuple) => {
            let types = tuple.types().map(|ty| plain(&ty));
            Plain::Tuple(types.collect::<Result<_, _>>()?)
        }
        Type::Variant(variant) => {
            let cases = variant.cases().map(|case| optional(case.ty));
            Plain::Variant(cases.collect::<Result<_, _>>()?)
        }
        Type::Enum(ty) => Plain::Variant(vec![None; ty.names().len()]),
        Type::Option(option) => Plain::option(plain(&option.ty())?),
        Type::Result(result) => Plain::result(optional(result.ok())?, optional(result.err())?),
        Type::Flags(flags) => Plain::Flags(flags.names().len()),
        Type::Own(_) | Type::Borrow(_) => return Err(NotPlain::Resource),
    })
}
