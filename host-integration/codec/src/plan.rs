//! What the walks over values go by: the types of a function's parameters or results, with where each is in memory.
//!
//! All types are in one table, so that a walk needs no pointers and no allocation. Sizes and offsets are those of the
//! canonical ABI for 32-bit memories.

use std::ops::Range;

use crate::error::Unsupported;
use crate::types::Type;

/// How many core values carry parameters directly; more are passed through memory (canonical ABI, `MAX_FLAT_PARAMS`).
pub const MAX_FLAT_PARAMS: usize = 16;

/// How many core values carry results directly; more are passed through memory (canonical ABI, `MAX_FLAT_RESULTS`).
pub const MAX_FLAT_RESULTS: usize = 1;

/// wasmtime refuses types that are nested deeper than 100. The walks recurse to this depth.
pub(crate) const MAX_DEPTH: usize = 128;

/// A type that refers to another one many times counts it each time.
pub(crate) const MAX_NODES: usize = 1 << 16;

/// The types of a tuple of values, laid out.
#[derive(Clone, Debug)]
pub struct Plan {
    nodes: Vec<Node>,
    fields: Vec<Field>,
    cases: Vec<Option<Id>>,
    root: Fields,
    layout: Layout,
    has_pointers: bool,
}

/// A type in the table.
pub(crate) type Id = u32;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) layout: Layout,
}

/// Where a value of a type is in memory, and how many core values it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) size: u32,
    pub(crate) align: u32,
    pub(crate) flat: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    String,
    List(Id),
    Tuple(Fields),
    Variant(Variant),
    Flags(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    U64,
    S64,
    F32,
    F64,
    Char,
}

/// A range of the table of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Fields {
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) offset: u32,
    pub(crate) ty: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    start: u32,
    pub(crate) count: u32,
    /// Bytes of the discriminant in memory: 1, 2 or 4.
    pub(crate) tag: u32,
    pub(crate) payload: u32,
    /// Whether the discriminant is one byte, 0 or 1, in the encoding (options and results) instead of a LEB128 number.
    pub(crate) status: bool,
}

impl Plan {
    /// Lays out the parameters or the results of a function.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] when the types cannot be laid out, or not within reason.
    pub fn new(types: &[Type]) -> Result<Self, Unsupported> {
        let mut plan = Self {
            nodes: Vec::new(),
            fields: Vec::new(),
            cases: Vec::new(),
            root: Fields { start: 0, end: 0 },
            layout: Layout {
                size: 0,
                align: 1,
                flat: 0,
            },
            has_pointers: false,
        };
        (plan.root, plan.layout) = plan.tuple(types, 0)?;
        plan.has_pointers = plan
            .nodes
            .iter()
            .any(|node| matches!(node.kind, Kind::String | Kind::List(_)));
        Ok(plan)
    }

    /// How many values the tuple has.
    pub fn len(&self) -> usize {
        self.root.range().len()
    }

    /// Whether the tuple has no values.
    pub fn is_empty(&self) -> bool {
        self.root.range().is_empty()
    }

    /// How many core values the tuple takes when it is passed directly.
    #[inline]
    pub fn flat_count(&self) -> usize {
        self.layout.flat as usize
    }

    /// Whether any of the values is in memory, when up to `max_flat` core values are passed directly. If not, the guest
    /// need not have a memory.
    pub(crate) fn is_in_memory(&self, max_flat: usize) -> bool {
        self.has_pointers || self.flat_count() > max_flat
    }

    #[inline]
    pub(crate) fn root(&self) -> Fields {
        self.root
    }

    #[inline]
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    #[inline]
    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    #[inline]
    pub(crate) fn fields(&self, fields: Fields) -> &[Field] {
        &self.fields[fields.range()]
    }

    /// The type of the field at `index` of the table of fields.
    pub(crate) fn field(&self, index: u32) -> Id {
        self.fields[index as usize].ty
    }

    /// The payload of a case: `None` when there is no such case.
    #[inline]
    pub(crate) fn case(&self, variant: Variant, discriminant: u32) -> Option<Option<Id>> {
        if discriminant >= variant.count {
            return None;
        }
        self.cases
            .get((variant.start + discriminant) as usize)
            .copied()
    }

    fn add(&mut self, ty: &Type, depth: usize) -> Result<Id, Unsupported> {
        if depth > MAX_DEPTH {
            return Err(Unsupported::TooDeep);
        }
        let (kind, layout) = match ty {
            Type::Bool => scalar(Scalar::Bool, 1),
            Type::U8 => scalar(Scalar::U8, 1),
            Type::S8 => scalar(Scalar::S8, 1),
            Type::U16 => scalar(Scalar::U16, 2),
            Type::S16 => scalar(Scalar::S16, 2),
            Type::U32 => scalar(Scalar::U32, 4),
            Type::S32 => scalar(Scalar::S32, 4),
            Type::U64 => scalar(Scalar::U64, 8),
            Type::S64 => scalar(Scalar::S64, 8),
            Type::F32 => scalar(Scalar::F32, 4),
            Type::F64 => scalar(Scalar::F64, 8),
            Type::Char => scalar(Scalar::Char, 4),
            Type::String => (Kind::String, POINTER_AND_LENGTH),
            Type::List(element) => {
                let element = self.add(element, depth + 1)?;
                (Kind::List(element), POINTER_AND_LENGTH)
            }
            Type::Tuple(types) if types.is_empty() => return Err(Unsupported::Empty),
            Type::Tuple(types) => {
                let (fields, layout) = self.tuple(types, depth + 1)?;
                (Kind::Tuple(fields), layout)
            }
            Type::Variant(cases) => {
                let cases = cases.iter().map(Option::as_ref);
                self.variant(cases, false, depth)?
            }
            Type::Option(payload) => {
                self.variant([None, Some(&**payload)].into_iter(), true, depth)?
            }
            Type::Result(ok, err) => {
                self.variant([ok.as_deref(), err.as_deref()].into_iter(), true, depth)?
            }
            Type::Flags(count) => flags(*count)?,
        };
        self.push(Node { kind, layout })
    }

    fn push(&mut self, node: Node) -> Result<Id, Unsupported> {
        let id = self.nodes.len() + self.fields.len() + self.cases.len();
        if id >= MAX_NODES {
            return Err(Unsupported::TooLarge);
        }
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as Id)
    }

    fn tuple(&mut self, types: &[Type], depth: usize) -> Result<(Fields, Layout), Unsupported> {
        let mut layout = Layout {
            size: 0,
            align: 1,
            flat: 0,
        };
        let mut fields = Vec::new();
        for ty in types {
            let ty = self.add(ty, depth)?;
            let field = self.node(ty).layout;
            let offset = align_to(layout.size, field.align)?;
            fields.push(Field { offset, ty });
            layout = Layout {
                size: add(offset, field.size)?,
                align: layout.align.max(field.align),
                flat: add(layout.flat, field.flat)?,
            };
        }
        layout.size = align_to(layout.size, layout.align)?;
        let start = self.fields.len() as u32;
        self.fields.extend(fields);
        let end = u32::try_from(self.fields.len()).map_err(|_| Unsupported::TooLarge)?;
        Ok((Fields { start, end }, layout))
    }

    fn variant<'t>(
        &mut self,
        types: impl ExactSizeIterator<Item = Option<&'t Type>>,
        status: bool,
        depth: usize,
    ) -> Result<(Kind, Layout), Unsupported> {
        let count = types.len();
        // wasmtime 26 has two bytes for exactly 256 cases (and four for 65,536). The canonical ABI and the guests that
        // wit-bindgen makes have one (and two).
        let tag = match count {
            0 => return Err(Unsupported::Empty),
            1..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        // Before the cases are collected: a variant may claim any number of them.
        if count > MAX_NODES {
            return Err(Unsupported::TooLarge);
        }
        let mut cases = Vec::with_capacity(count);
        let mut payload = Layout {
            size: 0,
            align: 1,
            flat: 0,
        };
        for ty in types {
            let case = match ty {
                Some(ty) => Some(self.add(ty, depth + 1)?),
                None => None,
            };
            if let Some(case) = case {
                let layout = self.node(case).layout;
                payload = Layout {
                    size: payload.size.max(layout.size),
                    align: payload.align.max(layout.align),
                    flat: payload.flat.max(layout.flat),
                };
            }
            cases.push(case);
        }
        let offset = align_to(tag, payload.align)?;
        let align = tag.max(payload.align);
        let layout = Layout {
            size: align_to(add(offset, payload.size)?, align)?,
            align,
            flat: add(1, payload.flat)?,
        };
        let start = self.cases.len() as u32;
        self.cases.extend(cases);
        let variant = Variant {
            start,
            count: count as u32,
            tag,
            payload: offset,
            status,
        };
        Ok((Kind::Variant(variant), layout))
    }
}

const POINTER_AND_LENGTH: Layout = Layout {
    size: 8,
    align: 4,
    flat: 2,
};

fn scalar(scalar: Scalar, size: u32) -> (Kind, Layout) {
    let layout = Layout {
        size,
        align: size,
        flat: 1,
    };
    (Kind::Scalar(scalar), layout)
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
        let none = Plan::new(&[]).unwrap();
        assert!(none.is_empty());
        assert_eq!((none.len(), none.flat_count()), (0, 0));
    }

    #[test]
    fn types_beyond_reason_are_refused() {
        assert_eq!(
            Plan::new(&[Type::Tuple(vec![])]).unwrap_err(),
            Unsupported::Empty
        );
        assert_eq!(
            Plan::new(&[Type::Variant(vec![])]).unwrap_err(),
            Unsupported::Empty
        );
        assert_eq!(
            Plan::new(&[Type::Flags(0)]).unwrap_err(),
            Unsupported::Empty
        );
        let mut deep = Type::U8;
        for _ in 0..200 {
            deep = Type::list(deep);
        }
        assert_eq!(Plan::new(&[deep]).unwrap_err(), Unsupported::TooDeep);
        let wide = Type::Tuple(vec![Type::Tuple(vec![Type::U8; 300]); 300]);
        assert_eq!(Plan::new(&[wide]).unwrap_err(), Unsupported::TooLarge);
        assert_eq!(
            Plan::new(&[Type::Flags(usize::MAX)]).unwrap_err(),
            Unsupported::TooLarge
        );
    }
}
