//! What the walks over values go by: the types of a function's parameters or results, with where each is in memory.
//!
//! All types are in one table, so that a walk needs no pointers and no allocation. Sizes and offsets are those of the
//! canonical ABI for 32-bit memories.

use std::ops::Range;

use crate::build::{Builder, Named};
use crate::error::Unsupported;
use crate::types::Type;

/// How many core values carry parameters directly; more are passed through memory (canonical ABI, `MAX_FLAT_PARAMS`).
pub const MAX_FLAT_PARAMS: usize = 16;

/// How many core values carry results directly; more are passed through memory (canonical ABI, `MAX_FLAT_RESULTS`).
pub const MAX_FLAT_RESULTS: usize = 1;

/// The types of a tuple of values, laid out. Plans of the same types are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    nodes: Vec<Node>,
    fields: Vec<Field>,
    cases: Vec<Option<Id>>,
    root: Fields,
    layout: Layout,
    has_pointers: bool,
    has_resources: bool,
    /// Which core values have 64 bits, one bit for each, when the tuple is passed directly.
    wide: u32,
}

/// A type in the table.
pub(crate) type Id = u32;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) layout: Layout,
}

/// Where a value of a type is in memory, and how many core values it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Layout {
    pub(crate) size: u32,
    pub(crate) align: u32,
    pub(crate) flat: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Scalar(Scalar),
    String,
    List(Id),
    Tuple(Fields),
    Variant(Variant),
    Flags(u32),
    Handle(u32),
    Stream(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl Scalar {
    /// Its bytes in memory, which are its alignment, too.
    pub(crate) fn size(self) -> u32 {
        match self {
            Self::Bool | Self::U8 | Self::S8 => 1,
            Self::U16 | Self::S16 => 2,
            Self::U32 | Self::S32 | Self::F32 | Self::Char => 4,
            Self::U64 | Self::S64 | Self::F64 => 8,
        }
    }
}

/// A range of the table of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fields {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Fields {
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Field {
    pub(crate) offset: u32,
    pub(crate) ty: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Variant {
    pub(crate) start: u32,
    pub(crate) count: u32,
    /// Bytes of the discriminant in memory: 1, 2 or 4.
    pub(crate) tag: u32,
    pub(crate) payload: u32,
    /// Whether the discriminant is one byte, 0 or 1, in the encoding (options and results) instead of a LEB128 number.
    pub(crate) status: bool,
    /// For people.
    pub(crate) named: Named,
}

impl Variant {
    /// Where the cases of an enum are: none of them has a payload, so they are in no table.
    pub(crate) const ENUM: u32 = u32::MAX;

    /// Whether no case has a payload, and they are a number.
    #[inline]
    pub(crate) fn is_enum(self) -> bool {
        self.start == Self::ENUM
    }
}

impl Plan {
    /// Lays out the parameters or the results of a function.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] when the types cannot be laid out, or not within reason.
    pub fn new(types: &[Type]) -> Result<Self, Unsupported> {
        let mut builder = Builder::new();
        let types: Vec<_> = types
            .iter()
            .map(|ty| builder.ty(ty))
            .collect::<Result<_, _>>()?;
        builder.plan(&types)
    }

    /// A plan of tables that fit each other.
    pub(crate) fn of(
        nodes: Vec<Node>,
        fields: Vec<Field>,
        cases: Vec<Option<Id>>,
        root: Fields,
        layout: Layout,
    ) -> Self {
        let wide = wide(&nodes, &fields, &cases, root);
        let any = |is: fn(&Kind) -> bool| nodes.iter().any(|node| is(&node.kind));
        Self {
            has_pointers: any(|kind| matches!(kind, Kind::String | Kind::List(_))),
            has_resources: any(|kind| matches!(kind, Kind::Handle(_) | Kind::Stream(_))),
            nodes,
            fields,
            cases,
            root,
            layout,
            wide,
        }
    }

    /// How many values the tuple has.
    pub fn len(&self) -> usize {
        self.root.range().len()
    }

    /// Whether the tuple has no values.
    pub fn is_empty(&self) -> bool {
        self.root.range().is_empty()
    }

    /// Whether any of the values can hold a handle or a stream.
    #[inline]
    pub fn has_resources(&self) -> bool {
        self.has_resources
    }

    /// The resources that are in each value, by their numbers, and which parameter or result each
    /// is in. One in a list, an option or a case of a variant may be absent, and is none of them.
    pub fn in_each_value(&self) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        for (value, field) in self.fields(self.root).iter().enumerate() {
            // A type that is referred to many times is looked into once.
            let (mut seen, mut inside) = (vec![false; self.nodes.len()], vec![field.ty]);
            while let Some(ty) = inside.pop() {
                if std::mem::replace(&mut seen[ty as usize], true) {
                    continue;
                }
                match self.node(ty).kind {
                    Kind::Handle(resource) | Kind::Stream(resource) => {
                        found.push((value, resource))
                    }
                    Kind::Tuple(fields) => {
                        inside.extend(self.fields(fields).iter().map(|field| field.ty));
                    }
                    _ => {}
                }
            }
        }
        found
    }

    /// How many core values the tuple takes when it is passed directly.
    #[inline]
    pub fn flat_count(&self) -> usize {
        self.layout.flat as usize
    }

    /// Whether the core value at `index` has 64 bits, when the tuple is passed directly. All others have 32.
    #[inline]
    pub fn is_wide(&self, index: usize) -> bool {
        index < MAX_FLAT_PARAMS && self.wide & (1 << index) != 0
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

    /// All types, each after those that it is made of.
    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
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
        if variant.is_enum() {
            return Some(None);
        }
        self.cases
            .get((variant.start + discriminant) as usize)
            .copied()
    }
    /// The payloads of all cases, and nothing for an enum.
    pub(crate) fn payloads(&self, variant: Variant) -> &[Option<Id>] {
        if variant.is_enum() {
            return &[];
        }
        let start = variant.start as usize;
        &self.cases[start..start + variant.count as usize]
    }
}

/// Which of the first core values of a tuple have 64 bits. What is beyond those that are passed
/// directly is of no interest.
fn wide(nodes: &[Node], fields: &[Field], cases: &[Option<Id>], root: Fields) -> u32 {
    // For each type, each after those that it is made of.
    let mut wide = Vec::with_capacity(nodes.len());
    let tuple = |of: Fields, wide: &[u32]| {
        let mut all = 0;
        let mut at = 0;
        for field in &fields[of.range()] {
            let ty = field.ty as usize;
            all |= wide[ty].checked_shl(at).unwrap_or(0);
            at = nodes[ty].layout.flat.saturating_add(at);
        }
        all
    };
    for node in nodes {
        let bits = match node.kind {
            Kind::Scalar(Scalar::U64 | Scalar::S64 | Scalar::F64) => 1,
            Kind::Tuple(of) => tuple(of, &wide),
            Kind::Variant(variant) if !variant.is_enum() => {
                let start = variant.start as usize;
                let payloads = cases[start..start + variant.count as usize].iter();
                // A core value that is for several cases has as many bits as any of them needs.
                let payload = payloads
                    .flatten()
                    .fold(0, |all, ty| all | wide[*ty as usize]);
                payload << 1
            }
            _ => 0,
        };
        wide.push(bits);
    }
    tuple(root, &wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_values_have_the_bits_that_the_canonical_abi_gives_them() {
        let wide = |types: &[Type]| {
            let plan = Plan::new(types).unwrap();
            let wide = (0..plan.flat_count()).map(|at| plan.is_wide(at));
            wide.map(|is| if is { '6' } else { '3' })
                .collect::<std::string::String>()
        };
        use Type::*;
        assert_eq!(wide(&[U8, U64, F32, F64, S64, Char]), "363663");
        assert_eq!(wide(&[String, Type::list(U64), Flags(33)]), "333333");
        assert_eq!(wide(&[Tuple(vec![U32, Tuple(vec![F64, U8])]), U64]), "3636");
        let cases = [None, Some(Tuple(vec![U32, U32])), Some(F64)];
        assert_eq!(wide(&[Variant(cases.to_vec()), U8]), "3633");
        assert_eq!(wide(&[Type::option(Type::option(U64))]), "336");
        assert_eq!(wide(&[Type::result(Some(U32), Some(F32))]), "33");
        assert_eq!(wide(&[Variant(vec![None; 3]), U64]), "36");
    }
}
