//! A guard around third-party decoders.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoder. Fuzzing has shown that some of them panic on malicious files. Users see one error about a
/// damaged file, without the decoder's own message.
pub(crate) fn catch_panic<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                before(panic);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    // What the decoder was building is dropped with the panic.
    let result = catch_unwind(AssertUnwindSafe(decode));
    GUARDED.set(outer);
    result.unwrap_or_else(|_| Err("damaged in a way that its decoder did not expect; repair or remove it".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_the_next_work_is_done() {
        let why = catch_panic(|| -> Result<(), String> { panic!("a decoder's own words") }).unwrap_err();
        assert!(why.contains("its decoder did not expect"));
        assert_eq!(catch_panic(|| Ok(3)), Ok(3));
        assert_eq!(catch_panic(|| Err::<(), _>("plain".into())), Err("plain".into()));
    }
}
