//! The one walk over wasmtime's types: what the values of a function are, as the codec has them.
//!
//! wasmtime has two descriptions of the same types. One comes with a component and is what there is
//! when an import is linked and an export is served: [`Type`]. The other is the component's own
//! table, which is there when a value is lifted, where the first one is not: [`InTable`]. Both are
//! walked here.
//!
//! A type that refers to another one many times is written down once for each reference, and there
//! are more references than memory, if they are followed each time: 59 KB are enough for a million
//! types. So a type is looked into once in a function, and what is looked into is counted, for all
//! functions of a component. Each has as many as any that people write (a [`Budget`]). A function
//! beyond that is not refused when its component is loaded, which may never call it, but when it is
//! called.

pub(crate) mod by_resource;
pub(crate) mod imports;
pub(crate) mod intern;
pub(crate) mod resources;

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::Hash;
use std::mem::{discriminant, Discriminant};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use inhost_codec::{Builder, Part, Plan, Signature, Type as Codec, Unsupported};
use wasmtime::component::__internal::{ComponentTypes, InterfaceType};
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{ResourceType, Type};

use crate::types::intern::Interned;

/// The types of a function.
#[derive(Debug)]
pub(crate) struct Function {
    /// What the values are. Functions with the same types have the same one.
    pub(crate) signature: Arc<Signature>,
    /// The resources in the parameters, by the numbers that they have in the signature: each place
    /// in the types has one.
    pub(crate) params: Box<[ResourceType]>,
    /// Those in the results.
    pub(crate) results: Box<[ResourceType]>,
}

/// There are more types in a function than any needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooLarge {
    #[error(transparent)]
    Function(#[from] Unsupported),
    #[error("the functions of the component have more than {MAX_TYPES} types in all")]
    Component,
}

/// How many types and members of types are looked into for the functions of a component: for
/// imports, and for exports. A component with all of WASI and a thousand functions of its own has
/// about a hundredth of it.
///
/// wasmtime takes a component whose types are in a million places in all, each counted as often as
/// it is referred to. Here a place counts twice at most, a case without payload aside, which is no
/// place there. So what its functions have in common need not be known to tell that they are within
/// it.
const MAX_TYPES: usize = 1 << 21;

const _: () = assert!(MAX_TYPES >= 2 * 1_000_000);

/// How many types of a component may still be looked into, and what was found in those that were.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicUsize,
    /// `None` when it may be used for more than one component, by who does not know of which a type is.
    tuples: Option<Mutex<HashMap<Key, Tuple>>>,
}

/// What tells the types of a tuple from those of others of the component.
type Key = Box<[(Discriminant<Type>, Option<u32>)]>;

/// The plan of parameters or results, and the resources in them.
type Tuple = (Arc<Plan>, Box<[ResourceType]>);

impl Default for Budget {
    fn default() -> Self {
        Self::new(MAX_TYPES)
    }
}

impl Budget {
    fn new(types: usize) -> Self {
        Self {
            left: AtomicUsize::new(types),
            tuples: None,
        }
    }

    /// That of one component, of whose functions many may have the same types.
    pub(crate) fn of_component() -> Self {
        Self {
            tuples: Some(Mutex::default()),
            ..Self::default()
        }
    }

    fn spend(&self, types: usize) -> Result<(), TooLarge> {
        let left = |left: usize| left.checked_sub(types);
        let spent = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        spent.map(drop).map_err(|_| TooLarge::Component)
    }

    fn tuples(&self) -> Option<MutexGuard<'_, HashMap<Key, Tuple>>> {
        let tuples = self.tuples.as_ref()?;
        Some(tuples.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(test)]
    pub(crate) fn spent(&self) -> usize {
        MAX_TYPES - self.left.load(Ordering::Relaxed)
    }
}

impl Function {
    /// The types of a function. `is_stream` tells an input stream from other resources.
    ///
    /// # Errors
    ///
    /// When they are too many.
    pub(crate) fn of(
        ty: &ComponentFunc,
        is_stream: impl Fn(ResourceType) -> bool,
        budget: &Budget,
    ) -> Result<Self, TooLarge> {
        Self::with(ty.params(), ty.results(), is_stream, budget)
    }

    /// As [`Function::of`], of the types of parameters and results.
    ///
    /// # Errors
    ///
    /// As [`Function::of`].
    pub(crate) fn with(
        params: impl Iterator<Item = Type>,
        results: impl Iterator<Item = Type>,
        is_stream: impl Fn(ResourceType) -> bool,
        budget: &Budget,
    ) -> Result<Self, TooLarge> {
        let tuple = |types: Vec<Type>| Self::tuple(types, &is_stream, budget);
        let (params, in_params) = tuple(params.collect())?;
        let (results, in_results) = tuple(results.collect())?;
        static KNOWN: LazyLock<Interned<Signature>> = LazyLock::new(Interned::new);
        Ok(Self {
            signature: KNOWN.get(Signature { params, results }),
            params: in_params,
            results: in_results,
        })
    }

    /// Resources are numbered as they are found, as where a value is lifted.
    fn tuple(
        types: Vec<Type>,
        is_stream: &impl Fn(ResourceType) -> bool,
        budget: &Budget,
    ) -> Result<Tuple, TooLarge> {
        let key = types.iter().map(|ty| match place(ty) {
            Some((kind, index)) => Some((kind, Some(index))),
            // What is one type by its kind alone. Others without a place are looked into each time:
            // flags, enums, resources.
            None => is_keyword(ty).then(|| (discriminant(ty), None)),
        });
        let key = key.collect::<Option<Key>>();
        let known = |key| budget.tuples()?.get(key).cloned();
        if let Some(known) = key.as_ref().and_then(known) {
            return Ok(known);
        }
        let mut resources = Vec::new();
        let resource = |ty: &Type| {
            let (Type::Own(of) | Type::Borrow(of)) = ty else {
                return Codec::Handle(0);
            };
            let number = resources.len() as u32;
            resources.push(*of);
            // A stream that is borrowed cannot pass.
            match matches!(ty, Type::Own(_)) && is_stream(*of) {
                true => Codec::Stream(number),
                false => Codec::Handle(number),
            }
        };
        let plan = plan(types.into_iter(), resource, budget)?;
        let tuple = (plan, resources.into_boxed_slice());
        if let (Some(key), Some(mut tuples)) = (key, budget.tuples()) {
            tuples.insert(key, tuple.clone());
        }
        Ok(tuple)
    }

    /// All resources in it.
    pub(crate) fn resources(&self) -> impl Iterator<Item = ResourceType> + '_ {
        self.params.iter().chain(&self.results).copied()
    }
}

/// The plan of a tuple. The same types have the same one. `resource` says how one passes.
///
/// # Errors
///
/// When the types are too many.
pub(crate) fn plan<T: Described>(
    types: impl Iterator<Item = T>,
    resource: impl FnMut(&T) -> Codec,
    budget: &Budget,
) -> Result<Arc<Plan>, TooLarge> {
    let mut walk = Walk {
        builder: Builder::new(),
        seen: HashMap::new(),
        resource,
        budget,
    };
    let mut parts = Vec::new();
    for ty in types {
        parts.push(walk.part(ty)?);
    }
    static KNOWN: LazyLock<Interned<Plan>> = LazyLock::new(Interned::new);
    Ok(KNOWN.get(walk.builder.plan(&parts)?))
}

/// A type as wasmtime describes it.
pub(crate) trait Described: Sized {
    /// What tells it from the others of its component.
    type Place: Hash + Eq;

    /// `None` for one that is no work to look into, and for one that cannot be told from others:
    /// that one is looked into each time.
    fn place(&self) -> Option<Self::Place>;

    fn shape(&self) -> Shape<Self>;
}

/// What a type is made of.
pub(crate) enum Shape<T> {
    /// Of nothing else.
    Leaf(Codec),
    Resource,
    List(T),
    Tuple(Vec<T>),
    Variant(Vec<Option<T>>),
    Enum(usize),
    Option(T),
    Result(Option<T>, Option<T>),
}

struct Walk<'b, T: Described, R> {
    builder: Builder,
    seen: HashMap<T::Place, Part>,
    resource: R,
    budget: &'b Budget,
}

impl<T: Described, R: FnMut(&T) -> Codec> Walk<'_, T, R> {
    fn part(&mut self, ty: T) -> Result<Part, TooLarge> {
        let place = ty.place();
        if let Some(seen) = place.as_ref().and_then(|place| self.seen.get(place)) {
            return Ok(*seen);
        }
        let shape = ty.shape();
        if !matches!(shape, Shape::Leaf(_)) {
            self.budget.spend(1)?;
        }
        let part = match shape {
            Shape::Leaf(leaf) => self.builder.ty(&leaf)?,
            // Not one that was seen: each place of a resource has its own, in whichever description.
            Shape::Resource => return Ok(self.builder.ty(&(self.resource)(&ty))?),
            Shape::List(element) => {
                let element = self.part(element)?;
                self.builder.list(element)?
            }
            Shape::Tuple(types) => {
                self.budget.spend(types.len())?;
                let fields = types.into_iter().map(|ty| self.part(ty));
                let fields: Vec<_> = fields.collect::<Result<_, _>>()?;
                self.builder.tuple(&fields)?
            }
            Shape::Variant(cases) => {
                self.budget.spend(cases.len())?;
                let cases = cases.into_iter().map(|ty| self.payload(ty));
                let cases: Vec<_> = cases.collect::<Result<_, _>>()?;
                self.builder.variant(&cases)?
            }
            Shape::Enum(cases) => self.builder.enumeration(cases)?,
            Shape::Option(payload) => {
                let payload = self.part(payload)?;
                self.builder.option(payload)?
            }
            Shape::Result(ok, err) => {
                let (ok, err) = (self.payload(ok)?, self.payload(err)?);
                self.builder.result(ok, err)?
            }
        };
        if let Some(place) = place {
            self.seen.insert(place, part);
        }
        Ok(part)
    }

    fn payload(&mut self, ty: Option<T>) -> Result<Option<Part>, TooLarge> {
        ty.map(|ty| self.part(ty)).transpose()
    }
}

/// Whether there is one type of this kind.
fn is_keyword(ty: &Type) -> bool {
    match ty.shape() {
        Shape::Leaf(leaf) => !matches!(leaf, Codec::Flags(_)),
        _ => false,
    }
}

/// Where a type is in its component's table: which kind of type, and which one of these.
pub(crate) type Place = (Discriminant<Type>, u32);

/// The place of a type, if it has one.
pub(crate) fn place(ty: &Type) -> Option<Place> {
    let has_parts = matches!(
        ty,
        Type::List(_)
            | Type::Record(_)
            | Type::Tuple(_)
            | Type::Variant(_)
            | Type::Option(_)
            | Type::Result(_)
    );
    if !has_parts {
        return None;
    }
    // wasmtime says it nowhere else. It compares types, but looks into each reference of both when they differ.
    let mut index = Index(None);
    write!(index, "{ty:?}").ok()?;
    Some((discriminant(ty), index.0?))
}

/// Takes the only number out of a text, as `TypeTupleIndex(7)` has it.
struct Index(Option<u32>);

impl fmt::Write for Index {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let digits = text.trim_matches(|c: char| !c.is_ascii_digit());
        if digits.is_empty() {
            return Ok(());
        }
        match (self.0, digits.parse()) {
            (None, Ok(index)) => {
                self.0 = Some(index);
                Ok(())
            }
            _ => Err(fmt::Error),
        }
    }
}

impl Described for Type {
    type Place = Place;

    fn place(&self) -> Option<Place> {
        place(self)
    }

    fn shape(&self) -> Shape<Self> {
        Shape::Leaf(match self {
            Type::Bool => Codec::Bool,
            Type::S8 => Codec::S8,
            Type::U8 => Codec::U8,
            Type::S16 => Codec::S16,
            Type::U16 => Codec::U16,
            Type::S32 => Codec::S32,
            Type::U32 => Codec::U32,
            Type::S64 => Codec::S64,
            Type::U64 => Codec::U64,
            Type::Float32 => Codec::F32,
            Type::Float64 => Codec::F64,
            Type::Char => Codec::Char,
            Type::String => Codec::String,
            Type::Flags(flags) => Codec::Flags(flags.names().len()),
            Type::Own(_) | Type::Borrow(_) => return Shape::Resource,
            Type::List(list) => return Shape::List(list.ty()),
            Type::Record(record) => {
                return Shape::Tuple(record.fields().map(|field| field.ty).collect())
            }
            Type::Tuple(tuple) => return Shape::Tuple(tuple.types().collect()),
            Type::Variant(variant) => {
                return Shape::Variant(variant.cases().map(|case| case.ty).collect())
            }
            Type::Enum(ty) => return Shape::Enum(ty.names().len()),
            Type::Option(option) => return Shape::Option(option.ty()),
            Type::Result(result) => return Shape::Result(result.ok(), result.err()),
        })
    }
}

/// A type in the table of a component.
pub(crate) struct InTable<'t>(pub(crate) &'t ComponentTypes, pub(crate) InterfaceType);

impl Described for InTable<'_> {
    type Place = InterfaceType;

    fn place(&self) -> Option<InterfaceType> {
        Some(self.1)
    }

    fn shape(&self) -> Shape<Self> {
        let Self(types, ty) = *self;
        let at = |ty: &InterfaceType| Self(types, *ty);
        Shape::Leaf(match ty {
            InterfaceType::Bool => Codec::Bool,
            InterfaceType::S8 => Codec::S8,
            InterfaceType::U8 => Codec::U8,
            InterfaceType::S16 => Codec::S16,
            InterfaceType::U16 => Codec::U16,
            InterfaceType::S32 => Codec::S32,
            InterfaceType::U32 => Codec::U32,
            InterfaceType::S64 => Codec::S64,
            InterfaceType::U64 => Codec::U64,
            InterfaceType::Float32 => Codec::F32,
            InterfaceType::Float64 => Codec::F64,
            InterfaceType::Char => Codec::Char,
            InterfaceType::String => Codec::String,
            InterfaceType::Flags(i) => Codec::Flags(types[i].names.len()),
            InterfaceType::Own(_) | InterfaceType::Borrow(_) => return Shape::Resource,
            InterfaceType::List(i) => return Shape::List(at(&types[i].element)),
            InterfaceType::Record(i) => {
                let fields = types[i].fields.iter();
                return Shape::Tuple(fields.map(|field| at(&field.ty)).collect());
            }
            InterfaceType::Tuple(i) => {
                return Shape::Tuple(types[i].types.iter().map(at).collect());
            }
            InterfaceType::Variant(i) => {
                let cases = types[i].cases.values();
                return Shape::Variant(cases.map(|ty| ty.as_ref().map(at)).collect());
            }
            InterfaceType::Enum(i) => return Shape::Enum(types[i].names.len()),
            InterfaceType::Option(i) => return Shape::Option(at(&types[i].ty)),
            InterfaceType::Result(i) => {
                let result = &types[i];
                return Shape::Result(result.ok.as_ref().map(at), result.err.as_ref().map(at));
            }
        })
    }
}

#[cfg(test)]
mod tests;
