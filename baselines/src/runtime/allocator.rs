//! The allocator of the programs that compute: the binary, and the examples that time it.

use std::ffi::{c_int, c_long};

/// The allocator. The large tensors of a network come and go all the time, and glibc gives each back to the system.
pub use mimalloc::MiMalloc as Allocator;

/// mimalloc's `mi_option_purge_delay`; its crate names only the options that no version renumbers.
const PURGE_DELAY: c_int = 15;

/// Keeps freed memory for the next tensors, unless `MIMALLOC_PURGE_DELAY` says otherwise. By default the allocator gives
/// it back within a second, and clearing the pages of the next patch or step anew takes an eighth of its time.
///
/// Call it before the first large tensor.
pub fn keep_freed_memory() {
    const NEVER: c_long = -1;
    #[expect(unsafe_code, reason = "a function of C")]
    // SAFETY: it sets a number, which mimalloc reads when memory is freed.
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, NEVER);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The option of this number, set by its name in the environment of another process.
    #[test]
    fn the_option_is_that_of_its_name_and_the_users_value_wins() {
        const NAME: &str = "MIMALLOC_PURGE_DELAY";
        let value = || {
            keep_freed_memory();
            #[expect(unsafe_code, reason = "a function of C")]
            // SAFETY: it reads a number.
            unsafe {
                libmimalloc_sys::mi_option_get(PURGE_DELAY)
            }
        };
        match std::env::var(NAME) {
            Ok(set) => assert_eq!(value().to_string(), set),
            Err(_) => {
                assert_eq!(value(), -1);
                let this = std::thread::current().name().unwrap().to_owned();
                let mut again = Command::new(std::env::current_exe().unwrap());
                let status = again.args([&*this, "--exact"]).env(NAME, "1234").status().unwrap();
                assert!(status.success());
            }
        }
    }
}
