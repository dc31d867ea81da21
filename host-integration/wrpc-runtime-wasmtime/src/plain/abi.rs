//! Values of our own that wasmtime passes to and takes from guests.
//!
//! wasmtime calls functions of components with types that implement its [`ComponentType`], [`Lower`] and [`Lift`]. Its
//! derive macros implement them for types that are known when a program is compiled. Here they are implemented by hand
//! for tuples of any types: the types are known at run time, and the value is a message in the wRPC encoding.
//!
//! This is the only module with unsafe code. The traits are unsafe because wasmtime trusts four things. They are named
//! in the SAFETY comments by their letters:
//!
//! - **L**: `ComponentType::Lower` is an array of [`ValRaw`], and so has the layout that wasmtime asks for.
//! - **C**: that array is as long as wasmtime will read or write, for the function that it calls. For an export, wasmtime
//!   passes it to a function that takes at most [`MAX_FLAT_PARAMS`] core parameters and gives at most
//!   [`MAX_FLAT_RESULTS`] results; the arrays have these lengths, as those that wasmtime's own `Func::call` uses. For an
//!   import, the array is read from, and written to, what the guest passed; `typecheck` compares its length with what
//!   the function has, before a guest is instantiated.
//! - **I**: `lower` initialises the whole array when it returns `Ok`. It is written with zeroes before all else.
//! - **H**: wasmtime's own ways through memory (`load`, `store`, `SIZE32`) are for tuples of a size that is known when a
//!   program is compiled. They must not be entered, so `flatten_count` is never above the number from which on wasmtime
//!   takes them, and the two methods return errors. Values that do not fit core values are found or placed in memory by
//!   the codec, which is safe code and checks each address.
//!
//! Everything else, wrong types included, is at worst an error: the codec reads and writes through checked slices.

#![allow(
    unsafe_code,
    reason = "wasmtime's traits for values are unsafe to implement; see above"
)]

use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{bail, ensure};
use bytes::Bytes;
use inhost_codec::{self as codec, Destination, Plan, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower};
use wasmtime::ValRaw;

use super::memory::{lift_error, lower_error, FromGuest, ToGuest};
use super::plans;

/// The size of no tuple in particular: only the ways that are not entered (H) look at it.
const NO_ABI: CanonicalAbiInfo = CanonicalAbiInfo::SCALAR1;

fn heap() -> anyhow::Error {
    anyhow::anyhow!("wasmtime took a way through memory that is not for values of dynamic type")
}

/// How many core values a tuple takes, and `None` when it is passed through memory. As wasmtime has it.
fn flat_count(
    ty: &InterfaceType,
    instance: &InstanceType<'_>,
    max: usize,
) -> anyhow::Result<Option<usize>> {
    // Only tuples of plain values have a plan.
    plans::with(instance.types, *ty, |_| ())?;
    match ty {
        InterfaceType::Tuple(tuple) => Ok(instance.types[*tuple].abi.flat_count(max)),
        _ => bail!("parameters and results are tuples, and this is none"),
    }
}

fn lift(
    context: &mut LiftContext<'_>,
    ty: InterfaceType,
    core: &[ValRaw],
    max_flat: usize,
) -> anyhow::Result<Bytes> {
    let types = context.types;
    plans::with(types, ty, |plan| {
        let mut values = [0; MAX_FLAT_PARAMS];
        // Or one, the address of what is in memory.
        let is_direct = plan.flat_count() <= max_flat;
        let count = if is_direct { plan.flat_count() } else { 1 };
        let count = count.min(core.len()).min(MAX_FLAT_PARAMS);
        for (at, (value, core)) in values.iter_mut().zip(&core[..count]).enumerate() {
            // No more than was stored: above the bits of a value may be what no one has written.
            *value = match is_direct && plan.is_wide(at) {
                true => core.get_u64(),
                false => core.get_u32().into(),
            };
        }
        let values = &values[..count];
        codec::Lift::new(plan).run(&mut FromGuest(context), values, max_flat)
    })?
    .map(Bytes::from)
    .map_err(lift_error)
}

fn lower<T>(
    plan: &Plan,
    message: &[u8],
    context: &mut LowerContext<'_, T>,
    core: &mut [ValRaw],
    max_flat: usize,
    destination: Destination,
) -> anyhow::Result<()> {
    let mut values = [0; MAX_FLAT_PARAMS];
    let values = &mut values[..core.len().min(MAX_FLAT_PARAMS)];
    codec::Lower::new(plan)
        .run(
            message,
            &mut ToGuest(context),
            values,
            max_flat,
            destination,
        )
        .map_err(lower_error)?;
    for (core, value) in core.iter_mut().zip(values) {
        // Of a core value of 32 bits, the lower half is read.
        *core = ValRaw::u64(*value);
    }
    Ok(())
}

/// Writes a string into a guest whose strings are not UTF-8. Returns its pointer and length.
pub(super) fn lower_str<T>(
    text: &str,
    context: &mut LowerContext<'_, T>,
) -> anyhow::Result<(u32, u32)> {
    let mut core = MaybeUninit::new([ValRaw::u64(0); 2]);
    <str as Lower>::lower(text, context, InterfaceType::String, &mut core)?;
    // SAFETY: it was initialised when it was made.
    let [pointer, length] = unsafe { core.assume_init() };
    Ok((pointer.get_u32(), length.get_u32()))
}

/// The parameters of an export, in the wRPC encoding.
pub(super) struct ExportParams {
    plan: Arc<Plan>,
    /// Taken when they are lowered, so that a payload does not stay in memory while the guest works on its own copy.
    message: Mutex<Bytes>,
}

impl ExportParams {
    /// `message` has been checked with `plan`.
    pub(super) fn new(plan: Arc<Plan>, message: Bytes) -> Self {
        Self {
            plan,
            message: Mutex::new(message),
        }
    }
}

// SAFETY: L; C: there are never more core parameters than this; H: the count is `MAX_FLAT_PARAMS`.
unsafe impl ComponentType for ExportParams {
    type Lower = [ValRaw; MAX_FLAT_PARAMS];
    const ABI: CanonicalAbiInfo = NO_ABI;

    fn typecheck(ty: &InterfaceType, instance: &InstanceType<'_>) -> anyhow::Result<()> {
        flat_count(ty, instance, MAX_FLAT_PARAMS).map(drop)
    }
}

// SAFETY: `typecheck` accepts tuples only.
unsafe impl ComponentNamedList for ExportParams {}

// SAFETY: I; H.
unsafe impl Lower for ExportParams {
    fn lower<T>(
        &self,
        context: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        core: &mut MaybeUninit<Self::Lower>,
    ) -> anyhow::Result<()> {
        let core = core.write([ValRaw::u64(0); MAX_FLAT_PARAMS]);
        let message = {
            let mut message = self.message.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *message)
        };
        lower(
            &self.plan,
            &message,
            context,
            core,
            MAX_FLAT_PARAMS,
            Destination::Allocate,
        )
    }

    fn store<T>(
        &self,
        _context: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        _offset: usize,
    ) -> anyhow::Result<()> {
        Err(heap())
    }
}

/// The results of an export, in the wRPC encoding.
pub(super) struct ExportResults(pub(super) Bytes);

// SAFETY: L; C: there are never more core results than this; H: the count is `MAX_FLAT_RESULTS`.
unsafe impl ComponentType for ExportResults {
    type Lower = [ValRaw; MAX_FLAT_RESULTS];
    const ABI: CanonicalAbiInfo = NO_ABI;

    fn typecheck(ty: &InterfaceType, instance: &InstanceType<'_>) -> anyhow::Result<()> {
        flat_count(ty, instance, MAX_FLAT_RESULTS).map(drop)
    }
}

// SAFETY: `typecheck` accepts tuples only.
unsafe impl ComponentNamedList for ExportResults {}

// SAFETY: H.
unsafe impl Lift for ExportResults {
    fn lift(
        context: &mut LiftContext<'_>,
        ty: InterfaceType,
        core: &Self::Lower,
    ) -> anyhow::Result<Self> {
        lift(context, ty, core, MAX_FLAT_RESULTS).map(Self)
    }

    fn load(
        _context: &mut LiftContext<'_>,
        _ty: InterfaceType,
        _bytes: &[u8],
    ) -> anyhow::Result<Self> {
        Err(heap())
    }
}

/// The parameters of an import, in the wRPC encoding.
///
/// `N` is the number of its core parameters. With `RETURN_POINTER`, the last one of them is the address for the
/// results; wasmtime has a type of its own for that, and here it is a parameter like the others.
pub(super) struct ImportParams<const N: usize, const RETURN_POINTER: bool> {
    pub(super) message: Bytes,
    /// Where the results go; 0 without `RETURN_POINTER`.
    pub(super) return_pointer: u32,
}

// SAFETY: L; C: `typecheck`; H: the count is cut to `MAX_FLAT_PARAMS`. It can be one more, with a return pointer. wasmtime
// uses it to choose between its ways only, and takes the length of the array from its type.
unsafe impl<const N: usize, const RETURN_POINTER: bool> ComponentType
    for ImportParams<N, RETURN_POINTER>
{
    type Lower = [ValRaw; N];
    const ABI: CanonicalAbiInfo = NO_ABI;

    fn flatten_count() -> usize {
        N.min(MAX_FLAT_PARAMS)
    }

    fn typecheck(ty: &InterfaceType, instance: &InstanceType<'_>) -> anyhow::Result<()> {
        let params = flat_count(ty, instance, MAX_FLAT_PARAMS)?.unwrap_or(1);
        let count = params + usize::from(RETURN_POINTER);
        ensure!(count == N, "expected {N} core parameters, found {count}");
        Ok(())
    }
}

// SAFETY: `typecheck` accepts tuples only.
unsafe impl<const N: usize, const RETURN_POINTER: bool> ComponentNamedList
    for ImportParams<N, RETURN_POINTER>
{
}

// SAFETY: H.
unsafe impl<const N: usize, const RETURN_POINTER: bool> Lift for ImportParams<N, RETURN_POINTER> {
    fn lift(
        context: &mut LiftContext<'_>,
        ty: InterfaceType,
        core: &Self::Lower,
    ) -> anyhow::Result<Self> {
        let (params, return_pointer) = match core.split_last() {
            Some((last, params)) if RETURN_POINTER => (params, last.get_u32()),
            _ => (&core[..], 0),
        };
        Ok(Self {
            message: lift(context, ty, params, MAX_FLAT_PARAMS)?,
            return_pointer,
        })
    }

    fn load(
        _context: &mut LiftContext<'_>,
        _ty: InterfaceType,
        _bytes: &[u8],
    ) -> anyhow::Result<Self> {
        Err(heap())
    }
}

/// The results of an import, in the wRPC encoding.
///
/// `N` is the number of its core results: 0 or 1. With `RETURN_POINTER` it is 0, and the results go to memory.
pub(super) struct ImportResults<const N: usize, const RETURN_POINTER: bool> {
    pub(super) plan: Arc<Plan>,
    /// Checked with `plan`.
    pub(super) message: Bytes,
    pub(super) return_pointer: u32,
}

// SAFETY: L; C: `typecheck`; H: the count is 0 or 1.
unsafe impl<const N: usize, const RETURN_POINTER: bool> ComponentType
    for ImportResults<N, RETURN_POINTER>
{
    type Lower = [ValRaw; N];
    const ABI: CanonicalAbiInfo = NO_ABI;

    fn typecheck(ty: &InterfaceType, instance: &InstanceType<'_>) -> anyhow::Result<()> {
        let count = flat_count(ty, instance, MAX_FLAT_RESULTS)?;
        let expected = match RETURN_POINTER {
            true => None,
            false => Some(N),
        };
        ensure!(
            count == expected && (!RETURN_POINTER || N == 0),
            "expected {expected:?} core results, found {count:?}"
        );
        Ok(())
    }
}

// SAFETY: `typecheck` accepts tuples only.
unsafe impl<const N: usize, const RETURN_POINTER: bool> ComponentNamedList
    for ImportResults<N, RETURN_POINTER>
{
}

// SAFETY: I; H.
unsafe impl<const N: usize, const RETURN_POINTER: bool> Lower for ImportResults<N, RETURN_POINTER> {
    fn lower<T>(
        &self,
        context: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        core: &mut MaybeUninit<Self::Lower>,
    ) -> anyhow::Result<()> {
        let core = core.write([ValRaw::u64(0); N]);
        lower(
            &self.plan,
            &self.message,
            context,
            core,
            MAX_FLAT_RESULTS,
            Destination::At(self.return_pointer),
        )
    }

    fn store<T>(
        &self,
        _context: &mut LowerContext<'_, T>,
        _ty: InterfaceType,
        _offset: usize,
    ) -> anyhow::Result<()> {
        Err(heap())
    }
}
