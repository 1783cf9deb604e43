//! Instruction sets: kernels are written once in plain Rust, compiled for each, and the best that this machine has is
//! chosen when they are called.

use std::cell::Cell;

/// Floats that a vector of the widest instruction set holds.
pub(super) const LANES: usize = 16;

/// The instruction sets with a version of their own. NEON is part of every 64-bit Arm, so that there the portable one
/// is it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Portable,
    Avx2,
    Avx512,
}

thread_local! {
    static LEVEL: Cell<Option<Level>> = const { Cell::new(None) };
}

/// The best this machine has.
pub(super) fn level() -> Level {
    LEVEL.get().unwrap_or_else(|| {
        let best = detect();
        LEVEL.set(Some(best));
        best
    })
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Level {
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq");
    match (wide, is_x86_feature_detected!("avx2")) {
        (true, _) => Level::Avx512,
        (_, true) => Level::Avx2,
        _ => Level::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Level {
    Level::Portable
}

/// Runs `work` at every level this machine has.
#[cfg(test)]
pub(crate) fn at_every_level(work: impl Fn()) {
    let best = detect();
    for level in [Level::Portable, Level::Avx2, Level::Avx512].into_iter().filter(|level| *level <= best) {
        LEVEL.set(Some(level));
        work();
    }
    LEVEL.set(None);
}

/// Declares a function whose body is compiled for each instruction set, and which picks the best this machine has.
/// Additions and multiplications are not fused or reordered, so the results are the same under all of them.
macro_rules! for_every_instruction_set {
    ($(#[$doc:meta])* $visible:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        $visible fn $name($($argument: $kind),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "the outer function says why")]
            fn body($($argument: $kind),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
                #[allow(clippy::too_many_arguments, reason = "the outer function says why")]
                fn avx512($($argument: $kind),*) {
                    body($($argument),*)
                }
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments, reason = "the outer function says why")]
                fn avx2($($argument: $kind),*) {
                    body($($argument),*)
                }
                match $crate::engine::cpu::dispatch::level() {
                    // SAFETY: the features were detected.
                    $crate::engine::cpu::dispatch::Level::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: the feature was detected.
                    $crate::engine::cpu::dispatch::Level::Avx2 => return unsafe { avx2($($argument),*) },
                    $crate::engine::cpu::dispatch::Level::Portable => {}
                }
            }
            body($($argument),*)
        }
    };
}
pub(super) use for_every_instruction_set;
