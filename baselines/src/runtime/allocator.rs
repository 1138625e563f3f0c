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

    #[test]
    fn the_option_is_that_of_its_name_and_the_users_value_wins() {
        const NAME: &str = "MIMALLOC_PURGE_DELAY";
        const THIS: &str = "runtime::allocator::tests::the_option_is_that_of_its_name_and_the_users_value_wins";
        keep_freed_memory();
        #[expect(unsafe_code, reason = "a function of C")]
        // SAFETY: it reads a number.
        let delay = unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        if let Ok(set) = std::env::var(NAME) {
            assert_eq!(delay.to_string(), set);
        } else {
            assert_eq!(delay, -1);
            let mut again = Command::new(std::env::current_exe().unwrap());
            let output = again.args([THIS, "--exact"]).env(NAME, "1234").output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && text.contains("1 passed"), "{text}");
        }
    }
}
