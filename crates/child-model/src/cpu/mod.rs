//! Training kernels for the CPU, where burn's general convolution backward is several times slower. All take NHWC f32
//! slices and run on the calling thread; `ops` makes them ops of burn.

mod conv;
mod im2col;
pub(crate) mod ops;
mod pool;
mod winograd;

/// Floats that a vector of the widest instruction set holds.
const LANES: usize = 16;

type Lanes = [f32; LANES];

/// Declares a function whose body is compiled for each instruction set, and which picks the best this machine has.
/// Additions and multiplications are not fused or reordered, so the results are the same under all of them.
macro_rules! for_every_instruction_set {
    ($(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        fn $name($($argument: $kind),*) {
            #[inline(always)]
            fn body($($argument: $kind),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq")]
                fn avx512($($argument: $kind),*) {
                    body($($argument),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $kind),*) {
                    body($($argument),*)
                }
                let wide = is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq");
                if wide {
                    // SAFETY: the features were detected.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the feature was detected.
                    return unsafe { avx2($($argument),*) };
                }
            }
            body($($argument),*)
        }
    };
}
use for_every_instruction_set;

/// A matrix in a slice: `rows` by `columns`, with the distance between rows and between columns.
#[derive(Debug, Clone, Copy)]
struct Strides {
    row: usize,
    column: usize,
}

impl Strides {
    /// Rows one after another, as wide as `columns`.
    fn rows(columns: usize) -> Self {
        Self { row: columns, column: 1 }
    }

    /// The transpose of a matrix stored in rows as wide as `columns`.
    fn transposed(columns: usize) -> Self {
        Self { row: 1, column: columns }
    }
}

/// `c = a b`, or `c += a b`: `a` is `[m, k]`, `b` is `[k, n]`, `c` is `[m, n]` in rows.
fn multiply(
    [m, k, n]: [usize; 3],
    (a, a_strides): (&[f32], Strides),
    (b, b_strides): (&[f32], Strides),
    c: &mut [f32],
    add: bool,
) {
    let last =
        |rows: usize, columns: usize, strides: Strides| (rows - 1) * strides.row + (columns - 1) * strides.column;
    if m == 0 || k == 0 || n == 0 {
        return;
    }
    assert!(last(m, k, a_strides) < a.len() && last(k, n, b_strides) < b.len() && m * n <= c.len());
    // SAFETY: the furthest element of each matrix lies inside its slice, and `c` is borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            a_strides.column as isize,
            a_strides.row as isize,
            b.as_ptr(),
            b_strides.column as isize,
            b_strides.row as isize,
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
