//! Makes plans out of types, each of which is one node in them however often it is referred to.

use std::collections::HashMap;

use crate::error::Unsupported;
use crate::plan::{Field, Fields, Id, Kind, Layout, Node, Plan, Scalar, Variant};
use crate::types::Type;

/// wasmtime refuses types that are nested deeper than 100. The walks recurse to this depth.
pub(crate) const MAX_DEPTH: usize = 128;

/// How many types, fields, and cases with a payload a plan has at most.
pub(crate) const MAX_NODES: usize = 1 << 16;

/// Builds a [`Plan`] from the inside out: a type is made of such that were made before.
///
/// Types that are equal on their way and in memory become one. So a type that refers to others many times takes no more
/// memory, and no more time to lay out, than the references that are written down.
///
/// ```
/// use inhost_codec::{Builder, Type};
///
/// let mut types = Builder::new();
/// let mut ty = types.enumeration(9_999)?;
/// for _ in 0..18 {
///     ty = types.tuple(&[ty, ty])?;
/// }
/// let plan = types.plan(&[ty])?;
/// assert_eq!(plan.flat_count(), 1 << 18);
/// # Ok::<(), inhost_codec::Unsupported>(())
/// ```
#[derive(Debug, Default)]
pub struct Builder {
    nodes: Vec<Node>,
    fields: Vec<Field>,
    cases: Vec<Option<Id>>,
    /// For each node, how many are in each other in it.
    depths: Vec<u8>,
    known: HashMap<Parts, Id>,
}

/// A type in a [`Builder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Part(Id);

/// What a type is made of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Parts {
    Scalar(Scalar),
    String,
    List(Part),
    Tuple(Box<[Part]>),
    Cases(Box<[Option<Part>]>, Named),
    Enum(usize),
    Flags(usize),
    Handle(u32),
    Stream(u32),
}

/// What a type with cases is called in WIT. On the wire, all but a variant have their case in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    Variant,
    Option,
    Result,
}

impl Builder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many types, fields, and cases with a payload there are.
    pub fn size(&self) -> usize {
        self.nodes.len() + self.fields.len() + self.cases.len()
    }

    /// A list.
    ///
    /// # Errors
    ///
    /// [`Unsupported`], as for all that follow: when it is too much, or too deep.
    pub fn list(&mut self, element: Part) -> Result<Part, Unsupported> {
        self.part(Parts::List(element))
    }

    /// A record or tuple.
    ///
    /// # Errors
    ///
    /// When it has no fields, and as [`Builder::list`].
    pub fn tuple(&mut self, fields: &[Part]) -> Result<Part, Unsupported> {
        self.part(Parts::Tuple(fields.into()))
    }

    /// A variant.
    ///
    /// # Errors
    ///
    /// When it has no cases, and as [`Builder::list`].
    pub fn variant(&mut self, cases: &[Option<Part>]) -> Result<Part, Unsupported> {
        match cases.iter().all(Option::is_none) {
            true => self.enumeration(cases.len()),
            false => self.part(Parts::Cases(cases.into(), Named::Variant)),
        }
    }

    /// An enum, which is a number of cases and takes no memory for each.
    ///
    /// # Errors
    ///
    /// As [`Builder::variant`].
    pub fn enumeration(&mut self, cases: usize) -> Result<Part, Unsupported> {
        self.part(Parts::Enum(cases))
    }

    /// An option.
    ///
    /// # Errors
    ///
    /// As [`Builder::list`].
    pub fn option(&mut self, payload: Part) -> Result<Part, Unsupported> {
        self.part(Parts::Cases([None, Some(payload)].into(), Named::Option))
    }

    /// A result.
    ///
    /// # Errors
    ///
    /// As [`Builder::list`].
    pub fn result(&mut self, ok: Option<Part>, err: Option<Part>) -> Result<Part, Unsupported> {
        self.part(Parts::Cases([ok, err].into(), Named::Result))
    }

    /// What `ty` is.
    ///
    /// # Errors
    ///
    /// As [`Builder::list`].
    pub fn ty(&mut self, ty: &Type) -> Result<Part, Unsupported> {
        self.within(ty, 0)
    }

    /// Lays out a tuple, the parameters or the results of a function.
    ///
    /// # Errors
    ///
    /// As [`Builder::list`].
    pub fn plan(mut self, types: &[Part]) -> Result<Plan, Unsupported> {
        let (root, layout) = self.fields(types)?;
        Ok(Plan::of(self.nodes, self.fields, self.cases, root, layout))
    }

    fn within(&mut self, ty: &Type, depth: usize) -> Result<Part, Unsupported> {
        // Here as well as for parts: this recurses before there is one.
        if depth > MAX_DEPTH {
            return Err(Unsupported::TooDeep);
        }
        let depth = depth + 1;
        let scalar = |scalar| Parts::Scalar(scalar);
        let parts = match ty {
            Type::Bool => scalar(Scalar::Bool),
            Type::U8 => scalar(Scalar::U8),
            Type::S8 => scalar(Scalar::S8),
            Type::U16 => scalar(Scalar::U16),
            Type::S16 => scalar(Scalar::S16),
            Type::U32 => scalar(Scalar::U32),
            Type::S32 => scalar(Scalar::S32),
            Type::U64 => scalar(Scalar::U64),
            Type::S64 => scalar(Scalar::S64),
            Type::F32 => scalar(Scalar::F32),
            Type::F64 => scalar(Scalar::F64),
            Type::Char => scalar(Scalar::Char),
            Type::String => Parts::String,
            Type::List(element) => Parts::List(self.within(element, depth)?),
            Type::Tuple(types) => {
                let fields = types.iter().map(|ty| self.within(ty, depth));
                Parts::Tuple(fields.collect::<Result<_, _>>()?)
            }
            Type::Variant(cases) => {
                let cases = cases.iter().map(|ty| self.payload(ty.as_ref(), depth));
                let cases: Vec<_> = cases.collect::<Result<_, _>>()?;
                return self.variant(&cases);
            }
            Type::Option(payload) => {
                let payload = self.within(payload, depth)?;
                return self.option(payload);
            }
            Type::Result(ok, err) => {
                let ok = self.payload(ok.as_deref(), depth)?;
                let err = self.payload(err.as_deref(), depth)?;
                return self.result(ok, err);
            }
            Type::Flags(count) => Parts::Flags(*count),
            Type::Handle(resource) => Parts::Handle(*resource),
            Type::Stream(resource) => Parts::Stream(*resource),
        };
        self.part(parts)
    }

    fn payload(&mut self, ty: Option<&Type>, depth: usize) -> Result<Option<Part>, Unsupported> {
        ty.map(|ty| self.within(ty, depth)).transpose()
    }

    fn part(&mut self, parts: Parts) -> Result<Part, Unsupported> {
        if let Some(id) = self.known.get(&parts) {
            return Ok(Part(*id));
        }
        let depth = 1 + self.depth_in(&parts);
        if usize::from(depth) > MAX_DEPTH {
            return Err(Unsupported::TooDeep);
        }
        let (kind, layout) = match &parts {
            Parts::Scalar(scalar) => (Kind::Scalar(*scalar), number(scalar.size())),
            Parts::String => (Kind::String, POINTER_AND_LENGTH),
            Parts::List(element) => (Kind::List(element.0), POINTER_AND_LENGTH),
            Parts::Tuple(fields) if fields.is_empty() => return Err(Unsupported::Empty),
            Parts::Tuple(fields) => {
                let (fields, layout) = self.fields(fields)?;
                (Kind::Tuple(fields), layout)
            }
            Parts::Cases(cases, named) => self.cases(cases, *named)?,
            Parts::Enum(count) => {
                let count = u32::try_from(*count).map_err(|_| Unsupported::TooLarge)?;
                variant(Variant::ENUM, count, NOTHING, Named::Variant)?
            }
            Parts::Flags(count) => flags(*count)?,
            Parts::Handle(resource) => (Kind::Handle(*resource), INDEX),
            Parts::Stream(resource) => (Kind::Stream(*resource), INDEX),
        };
        self.room(1)?;
        let id = self.nodes.len() as Id;
        self.nodes.push(Node { kind, layout });
        self.depths.push(depth);
        self.known.insert(parts, id);
        Ok(Part(id))
    }

    fn depth_in(&self, parts: &Parts) -> u8 {
        let depth = |part: &Part| self.depths[part.0 as usize];
        let deepest = match parts {
            Parts::List(element) => Some(depth(element)),
            Parts::Tuple(fields) => fields.iter().map(depth).max(),
            Parts::Cases(cases, _) => cases.iter().flatten().map(depth).max(),
            _ => None,
        };
        deepest.unwrap_or_default()
    }

    fn room(&self, more: usize) -> Result<(), Unsupported> {
        match self.size().checked_add(more) {
            Some(size) if size <= MAX_NODES => Ok(()),
            _ => Err(Unsupported::TooLarge),
        }
    }

    fn fields(&mut self, types: &[Part]) -> Result<(Fields, Layout), Unsupported> {
        self.room(types.len())?;
        let start = self.fields.len() as u32;
        let mut layout = NOTHING;
        for Part(ty) in types {
            let field = self.nodes[*ty as usize].layout;
            let offset = align_to(layout.size, field.align)?;
            self.fields.push(Field { offset, ty: *ty });
            layout = Layout {
                size: add(offset, field.size)?,
                align: layout.align.max(field.align),
                flat: add(layout.flat, field.flat)?,
            };
        }
        layout.size = align_to(layout.size, layout.align)?;
        let end = self.fields.len() as u32;
        Ok((Fields { start, end }, layout))
    }

    fn cases(
        &mut self,
        cases: &[Option<Part>],
        named: Named,
    ) -> Result<(Kind, Layout), Unsupported> {
        self.room(cases.len())?;
        let mut payload = NOTHING;
        for Part(case) in cases.iter().flatten() {
            let layout = self.nodes[*case as usize].layout;
            payload = Layout {
                size: payload.size.max(layout.size),
                align: payload.align.max(layout.align),
                flat: payload.flat.max(layout.flat),
            };
        }
        let start = self.cases.len() as u32;
        let ids = cases.iter().map(|case| case.map(|Part(id)| id));
        self.cases.extend(ids);
        variant(start, cases.len() as u32, payload, named)
    }
}

const NOTHING: Layout = Layout {
    size: 0,
    align: 1,
    flat: 0,
};

/// In a guest, a handle or a stream is an index in a table of the runtime.
const INDEX: Layout = number(4);

const POINTER_AND_LENGTH: Layout = Layout {
    size: 8,
    align: 4,
    flat: 2,
};

const fn number(size: u32) -> Layout {
    Layout {
        size,
        align: size,
        flat: 1,
    }
}

fn variant(
    start: u32,
    count: u32,
    payload: Layout,
    named: Named,
) -> Result<(Kind, Layout), Unsupported> {
    // wasmtime 26 has two bytes for exactly 256 cases (and four for 65,536). The canonical ABI and the guests that
    // wit-bindgen makes have one (and two).
    let tag = match count {
        0 => return Err(Unsupported::Empty),
        1..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    };
    let offset = align_to(tag, payload.align)?;
    let align = tag.max(payload.align);
    let layout = Layout {
        size: align_to(add(offset, payload.size)?, align)?,
        align,
        flat: add(1, payload.flat)?,
    };
    let variant = Variant {
        start,
        count,
        tag,
        payload: offset,
        status: named != Named::Variant,
        named,
    };
    Ok((Kind::Variant(variant), layout))
}

fn flags(count: usize) -> Result<(Kind, Layout), Unsupported> {
    let count = match u32::try_from(count) {
        Ok(0) => return Err(Unsupported::Empty),
        Ok(count) if count as usize <= MAX_NODES => count,
        _ => return Err(Unsupported::TooLarge),
    };
    let (size, align, flat) = match count {
        1..=8 => (1, 1, 1),
        9..=16 => (2, 2, 1),
        _ => (4 * count.div_ceil(32), 4, count.div_ceil(32)),
    };
    Ok((Kind::Flags(count), Layout { size, align, flat }))
}

fn add(a: u32, b: u32) -> Result<u32, Unsupported> {
    a.checked_add(b).ok_or(Unsupported::TooLarge)
}

fn align_to(offset: u32, align: u32) -> Result<u32, Unsupported> {
    offset
        .checked_next_multiple_of(align)
        .ok_or(Unsupported::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(ty: Type) -> (u32, u32, u32) {
        let Layout { size, align, flat } = Plan::new(&[ty]).unwrap().layout();
        (size, align, flat)
    }

    #[test]
    fn layouts_are_those_of_the_canonical_abi() {
        use Type::*;
        assert_eq!(layout(U8), (1, 1, 1));
        assert_eq!(layout(F64), (8, 8, 1));
        assert_eq!(layout(String), (8, 4, 2));
        assert_eq!(layout(Type::list(U64)), (8, 4, 2));
        assert_eq!(layout(Tuple(vec![U8, U32, U8])), (12, 4, 3));
        assert_eq!(layout(Tuple(vec![U8, U64, String])), (24, 8, 4));
        assert_eq!(layout(Type::option(U8)), (2, 1, 2));
        assert_eq!(layout(Type::option(U64)), (16, 8, 2));
        assert_eq!(layout(Type::result(None, None)), (1, 1, 1));
        assert_eq!(layout(Type::result(Some(String), Some(U8))), (12, 4, 3));
        assert_eq!(layout(Variant(vec![None; 256])), (1, 1, 1));
        assert_eq!(layout(Variant(vec![None; 257])), (2, 2, 1));
        assert_eq!(layout(Variant(vec![None, Some(U8), Some(F64)])), (16, 8, 2));
        assert_eq!(layout(Flags(8)), (1, 1, 1));
        assert_eq!(layout(Flags(9)), (2, 2, 1));
        assert_eq!(layout(Flags(17)), (4, 4, 1));
        assert_eq!(layout(Flags(33)), (8, 4, 2));
        assert_eq!(layout(Handle(3)), (4, 4, 1));
        let none = Plan::new(&[]).unwrap();
        assert!(none.is_empty());
        assert_eq!((none.len(), none.flat_count()), (0, 0));
    }

    #[test]
    fn types_beyond_reason_are_refused() {
        let refused = |ty| Plan::new(&[ty]).unwrap_err();
        assert_eq!(refused(Type::Tuple(vec![])), Unsupported::Empty);
        assert_eq!(refused(Type::Variant(vec![])), Unsupported::Empty);
        assert_eq!(refused(Type::Flags(0)), Unsupported::Empty);
        let mut deep = Type::U8;
        for _ in 0..200 {
            deep = Type::list(deep);
        }
        assert_eq!(refused(deep), Unsupported::TooDeep);
        let wide = Type::Tuple(vec![Type::U8; MAX_NODES]);
        assert_eq!(refused(wide), Unsupported::TooLarge);
        assert_eq!(refused(Type::Flags(usize::MAX)), Unsupported::TooLarge);
    }

    #[test]
    fn types_that_are_built_may_not_be_deeper_than_those_that_are_written() {
        let mut types = Builder::new();
        let mut ty = types.ty(&Type::U8).unwrap();
        for _ in 1..MAX_DEPTH {
            ty = types.list(ty).unwrap();
        }
        assert_eq!(types.list(ty).unwrap_err(), Unsupported::TooDeep);
    }

    #[test]
    fn values_that_no_memory_holds_are_refused() {
        let mut types = Builder::new();
        let mut ty = types.ty(&Type::U8).unwrap();
        for _ in 0..31 {
            ty = types.tuple(&[ty, ty]).unwrap();
        }
        assert_eq!(types.tuple(&[ty, ty]).unwrap_err(), Unsupported::TooLarge);
    }

    #[test]
    fn equal_types_are_one_node_and_an_enum_is_a_number() {
        let mut types = Builder::new();
        let [one, other] = [(), ()].map(|()| types.enumeration(9_999).unwrap());
        assert_eq!(one, other);
        let mut ty = one;
        for _ in 0..18 {
            ty = types.tuple(&[ty, ty]).unwrap();
        }
        // Each tuple is a type with two fields.
        assert_eq!(types.size(), 1 + 18 * 3);
        // As a tree, too: what is written many times is kept once.
        let mut types = Builder::new();
        let tree = Type::Tuple(vec![Type::Tuple(vec![Type::U8; 300]); 300]);
        types.ty(&tree).unwrap();
        assert_eq!(types.size(), 3 + 600);
    }
}
