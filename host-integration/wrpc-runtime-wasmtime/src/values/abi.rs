//! Values of our own that wasmtime passes to and takes from guests.
//!
//! wasmtime calls functions of components with types that implement its [`ComponentType`], [`Lower`] and [`Lift`]. Its
//! derive macros implement them for types that are known when a program is compiled. Here they are implemented by hand
//! for tuples of any types: the types are known at run time, and the value is a message in the wRPC encoding.
//!
//! This is the only module with unsafe code. The traits are unsafe because wasmtime trusts four things, and because
//! what it hands out may not be initialised (R). They are named in the SAFETY comments by their letters:
//!
//! - **L**: `ComponentType::Lower` is an array of [`ValRaw`], and so has the layout that wasmtime asks for.
//! - **C**: that array is as long as wasmtime will read or write, for the function that it calls.
//!   For an export, wasmtime passes it to a function that takes at most [`MAX_FLAT_PARAMS`] core
//!   parameters and gives at most [`MAX_FLAT_RESULTS`] results; the arrays have these lengths, as
//!   those that wasmtime's own `Func::call` uses. For an import, the array is read from, and
//!   written to, what the guest passed; `typecheck` compares its length with what the function has,
//!   before a guest is instantiated. An array of none ([`Unread`]) is within any.
//! - **I**: `lower` initialises the whole array when it returns `Ok`. It is written with zeroes before all else.
//! - **R**: `lift` reads of the array what was stored, and no more: as many values as the function
//!   has, and of each the 32 bits, or the 64, that its core type has (`core_values`).
//! - **H**: wasmtime's own ways through memory (`load`, `store`, `SIZE32`) are for tuples of a size
//!   that is known when a program is compiled. They must not be entered, so `flatten_count` is
//!   never above the number from which on wasmtime takes them, and the two methods return errors.
//!   Values that do not fit core values are found or placed in memory by the codec, which is safe
//!   code and checks each address.
//!
//! Everything else, wrong types included, is at worst an error: the codec reads and writes through
//! checked slices, and a resource goes in and out of a guest's table as wasmtime's own
//! `ResourceAny`, which checks its type and its store.

#![allow(
    unsafe_code,
    reason = "wasmtime's traits for values are unsafe to implement; see above"
)]

use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{bail, ensure, Context as _};
use bytes::Bytes;
use inhost_codec::{self as codec, Destination, Plan, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext, LowerContext,
};
use wasmtime::component::{ComponentNamedList, ComponentType, Lift, Lower, ResourceAny};
use wasmtime::ValRaw;

use super::memory::{lift_error, lower_error, FromGuest, FromResource, ToGuest};
use super::{plans, Values};

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
    // A good time to make its plan.
    plans::with(instance.types, *ty, |_| ())?;
    match ty {
        InterfaceType::Tuple(tuple) => Ok(instance.types[*tuple].abi.flat_count(max)),
        _ => bail!("parameters and results are tuples, and this is none"),
    }
}

/// What a guest has passed: values in the wRPC encoding, without the bytes of handles, and the resources in them.
pub(super) struct Passed {
    pub(super) values: codec::Lifted,
    pub(super) resources: Vec<FromResource>,
}

/// `what` it is, a parameter or a result, is for errors.
fn lift(
    context: &mut LiftContext<'_>,
    ty: InterfaceType,
    core: &[ValRaw],
    max_flat: usize,
    what: &str,
) -> anyhow::Result<Passed> {
    let types = context.types;
    plans::with(types, ty, |planned| {
        let plan = &planned.plan;
        let mut values = [0; MAX_FLAT_PARAMS];
        let values = core_values(plan, core, max_flat, &mut values);
        let mut guest = FromGuest {
            context,
            types: &planned.resources,
            taken: Vec::new(),
            wrong: None,
        };
        let lifted = codec::Lift::new(plan).run(&mut guest, values, max_flat);
        let FromGuest { taken, wrong, .. } = guest;
        let values = lifted.map_err(|error| lift_error(error, what, wrong))?;
        Ok(Passed {
            values,
            resources: taken,
        })
    })?
}

/// The core values that a guest has passed. Of each, what is read is what was stored: 32 bits,
/// unless its type has 64. What is beside them, and in those that the function does not have, was
/// never written.
fn core_values<'v>(
    plan: &Plan,
    core: &[ValRaw],
    max_flat: usize,
    values: &'v mut [u64; MAX_FLAT_PARAMS],
) -> &'v [u64] {
    let direct = plan.flat_count() <= max_flat;
    let count = if direct { plan.flat_count() } else { 1 };
    let count = count.min(core.len()).min(MAX_FLAT_PARAMS);
    for (at, (value, core)) in values[..count].iter_mut().zip(core).enumerate() {
        *value = match direct && plan.is_wide(at) {
            true => core.get_u64(),
            false => core.get_u32().into(),
        };
    }
    &values[..count]
}

/// Values that a guest is to get: a message that was checked, and the resources that were found in it, in their order.
pub(super) struct Given {
    pub(super) types: Arc<Values>,
    pub(super) message: Bytes,
    pub(super) resources: Vec<ResourceAny>,
}

fn lower<T>(
    given: &Given,
    context: &mut LowerContext<'_, T>,
    ty: InterfaceType,
    core: &mut [ValRaw],
    max_flat: usize,
    destination: Destination,
) -> anyhow::Result<()> {
    let mut values = [0; MAX_FLAT_PARAMS];
    let values = &mut values[..core.len().min(MAX_FLAT_PARAMS)];
    let plan = &*given.types.plan;
    let types = match plan.has_resources() {
        // A copy: the guest, which may be suspended when it is asked for memory, must not hold what
        // belongs to a thread.
        true => plans::with(context.instance_type().types, ty, |planned| {
            planned.resources.clone()
        })?,
        false => Box::default(),
    };
    let mut guest = ToGuest {
        context,
        types: &types,
        kinds: &given.types.kinds,
        given: given.resources.iter(),
        wrong: None,
    };
    let lower = codec::Lower::new(plan);
    let lowered = lower.run(&given.message, &mut guest, values, max_flat, destination);
    if let Err(error) = lowered {
        let what = match destination {
            Destination::Allocate => "parameter",
            Destination::At(_) => "return",
        };
        let error = lower_error(error, what, guest.wrong);
        return Err(given.types.not_given(error));
    }
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

/// Puts a resource into the guest's table, and returns its index there.
pub(super) fn lower_resource<T>(
    handle: &ResourceAny,
    context: &mut LowerContext<'_, T>,
    ty: InterfaceType,
) -> anyhow::Result<u32> {
    let mut core = MaybeUninit::new(ValRaw::u64(0));
    handle.lower(context, ty, &mut core)?;
    // SAFETY: it was initialised when it was made.
    Ok(unsafe { core.assume_init() }.get_u32())
}

/// The parameters of an export.
///
/// Taken when they are lowered, so that a payload does not stay in memory while the guest works on its own copy.
pub(super) struct ExportParams(Mutex<Option<Given>>);

impl ExportParams {
    pub(super) fn new(given: Given) -> Self {
        Self(Mutex::new(Some(given)))
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
        ty: InterfaceType,
        core: &mut MaybeUninit<Self::Lower>,
    ) -> anyhow::Result<()> {
        let core = core.write([ValRaw::u64(0); MAX_FLAT_PARAMS]);
        let given = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .context("the parameters of a call are lowered once")?;
        lower(
            &given,
            context,
            ty,
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

/// The results of an export.
pub(super) struct ExportResults(pub(super) Passed);

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

// SAFETY: H; R.
unsafe impl Lift for ExportResults {
    fn lift(
        context: &mut LiftContext<'_>,
        ty: InterfaceType,
        core: &Self::Lower,
    ) -> anyhow::Result<Self> {
        lift(context, ty, core, MAX_FLAT_RESULTS, "result").map(Self)
    }

    fn load(
        _context: &mut LiftContext<'_>,
        _ty: InterfaceType,
        _bytes: &[u8],
    ) -> anyhow::Result<Self> {
        Err(heap())
    }
}

/// The parameters of an import.
///
/// `N` is the number of its core parameters. With `RETURN_POINTER`, the last one of them is the address for the
/// results; wasmtime has a type of its own for that, and here it is a parameter like the others.
pub(super) struct ImportParams<const N: usize, const RETURN_POINTER: bool> {
    /// Or what is wrong with what the guest has passed. wasmtime's error for a value does not say
    /// of which function it is, and that of the function does.
    pub(super) passed: anyhow::Result<Passed>,
    /// Where the results go; 0 without `RETURN_POINTER`.
    pub(super) return_pointer: u32,
}

// SAFETY: L; C: `typecheck`; H: the count is cut to `MAX_FLAT_PARAMS`. It can be one more, with a
// return pointer. wasmtime uses it to choose between its ways only, and takes the length of the
// array from its type.
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

// SAFETY: H; R.
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
            passed: lift(context, ty, params, MAX_FLAT_PARAMS, "parameter"),
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

/// The results of an import.
///
/// `N` is the number of its core results: 0 or 1. With `RETURN_POINTER` it is 0, and the results go to memory.
pub(super) struct ImportResults<const N: usize, const RETURN_POINTER: bool> {
    pub(super) given: Given,
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
        ty: InterfaceType,
        core: &mut MaybeUninit<Self::Lower>,
    ) -> anyhow::Result<()> {
        let core = core.write([ValRaw::u64(0); N]);
        lower(
            &self.given,
            context,
            ty,
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

/// The parameters of an import that is refused, whatever they are: what the guest passed is not looked at.
///
/// wasmtime's own function without a type makes a value of each parameter before it calls anyone,
/// and so of as much as a guest cares to point to.
pub(crate) struct Unread;

// SAFETY: L; C: none is read; H: the count is 0.
unsafe impl ComponentType for Unread {
    type Lower = [ValRaw; 0];
    const ABI: CanonicalAbiInfo = NO_ABI;

    fn flatten_count() -> usize {
        0
    }

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> anyhow::Result<()> {
        Ok(())
    }
}

// SAFETY: wasmtime asks for tuples only, and nothing is read of them.
unsafe impl ComponentNamedList for Unread {}

// SAFETY: H; R: it reads nothing.
unsafe impl Lift for Unread {
    fn lift(_: &mut LiftContext<'_>, _: InterfaceType, _: &Self::Lower) -> anyhow::Result<Self> {
        Ok(Self)
    }

    fn load(_: &mut LiftContext<'_>, _: InterfaceType, _: &[u8]) -> anyhow::Result<Self> {
        Err(heap())
    }
}

/// The results of an import that is refused: there is no value of it.
pub(crate) enum NoResults {}

// SAFETY: L; C: none is written, as there is no value; H: the count is 0.
unsafe impl ComponentType for NoResults {
    type Lower = [ValRaw; 0];
    const ABI: CanonicalAbiInfo = NO_ABI;

    fn flatten_count() -> usize {
        0
    }

    fn typecheck(_: &InterfaceType, _: &InstanceType<'_>) -> anyhow::Result<()> {
        Ok(())
    }
}

// SAFETY: as above; there is no value.
unsafe impl ComponentNamedList for NoResults {}

// SAFETY: I and H hold, as neither can be called.
unsafe impl Lower for NoResults {
    fn lower<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: &mut MaybeUninit<Self::Lower>,
    ) -> anyhow::Result<()> {
        match *self {}
    }

    fn store<T>(
        &self,
        _: &mut LowerContext<'_, T>,
        _: InterfaceType,
        _: usize,
    ) -> anyhow::Result<()> {
        match *self {}
    }
}
