//! The plans of the functions of loaded components, found by wasmtime's own names for their types.
//!
//! wasmtime tells a value that is to be lifted which type it has, and nothing of the function that it belongs to. So
//! the plan is looked up by what it does tell: the component's table of types, and the place in it.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, LazyLock, Weak};

use inhost_codec::{Plan, Type as Plain};
use papaya::HashMap;
use wasmtime::component::__internal::{ComponentTypes, InterfaceType};

use super::types::NotPlain;

/// Which table, by its address, and which tuple in it.
type Key = (usize, u32);

struct Entry {
    /// Keeps the table's address from being used again while the entry is there. It does not keep the table.
    types: Weak<ComponentTypes>,
    plan: Plan,
}

static PLANS: LazyLock<HashMap<Key, Entry, BuildHasherDefault<KeyHasher>>> =
    LazyLock::new(HashMap::default);

/// Passes the plan of the tuple `ty` of `types` to `then`. It is made when it is first asked for.
///
/// # Errors
///
/// When there is no plan for the type.
pub(super) fn with<R>(
    types: &Arc<ComponentTypes>,
    ty: InterfaceType,
    then: impl FnOnce(&Plan) -> R,
) -> Result<R, NotPlain> {
    let InterfaceType::Tuple(index) = ty else {
        // Parameters and results are tuples.
        return Err(NotPlain::Resource);
    };
    let key = (Arc::as_ptr(types) as usize, index.as_u32());
    let plans = PLANS.pin();
    if let Some(entry) = plans.get(&key) {
        return Ok(then(&entry.plan));
    }
    let values: Vec<_> = types[index]
        .types
        .iter()
        .map(|ty| plain(types, ty))
        .collect::<Result<_, _>>()?;
    let plan = Plan::new(&values)?;
    // A new component: a good time to forget those that are gone.
    plans.retain(|_, entry| entry.types.strong_count() > 0);
    let entry = Entry {
        types: Arc::downgrade(types),
        plan,
    };
    Ok(then(&plans.get_or_insert(key, entry).plan))
}

fn plain(types: &ComponentTypes, ty: &InterfaceType) -> Result<Plain, NotPlain> {
    let optional = |ty: &Option<InterfaceType>| ty.map(|ty| plain(types, &ty)).transpose();
    Ok(match *ty {
        InterfaceType::Bool => Plain::Bool,
        InterfaceType::S8 => Plain::S8,
        InterfaceType::U8 => Plain::U8,
        InterfaceType::S16 => Plain::S16,
        InterfaceType::U16 => Plain::U16,
        InterfaceType::S32 => Plain::S32,
        InterfaceType::U32 => Plain::U32,
        InterfaceType::S64 => Plain::S64,
        InterfaceType::U64 => Plain::U64,
        InterfaceType::Float32 => Plain::F32,
        InterfaceType::Float64 => Plain::F64,
        InterfaceType::Char => Plain::Char,
        InterfaceType::String => Plain::String,
        InterfaceType::List(i) => Plain::list(plain(types, &types[i].element)?),
        InterfaceType::Record(i) => {
            let fields = types[i].fields.iter().map(|field| plain(types, &field.ty));
            Plain::Tuple(fields.collect::<Result<_, _>>()?)
        }
        InterfaceType::Tuple(i) => {
            let types = types[i].types.iter().map(|ty| plain(types, ty));
            Plain::Tuple(types.collect::<Result<_, _>>()?)
        }
        InterfaceType::Variant(i) => {
            let cases = types[i].cases.values().map(optional);
            Plain::Variant(cases.collect::<Result<_, _>>()?)
        }
        InterfaceType::Enum(i) => Plain::Variant(vec![None; types[i].names.len()]),
        InterfaceType::Option(i) => Plain::option(plain(types, &types[i].ty)?),
        InterfaceType::Result(i) => {
            let result = &types[i];
            Plain::result(optional(&result.ok)?, optional(&result.err)?)
        }
        InterfaceType::Flags(i) => Plain::Flags(types[i].names.len()),
        InterfaceType::Own(_) | InterfaceType::Borrow(_) => return Err(NotPlain::Resource),
    })
}

/// Mixes an address and an index. A guest has no influence on either.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_usize(value as usize);
    }

    fn write_usize(&mut self, value: usize) {
        // Fibonacci hashing: the high bits of the product depend on all bits, and are moved to where they count.
        let mixed = (self.0 ^ value as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
