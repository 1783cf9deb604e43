//! Instruction sets: kernels are written once in plain Rust and compiled for each instruction set; each call picks
//! the best one this machine supports.
//!
//! ```
//! deepaug_simd::for_every_instruction_set! {
//!     /// Adds one to every value.
//!     fn add_one(values: &mut [u8]) {
//!         for value in values {
//!             *value = value.saturating_add(1);
//!         }
//!     }
//! }
//!
//! let mut values = [1, 255];
//! add_one(&mut values);
//! assert_eq!(values, [2, 255]);
//! ```

use std::cell::Cell;

/// The instruction sets that get their own version. NEON is part of every 64-bit Arm, so it is the portable
/// version there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstructionSet {
    /// What the compiler assumes on every machine: SSE2, NEON.
    Portable,
    /// AVX2.
    Avx2,
    /// AVX-512 F, VL, BW and DQ.
    Avx512,
    /// AVX-512 with VBMI, whose byte permutations make 256-entry lookup tables fast.
    Avx512Vbmi,
}

impl InstructionSet {
    /// All of them, lowest first.
    pub const ALL: [InstructionSet; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Vbmi];
}

thread_local! {
    static LEVEL: Cell<Option<InstructionSet>> = const { Cell::new(None) };
}

/// Returns the best instruction set this machine supports.
pub fn instruction_set() -> InstructionSet {
    LEVEL.get().unwrap_or_else(|| {
        let best = detect();
        LEVEL.set(Some(best));
        best
    })
}

#[cfg(target_arch = "x86_64")]
fn detect() -> InstructionSet {
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq");
    match (wide, is_x86_feature_detected!("avx2")) {
        (true, _) if is_x86_feature_detected!("avx512vbmi") => InstructionSet::Avx512Vbmi,
        (true, _) => InstructionSet::Avx512,
        (_, true) => InstructionSet::Avx2,
        _ => InstructionSet::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> InstructionSet {
    InstructionSet::Portable
}

/// Runs `work` on this thread at every level this machine supports, so that tests can check that all versions of a
/// kernel agree.
pub fn with_every_instruction_set(mut work: impl FnMut(InstructionSet)) {
    let best = detect();
    for level in InstructionSet::ALL.into_iter().filter(|level| *level <= best) {
        LEVEL.set(Some(level));
        work(level);
    }
    LEVEL.set(None);
}

/// Declares a function whose body is compiled for each instruction set and that runs the best version this machine
/// supports. Additions and multiplications are not fused or reordered, so all versions give the same results.
///
/// The loops must be in the body itself or in functions marked `inline(always)`: closures are not compiled for the
/// instruction set.
#[macro_export]
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
                match $crate::instruction_set() {
                    // SAFETY: the features were detected.
                    $crate::InstructionSet::Avx512 | $crate::InstructionSet::Avx512Vbmi => return unsafe { avx512($($argument),*) },
                    // SAFETY: the feature was detected.
                    $crate::InstructionSet::Avx2 => return unsafe { avx2($($argument),*) },
                    $crate::InstructionSet::Portable => {}
                }
            }
            body($($argument),*)
        }
    };
}
