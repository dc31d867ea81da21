//! What the program allocates memory with.

/// What a call allocates on one thread is often freed on another. The allocator of the C library
/// takes locks for that, and calls on several cores wait for each other there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// For how many milliseconds the allocator keeps memory that is not used, before it gives it back to the system.
#[cfg(unix)]
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// Has the allocator give memory back soon, unless the environment says when.
///
/// To compile a component takes tens of megabytes for a moment. By itself, mimalloc keeps them for
/// a second, and then waits for an occasion to give them back that a host at rest does not have. It
/// reads its options once, before `main` runs, and only from the environment: so the program starts
/// itself again in this process, before it has done anything else.
#[cfg(unix)]
pub(crate) fn give_memory_back_soon() {
    use std::env;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    if env::var_os(PURGE_DELAY).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    // By its path, so that it keeps its name.
    let (Ok(program), Some(name)) = (env::current_exe(), arguments.next()) else {
        return;
    };
    let mut again = Command::new(program);
    again.arg0(name).args(arguments).env(PURGE_DELAY, "10");
    // Returns only when it fails. Then all is as it would be without this, with more memory in use.
    let _failed = again.exec();
}

/// Elsewhere a process cannot start another program in its own place.
#[cfg(not(unix))]
pub(crate) fn give_memory_back_soon() {}
