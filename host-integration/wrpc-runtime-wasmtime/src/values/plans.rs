//! The plans of the functions of loaded components, found by wasmtime's own names for their types.
//!
//! wasmtime tells a value that is to be lifted which type it has, and nothing of the function that it belongs to. So
//! the plan is looked up by what it does tell: the component's table of types, and the place in it.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use anyhow::bail;
use inhost_codec::{Plan, Type};
use papaya::HashMap;
use wasmtime::component::__internal::{ComponentTypes, InterfaceType};

use crate::types::intern::FEW;
use crate::types::{plan, Budget, InTable};

/// Which table, by its address, and which tuple in it.
type Key = (usize, u32);

struct Entry {
    /// Keeps the table's address from being used again while the entry is there. It does not keep the table.
    types: Weak<ComponentTypes>,
    tuple: Planned,
}

/// What is known of a tuple.
pub(super) struct Planned {
    pub(super) plan: Arc<Plan>,
    /// The types of the resources in it, by their numbers in the plan.
    pub(super) resources: Box<[InterfaceType]>,
}

static PLANS: LazyLock<HashMap<Key, Entry, BuildHasherDefault<KeyHasher>>> =
    LazyLock::new(HashMap::default);

/// How many there may be until those are dropped whose component has gone.
static UNTIL: AtomicUsize = AtomicUsize::new(FEW);

/// Passes the plan of the tuple `ty` of `types` to `then`. It is made when it is first asked for.
///
/// # Errors
///
/// When there is no plan for the type.
pub(super) fn with<R>(
    types: &Arc<ComponentTypes>,
    ty: InterfaceType,
    then: impl FnOnce(&Planned) -> R,
) -> anyhow::Result<R> {
    let InterfaceType::Tuple(index) = ty else {
        bail!("parameters and results are tuples, and this is none");
    };
    let key = (Arc::as_ptr(types) as usize, index.as_u32());
    let plans = PLANS.pin();
    if let Some(entry) = plans.get(&key) {
        return Ok(then(&entry.tuple));
    }
    let tuple = types[index].types.iter().map(|ty| InTable(types, *ty));
    let mut resources = Vec::new();
    // They are numbered as in `types`: as they are found. Which of them are streams is not known
    // here: who takes one out of a guest says it.
    let resource = |InTable(_, ty): &InTable<'_>| {
        resources.push(*ty);
        Type::Handle(resources.len() as u32 - 1)
    };
    let plan = plan(tuple, resource, &Budget::default())?;
    if plans.len() >= UNTIL.load(Ordering::Relaxed) {
        // Only when there are twice as many as were left: each pays for a constant number of others.
        plans.retain(|_, entry| entry.types.strong_count() > 0);
        UNTIL.store(FEW.max(2 * plans.len()), Ordering::Relaxed);
    }
    let entry = Entry {
        types: Arc::downgrade(types),
        tuple: Planned {
            plan,
            resources: resources.into(),
        },
    };
    Ok(then(&plans.get_or_insert(key, entry).tuple))
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
