//! Guests that compute give way to what else there is to do. A test of its own: whether they do is
//! chosen once in a process.

use std::time::{Duration, Instant};

use futures::future::join_all;
use inhost_dispatch::{time_used_up, Nowhere};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};
use wrpc_runtime_wasmtime::{
    collect_component_resources, in_ticks, take_turns, Instance, Root, Step,
};

#[path = "support/ctx.rs"]
mod ctx;

/// Those that compute for long stand in one line.
static ALONE: Mutex<()> = Mutex::const_new(());

/// The maximum execution time.
const LIMIT: Duration = Duration::from_secs(3);

type Data = ctx::Ctx<Nowhere<()>>;

/// Computes for ever, or for as many rounds as it is told, for `limit` at most.
fn instance(limit: Duration) -> anyhow::Result<Instance<Data>> {
    take_turns();
    let engine = Engine::new(Config::new().async_support(true).epoch_interruption(true))?;
    let wasm = wat::parse_str(
        r#"(component
            (core module $code
                (func (export "for-ever") (loop (br 0)))
                (func (export "rounds") (param $rounds i32) (result i32)
                    (loop $next
                        (if (i32.eqz (local.get $rounds)) (then (return (i32.const 7))))
                        (local.set $rounds (i32.sub (local.get $rounds) (i32.const 1)))
                        (br $next))
                    (unreachable)))
            (core instance $i (instantiate $code))
            (func (export "for-ever") (canon lift (core func $i "for-ever")))
            (func (export "rounds") (param "rounds" u32) (result u32)
                (canon lift (core func $i "rounds"))))"#,
    )?;
    let component = Component::new(&engine, wasm)?;
    collect_component_resources(&engine, &component.component_type(), &mut Vec::new());
    let pre = Linker::new(&engine).instantiate_pre(&component)?;
    Ok(Instance::new(pre, move || {
        let data = Data::with(Nowhere::new(), Some(in_ticks(limit)), ());
        let mut store = Store::new(&engine, data);
        store.set_epoch_deadline(in_ticks(limit).as_secs());
        store
    }))
}

/// A peer over the network, whose messages the only thread has to look for, is answered in between.
async fn echoes(times: usize) -> anyhow::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let peer = std::thread::spawn(move || -> std::io::Result<()> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(address)?;
        for _ in 0..times {
            stream.write_all(b"?")?;
            stream.read_exact(&mut [0])?;
        }
        Ok(())
    });
    let (mut stream, _) = listener.accept().await?;
    for _ in 0..times {
        stream.read_exact(&mut [0]).await?;
        stream.write_all(b"!").await?;
    }
    peer.join().expect("the peer does not panic")?;
    Ok(())
}

#[tokio::test]
async fn guests_that_compute_on_the_only_thread_let_others_run_until_their_time_is_over(
) -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let instance = instance(LIMIT)?;
    let export = instance.export("", "for-ever")?;
    let compute = || {
        let (instance, export) = (instance.clone(), export.clone());
        tokio::spawn(async move {
            let start = Instant::now();
            let (mut params, mut results) = (Root(&[][..]), Root(Vec::new()));
            let ended = instance.call(&export, &mut params, &mut results).await;
            (start.elapsed(), ended)
        })
    };
    let guests = [compute(), compute()];
    // Each takes one turn of both guests, or a few. They would have to wait for the end of the guests.
    echoes(20).await?;
    let rounds = instance.export("", "rounds")?;
    for _ in 0..20 {
        let (mut params, mut results) = (Root(&[5][..]), Root(Vec::new()));
        instance.call(&rounds, &mut params, &mut results).await?;
        assert_eq!(results.0, [7]);
    }
    for guest in &guests {
        assert!(!guest.is_finished(), "it has some of its time left");
    }
    let before = time_used_up();
    for guest in guests {
        let (time, ended) = guest.await?;
        let error = ended.expect_err("it computes for ever");
        assert_eq!(error.step(), Step::Call, "{error:?}");
        let error = format!("{:#}", anyhow::Error::from(error));
        assert!(
            error.contains("interrupt")
                && error.contains("backtrace")
                && error.contains("--max-execution-time-ms"),
            "{error}"
        );
        assert!(time >= LIMIT, "it had {time:?}");
    }
    assert_eq!(time_used_up(), before + 2);
    Ok(())
}

#[tokio::test]
async fn a_guest_that_computes_for_many_turns_comes_to_its_end() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let instance = instance(LIMIT)?;
    let export = instance.export("", "rounds")?;
    // 2^28 - 1: some tenths of a second.
    let (mut params, mut results) = (Root(&[0xff, 0xff, 0xff, 0x7f][..]), Root(Vec::new()));
    instance.call(&export, &mut params, &mut results).await?;
    assert_eq!(results.0, [7]);
    Ok(())
}

/// Each of the others has the thread for as long at a time as a large call has.
#[tokio::test]
async fn a_guest_that_computes_comes_to_its_end_beside_many_that_keep_the_thread_busy(
) -> anyhow::Result<()> {
    const OTHERS: usize = 60;
    let _alone = ALONE.lock().await;
    let instance = instance(Duration::from_secs(60))?;
    let export = instance.export("", "rounds")?;
    // 2^28 - 1, as above.
    let compute = async || {
        let start = Instant::now();
        let (mut params, mut results) = (Root(&[0xff, 0xff, 0xff, 0x7f][..]), Root(Vec::new()));
        instance.call(&export, &mut params, &mut results).await?;
        anyhow::Ok(start.elapsed())
    };
    let alone = compute().await?;
    let mut others = JoinSet::new();
    for _ in 0..OTHERS {
        others.spawn(async {
            loop {
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(1) {}
                tokio::task::yield_now().await;
            }
        });
    }
    let beside = compute().await?;
    // With a tick for each turn it would take more than thirty times as long.
    assert!(beside < 16 * alone, "{beside:?}, and {alone:?} alone");
    Ok(())
}

#[tokio::test]
async fn a_guest_that_computes_can_be_dropped_in_between() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let instance = instance(LIMIT)?;
    let export = instance.export("", "for-ever")?;
    let (mut params, mut results) = (Root(&[][..]), Root(Vec::new()));
    let call = instance.call(&export, &mut params, &mut results);
    let called = tokio::time::timeout(Duration::from_millis(20), call).await;
    assert!(called.is_err(), "it was dropped");
    Ok(())
}

#[tokio::test]
async fn guests_that_compute_for_long_come_to_their_ends_one_after_the_other() -> anyhow::Result<()>
{
    let _alone = ALONE.lock().await;
    let instance = instance(Duration::from_secs(60))?;
    let export = instance.export("", "rounds")?;
    let start = Instant::now();
    // 2^28 - 1 rounds: for more turns than are free.
    let compute = || {
        let (instance, export) = (instance.clone(), export.clone());
        tokio::spawn(async move {
            let rounds = &[0xff, 0xff, 0xff, 0x7f][..];
            let (mut params, mut results) = (Root(rounds), Root(Vec::new()));
            let called = instance.call(&export, &mut params, &mut results).await;
            called.map(|()| start.elapsed())
        })
    };
    let mut ended = Vec::new();
    for guest in join_all([(); 12].map(|()| compute())).await {
        ended.push(guest??);
    }
    ended.sort();
    // In equal parts, all would need as long as all together.
    let [first, .., last] = &ended[..] else {
        anyhow::bail!("there are twelve");
    };
    assert!(*first < *last / 2, "{ended:?}");
    Ok(())
}
