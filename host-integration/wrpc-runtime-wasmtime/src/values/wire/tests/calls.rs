//! A peer calls an export.

use core::future::Future;

use wasmtime::component::{Func, Instance};
use wasmtime::{Store, Trap};
use wrpc_transport::Index;

use super::transport::{channel, Broken, Slice};
use super::{instance, Ctx};
use crate::call;

struct Guest {
    store: Store<Ctx>,
    instance: Instance,
}

const GUEST: &str = r#"(component
    (core module $m
        (global $cleanups (mut i32) (i32.const 0))
        (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
        (func (export "fail") (result i32) unreachable)
        (func (export "cleanups") (result i32) (global.get $cleanups))
        (func (export "cleanup") (param i32) (global.set $cleanups (i32.add (global.get $cleanups) (i32.const 1))))
        (func (export "trap") (param i32) unreachable))
    (core instance $i (instantiate $m))
    (func (export "add") (param "a" u32) (param "b" u32) (result u32)
        (canon lift (core func $i "add") (post-return (func $i "cleanup"))))
    (func (export "add-then-trap") (param "a" u32) (param "b" u32) (result u32)
        (canon lift (core func $i "add") (post-return (func $i "trap"))))
    (func (export "fail") (result u32) (canon lift (core func $i "fail") (post-return (func $i "cleanup"))))
    (func (export "cleanups") (result u32) (canon lift (core func $i "cleanups"))))"#;

impl Guest {
    async fn new() -> wasmtime::Result<Self> {
        let (store, instance) = instance(GUEST).await?;
        Ok(Self { store, instance })
    }

    fn func(&mut self, name: &str) -> Func {
        let func = self.instance.get_func(&mut self.store, name);
        func.expect("the guest exports the function")
    }

    /// Calls an export, and returns the bytes of its results.
    async fn call(&mut self, name: &str, params: &[u8]) -> anyhow::Result<Vec<u8>> {
        let (tx, mut r) = channel();
        let (called, bytes) = tokio::join!(self.call_to(name, params, tx), r.bytes());
        called?;
        Ok(bytes?)
    }

    async fn call_to<O>(&mut self, name: &str, params: &[u8], tx: O) -> anyhow::Result<()>
    where
        O: tokio::io::AsyncWrite + Index<O> + Send + Sync + Unpin + 'static,
    {
        let func = self.func(name);
        let params_ty = func.params(&self.store);
        let results_ty = func.results(&self.store);
        sendable(call(
            &mut self.store,
            Slice::new(params, usize::MAX),
            tx,
            params_ty.iter(),
            results_ty.iter(),
            func,
            &[],
        ))
        .await
    }
}

/// The host runs calls as tasks.
fn sendable<F: Future + Send>(fut: F) -> F {
    fut
}

#[tokio::test]
async fn parameters_arrive_and_results_return() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    assert_eq!(guest.call("add", &[0xac, 0x02, 5]).await?, [0xb1, 0x02]);
    assert_eq!(guest.call("cleanups", &[]).await?, [1]);
    Ok(())
}

#[tokio::test]
async fn parameters_that_break_off_are_an_error_and_leave_the_instance_usable() -> anyhow::Result<()>
{
    let mut guest = Guest::new().await?;
    let err = guest.call("add", &[1]).await.expect_err("one is missing");
    assert!(
        err.to_string().contains("ended the stream after 1 bytes"),
        "{err:#}"
    );
    assert_eq!(guest.call("add", &[1, 2]).await?, [3]);
    Ok(())
}

#[tokio::test]
async fn post_return_runs_when_the_results_cannot_be_sent() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let err = guest.call_to("add", &[1, 2], Broken).await;
    let err = format!("{:#}", err.expect_err("the peer is gone"));
    assert!(err.contains("failed to transmit results"), "{err}");
    assert_eq!(guest.call("cleanups", &[]).await?, [1]);
    assert_eq!(guest.call("add", &[1, 2]).await?, [3]);
    Ok(())
}

#[tokio::test]
async fn the_first_error_is_the_one_that_is_returned() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let err = guest.call_to("add-then-trap", &[1, 2], Broken).await;
    let err = err.expect_err("the peer is gone, and post-return traps");
    assert!(
        err.to_string().contains("failed to transmit results"),
        "{err:#}"
    );
    Ok(())
}

#[tokio::test]
async fn a_trap_in_post_return_fails_a_call_whose_results_were_sent() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let (tx, mut r) = channel();
    let called = guest.call_to("add-then-trap", &[1, 2], tx);
    let (called, bytes) = tokio::join!(called, r.bytes());
    assert_eq!(bytes?, [3]);
    let err = called.expect_err("post-return traps");
    assert_eq!(err.downcast_ref(), Some(&Trap::UnreachableCodeReached));
    Ok(())
}

#[tokio::test]
async fn a_function_that_traps_has_no_results_and_no_post_return() -> anyhow::Result<()> {
    let mut guest = Guest::new().await?;
    let (tx, mut r) = channel();
    let (called, bytes) = tokio::join!(guest.call_to("fail", &[], tx), r.bytes());
    assert!(bytes?.is_empty());
    let err = called.expect_err("it traps");
    assert_eq!(err.downcast_ref(), Some(&Trap::UnreachableCodeReached));
    Ok(())
}
