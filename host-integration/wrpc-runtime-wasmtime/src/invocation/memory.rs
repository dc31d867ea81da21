//! How much memory a guest may have.

use std::sync::{Mutex, PoisonError};

use wasmtime::{Engine, EngineWeak, Module};

/// The bytes of a page.
const PAGE: u64 = 64 << 10;

/// The pages of the largest memory with 32-bit addresses.
const MOST_PAGES: u64 = 1 << 16;

/// What is known of the engines that are alive.
static KNOWN: Mutex<Vec<(EngineWeak, u64)>> = Mutex::new(Vec::new());

/// How large a memory of a guest of `engine` may be, in bytes: at most 4 GiB, less where instances come out of a pool.
///
/// An engine does not tell how it was configured, but it refuses a module whose memory is too large
/// for it. So it is asked, once for each engine.
pub(crate) fn limit(engine: &Engine) -> u64 {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found = None;
    known.retain(|(weak, limit)| match weak.upgrade() {
        Some(alive) => {
            if Engine::same(&alive, engine) {
                found = Some(*limit);
            }
            true
        }
        None => false,
    });
    found.unwrap_or_else(|| {
        let limit = ask(engine);
        known.push((engine.weak(), limit));
        limit
    })
}

fn ask(engine: &Engine) -> u64 {
    let accepts = |pages| Module::new(engine, module(pages)).is_ok();
    // The second: it refuses for another reason, and what its guests may have is not known.
    if accepts(MOST_PAGES) || !accepts(1) {
        return MOST_PAGES * PAGE;
    }
    let (mut accepted, mut refused) = (1, MOST_PAGES);
    while refused - accepted > 1 {
        let middle = accepted + (refused - accepted) / 2;
        if accepts(middle) {
            accepted = middle;
        } else {
            refused = middle;
        }
    }
    accepted * PAGE
}

/// A module that has nothing but a memory of so many pages.
fn module(pages: u64) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // The section of memories, its length, one memory, without a maximum, its pages in LEB128 of three bytes.
    let pages = [0, 7, 14].map(|shift| (pages >> shift) as u8 & 0x7f);
    module.extend([5, 5, 1, 0, pages[0] | 0x80, pages[1] | 0x80, pages[2]]);
    module
}

#[cfg(test)]
mod tests {
    use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

    use super::*;

    #[test]
    fn a_guest_may_have_what_the_pool_of_its_engine_has_and_else_what_it_can_address() {
        assert_eq!(limit(&Engine::default()), 4 << 30);
        for pages in [1, 160, 4096] {
            let mut pool = PoolingAllocationConfig::default();
            pool.total_memories(1);
            pool.max_memory_size((pages * PAGE) as usize);
            let mut config = Config::new();
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
            let engine = Engine::new(&config).expect("a pool");
            for _ in 0..2 {
                assert_eq!(limit(&engine), pages * PAGE);
            }
        }
    }
}
