//! Handles of resources: of a guest's, which peers hold, and of a peer's, which a guest holds.

use core::pin::pin;

use wasmtime::component::{Func, Instance, ResourceType, Type, Val};
use wasmtime::Store;
use wasmtime_wasi::WasiView as _;

use super::transport::{channel, Slice};
use super::{decode, encode, engine, instance, read_value, store, Ctx};
use crate::{call, RemoteResource};

/// A component that defines a resource: it holds a number.
struct Guest {
    store: Store<Ctx>,
    instance: Instance,
    resource: ResourceType,
}

const GUEST: &str = r#"(component
    (type $r' (resource (rep i32)))
    (export $r "r" (type $r'))
    (core func $new (canon resource.new $r'))
    (core module $m
        (import "" "new" (func $new (param i32) (result i32)))
        (global $cleanups (mut i32) (i32.const 0))
        (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
        (func (export "get") (param i32) (result i32) (local.get 0))
        (func (export "cleanup") (param i32) (global.set $cleanups (i32.add (global.get $cleanups) (i32.const 1))))
        (func (export "cleanups") (result i32) (global.get $cleanups)))
    (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
    (func (export "make") (param "n" u32) (result (own $r))
        (canon lift (core func $i "make") (post-return (func $i "cleanup"))))
    (func (export "get") (param "r" (borrow $r)) (result u32) (canon lift (core func $i "get")))
    (func (export "cleanups") (result u32) (canon lift (core func $i "cleanups"))))"#;

impl Guest {
    async fn new() -> wasmtime::Result<Self> {
        let (mut store, instance) = instance(GUEST).await?;
        let resource = instance.get_resource(&mut store, "r");
        Ok(Self {
            resource: resource.expect("the guest exports the resource"),
            store,
            instance,
        })
    }

    fn func(&mut self, name: &str) -> Func {
        let func = self.instance.get_func(&mut self.store, name);
        func.expect("the guest exports the function")
    }

    /// Calls an export with `params`, and returns the bytes of its results.
    async fn call(
        &mut self,
        name: &str,
        params: &[u8],
        resources: &[ResourceType],
    ) -> anyhow::Result<Vec<u8>> {
        let func = self.func(name);
        let params_ty = func.params(&self.store);
        let results_ty = func.results(&self.store);
        let (tx, mut r) = channel();
        let called = call(
            &mut self.store,
            Slice::new(params, usize::MAX),
            tx,
            params_ty.iter(),
            results_ty.iter(),
            func,
            resources,
        );
        let (called, bytes) = tokio::join!(called, r.bytes());
        called?;
        Ok(bytes?)
    }
}

#[tokio::test]
async fn a_peer_gets_an_id_and_comes_back_with_it() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let resources = [guest.resource];
    let first = guest.call("make", &[41], &resources).await?;
    let second = guest.call("make", &[42], &resources).await?;
    assert_eq!((first.len(), first[0]), (17, 16), "a length and 16 bytes");
    assert_ne!(first, second);
    assert_eq!(guest.call("get", &first, &resources).await?, [41]);
    assert_eq!(guest.call("get", &second, &resources).await?, [42]);
    assert_eq!(guest.call("get", &first, &resources).await?, [41]);
    Ok(())
}

#[tokio::test]
async fn a_handle_that_was_not_handed_out_is_refused() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let resources = [guest.resource];
    let ty = Type::Borrow(guest.resource);
    let unknown = [&[16][..], &[7; 16]].concat();
    let short = [&[15][..], &[7; 15]].concat();
    let cut = [&[16][..], &[7; 15]].concat();
    let kinds = [
        (unknown, std::io::ErrorKind::NotFound),
        (short, std::io::ErrorKind::InvalidInput),
        (cut, std::io::ErrorKind::UnexpectedEof),
    ];
    for (bytes, kind) in kinds {
        let mut r = pin!(Slice::new(&bytes, usize::MAX));
        let mut val = Val::Bool(false);
        let read = read_value(&mut guest.store, &mut r, &resources, &mut val, &ty, &[0]).await;
        let err = read.expect_err("not a handle");
        assert_eq!(err.kind(), kind, "{bytes:?}: {err}");
    }
    Ok(())
}

#[tokio::test]
async fn a_message_with_what_is_no_handle_does_not_reach_the_guest_and_the_next_one_does(
) -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let resources = [guest.resource];
    let unknown = [&[16][..], &[9; 16]].concat();
    let cases = [
        (
            &unknown[..],
            "no guest resource was handed out as `09090909-",
        ),
        (b"\x00", "16 bytes, and the peer sent one of 0"),
        (b"\x02ab", "16 bytes, and the peer sent one of 2"),
    ];
    for (message, expected) in cases {
        let error = guest.call("get", message, &resources).await;
        let error = format!("{:#}", error.expect_err("no handle"));
        for part in ["parameter value 0", expected] {
            assert!(error.contains(part), "{message:?}: {error}");
        }
        let handle = guest.call("make", &[41], &resources).await?;
        assert_eq!(guest.call("get", &handle, &resources).await?, [41]);
    }
    Ok(())
}

#[tokio::test]
async fn post_return_runs_when_the_results_cannot_be_encoded() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    // Without its type among the guest's resources, the resource counts as the host's.
    let err = guest.call("make", &[41], &[]).await;
    let err = format!("{:#}", err.expect_err("a resource of the host"));
    assert!(err.contains("result value 0"), "{err}");
    assert!(
        err.contains("encoding host resources not supported"),
        "{err}"
    );
    assert_eq!(guest.call("cleanups", &[], &[]).await?, [1]);
    Ok(())
}

#[tokio::test]
async fn a_remote_handle_is_kept_and_sent_back_as_it_came() -> anyhow::Result<()> {
    let mut store = store(&engine());
    // A type that is neither a stream nor the guest's is a peer's.
    let ty = Type::Own(ResourceType::host::<RemoteResource>());
    for handle in [&b"\x00"[..], b"\x03abc"] {
        let val = decode(&mut store, handle, 1, &ty).await?;
        let (bytes, _) = encode(&mut store, &val, &ty)?;
        assert_eq!(bytes, handle);
        assert!(
            encode(&mut store, &val, &ty).is_err(),
            "an owned handle was given away"
        );
    }
    Ok(())
}

/// Values that follow a handle are not part of it.
#[tokio::test]
async fn a_remote_handle_ends_where_its_length_says() -> anyhow::Result<()> {
    let mut store = store(&engine());
    let ty = Type::Own(ResourceType::host::<RemoteResource>());
    let mut r = pin!(Slice::new(b"\x02ab\x01c", usize::MAX));
    for handle in ["ab", "c"] {
        let mut val = Val::Bool(false);
        read_value(&mut store, &mut r, &[], &mut val, &ty, &[0]).await?;
        let Val::Resource(resource) = val else {
            panic!("{val:?} is not a resource");
        };
        let resource = resource.try_into_resource::<RemoteResource>(&mut store)?;
        assert_eq!(store.data_mut().table().get(&resource)?.0, handle);
    }
    Ok(())
}

#[tokio::test]
async fn a_remote_handle_that_breaks_off_is_refused() {
    let mut store = store(&engine());
    let ty = Type::Own(ResourceType::host::<RemoteResource>());
    let bytes = [0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2];
    let err = decode(&mut store, &bytes, usize::MAX, &ty).await;
    let err = err.expect_err("the handle breaks off");
    assert_eq!(err.kind(), std::io::ErrorKind::UnexpectedEof);
    assert!(err.to_string().contains("sent 2"), "{err}");
}
