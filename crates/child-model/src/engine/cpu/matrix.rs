//! Matrix products on slices.

/// A matrix in a slice: `rows` by `columns`, with the distances between rows and between columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strides {
    row: usize,
    column: usize,
}

impl Strides {
    /// Row-major, with rows as wide as `columns`.
    pub(super) fn rows(columns: usize) -> Self {
        Self { row: columns, column: 1 }
    }

    /// The transpose of a row-major matrix with rows as wide as `columns`.
    pub(super) fn transposed(columns: usize) -> Self {
        Self { row: 1, column: columns }
    }
}

/// Computes `c = a b`, or `c += a b`: `a` is `[m, k]`, `b` is `[k, n]`, `c` is `[m, n]` in row-major order.
pub(super) fn multiply(
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
    // SAFETY: the furthest element of each matrix lies inside its slice, and `c` is borrowed exclusively.
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
