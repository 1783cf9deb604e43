//! Vectors of floats, for the kernels that a compiler does not vectorise by itself.

/// Number of floats in a vector of the widest instruction set.
pub(super) const LANES: usize = 16;

/// A vector of floats. Every method is inlined into a function compiled for the instructions it needs.
pub(super) trait Vector: Copy {
    /// Number of floats in it; a divisor of [`LANES`].
    const WIDTH: usize;

    /// Returns a vector with all values equal.
    ///
    /// # Safety
    /// For this and all other methods: the machine supports the instructions, and whatever is read or written is
    /// in the caller's memory.
    unsafe fn all(value: f32) -> Self;
    unsafe fn read(from: *const f32) -> Self;
    unsafe fn write(self, to: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// Clamps values between two bounds; NaN stays NaN.
    unsafe fn clamp(self, low: Self, high: Self) -> Self;
    /// Sets values to zero where `y` is not strictly between two bounds.
    unsafe fn keep_between(self, y: Self, low: Self, high: Self) -> Self;
}

/// The vector of four floats that every machine has: SSE2, NEON.
pub(super) type Portable = [f32; 4];

impl Vector for Portable {
    const WIDTH: usize = 4;

    #[inline(always)]
    unsafe fn all(value: f32) -> Self {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn read(from: *const f32) -> Self {
        // SAFETY: the caller's.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn write(self, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }

    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        [self[0] + b[0], self[1] + b[1], self[2] + b[2], self[3] + b[3]]
    }

    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        [self[0] - b[0], self[1] - b[1], self[2] - b[2], self[3] - b[3]]
    }

    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        [self[0] * b[0], self[1] * b[1], self[2] * b[2], self[3] * b[3]]
    }

    #[inline(always)]
    unsafe fn clamp(mut self, low: Self, high: Self) -> Self {
        for i in 0..4 {
            let value = if low[i] > self[i] { low[i] } else { self[i] };
            self[i] = if high[i] < value { high[i] } else { value };
        }
        self
    }

    #[inline(always)]
    unsafe fn keep_between(mut self, y: Self, low: Self, high: Self) -> Self {
        for i in 0..4 {
            self[i] = if y[i] > low[i] && y[i] < high[i] { self[i] } else { 0.0 };
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;

    impl Vector for __m256 {
        const WIDTH: usize = 8;

        #[inline(always)]
        unsafe fn all(value: f32) -> Self {
            // SAFETY: the caller's, here and below.
            unsafe { _mm256_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn read(from: *const f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn write(self, to: *mut f32) {
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(to, self) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_add_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_sub_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_mul_ps(self, other) }
        }

        // If one of two operands is NaN, both instructions return the second.
        #[inline(always)]
        unsafe fn clamp(self, low: Self, high: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm256_min_ps(high, _mm256_max_ps(low, self)) }
        }

        #[inline(always)]
        unsafe fn keep_between(self, y: Self, low: Self, high: Self) -> Self {
            // SAFETY: see above.
            unsafe {
                let above = _mm256_cmp_ps::<_CMP_GT_OQ>(y, low);
                let below = _mm256_cmp_ps::<_CMP_LT_OQ>(y, high);
                _mm256_and_ps(self, _mm256_and_ps(above, below))
            }
        }
    }

    impl Vector for __m512 {
        const WIDTH: usize = 16;

        #[inline(always)]
        unsafe fn all(value: f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn read(from: *const f32) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn write(self, to: *mut f32) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(to, self) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_add_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_sub_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_mul_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn clamp(self, low: Self, high: Self) -> Self {
            // SAFETY: see above.
            unsafe { _mm512_min_ps(high, _mm512_max_ps(low, self)) }
        }

        #[inline(always)]
        unsafe fn keep_between(self, y: Self, low: Self, high: Self) -> Self {
            // SAFETY: see above.
            unsafe {
                let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(y, low);
                _mm512_maskz_mov_ps(_mm512_mask_cmp_ps_mask::<_CMP_LT_OQ>(above, y, high), self)
            }
        }
    }
}

/// Declares a function over a kind of vector, and one that calls it with the best kind this machine has. The body
/// is unsafe: it may read and write only what the function's own checks allow.
macro_rules! for_every_vector {
    ($(#[$doc:meta])* fn $name:ident<$V:ident>($($argument:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "a kernel takes its arrays one by one")]
        fn $name($($argument: $kind),*) {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "a kernel takes its arrays one by one")]
            unsafe fn body<$V: $crate::engine::cpu::vector::Vector>($($argument: $kind),*) {
                // SAFETY: the machine has this kind of vector, and the body checks its slices.
                unsafe { $body }
            }

            #[cfg(target_arch = "x86_64")]
            {
                use deepaug_simd::{InstructionSet, instruction_set};

                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
                #[allow(clippy::too_many_arguments, reason = "a kernel takes its arrays one by one")]
                fn avx512($($argument: $kind),*) {
                    // SAFETY: this function is only called where the features are.
                    unsafe { body::<std::arch::x86_64::__m512>($($argument),*) }
                }
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments, reason = "a kernel takes its arrays one by one")]
                fn avx2($($argument: $kind),*) {
                    // SAFETY: this function is only called where the feature is.
                    unsafe { body::<std::arch::x86_64::__m256>($($argument),*) }
                }
                match instruction_set() {
                    // SAFETY: the features were detected.
                    InstructionSet::Avx512 | InstructionSet::Avx512Vbmi => return unsafe { avx512($($argument),*) },
                    // SAFETY: the feature was detected.
                    InstructionSet::Avx2 => return unsafe { avx2($($argument),*) },
                    InstructionSet::Portable => {}
                }
            }
            // SAFETY: every machine has it.
            unsafe { body::<$crate::engine::cpu::vector::Portable>($($argument),*) }
        }
    };
}
pub(super) use for_every_vector;
