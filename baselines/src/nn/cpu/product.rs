//! Products of matrices on one thread.

use super::Real;

/// A matrix in a slice: entry `(i, j)` is `values[i * steps.0 + j * steps.1]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    /// The numbers.
    pub(crate) values: &'a [T],
    /// Rows and columns.
    pub(crate) size: (usize, usize),
    /// Strides of rows and columns.
    pub(crate) steps: (usize, usize),
}

impl<'a, T> Matrix<'a, T> {
    /// Rows of `columns` numbers, `step` apart.
    pub(crate) fn by_rows(values: &'a [T], (rows, columns): (usize, usize), step: usize) -> Self {
        Self { values, size: (rows, columns), steps: (step, 1) }
    }

    /// The transpose.
    pub(crate) fn transposed(self) -> Self {
        Self { size: (self.size.1, self.size.0), steps: (self.steps.1, self.steps.0), ..self }
    }
}

/// Whether all entries of a matrix lie within `length` numbers.
fn fits(length: usize, size: (usize, usize), steps: (usize, usize)) -> bool {
    let last = |n: usize, step: usize| n.checked_sub(1)?.checked_mul(step);
    let end = || last(size.0, steps.0)?.checked_add(last(size.1, steps.1)?);
    size.0 == 0 || size.1 == 0 || end().is_some_and(|end| end < length)
}

/// `target = left · right`, or `target += left · right`; the rows of `target` are contiguous.
///
/// # Panics
/// If the sizes do not match: callers derive them from shapes that were checked before.
#[expect(unsafe_code, reason = "gemm takes pointers; that they stay within their slices is asserted before")]
#[expect(clippy::cast_possible_wrap, reason = "steps within slices, which never hold more than isize::MAX bytes")]
pub(crate) fn multiply_add<T: Real>(target: &mut [T], left: Matrix<'_, T>, right: Matrix<'_, T>, adds: Adds) {
    let ((rows, inner), (inner_right, columns)) = (left.size, right.size);
    assert!(
        inner == inner_right
            && fits(left.values.len(), left.size, left.steps)
            && fits(right.values.len(), right.size, right.steps)
            && fits(target.len(), (rows, columns), (columns, 1)),
        "matrices that do not fit each other"
    );
    // SAFETY: `T` is f32 or f64; all entries of the three matrices lie within their slices; `target` is borrowed alone.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            target.as_mut_ptr(),
            1,
            columns as isize,
            adds == Adds::ToTarget,
            left.values.as_ptr(),
            left.steps.1 as isize,
            left.steps.0 as isize,
            right.values.as_ptr(),
            right.steps.1 as isize,
            right.steps.0 as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Whether a product replaces its target or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adds {
    /// Adds the product to the target.
    ToTarget,
    /// Overwrites the target.
    ToNothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let a: Vec<f64> = (0..15).map(f64::from).collect();
        let b: Vec<f64> = (0..20).map(|i| f64::from(i * i % 7)).collect();
        let left = Matrix::by_rows(&a, (3, 4), 5);
        let right = Matrix::by_rows(&b, (5, 4), 4).transposed();
        let right = Matrix { size: (4, 5), ..right };
        let mut target = vec![1.0; 15];
        multiply_add(&mut target, left, right, Adds::ToTarget);
        for (i, row) in target.chunks(5).enumerate() {
            for (j, &found) in row.iter().enumerate() {
                let sum: f64 = (0..4).map(|k| a[5 * i + k] * b[4 * j + k]).sum();
                assert!((found - 1.0 - sum).abs() < 1e-12);
            }
        }
        let mut fresh = vec![f64::NAN; 15];
        multiply_add(&mut fresh, left, right, Adds::ToNothing);
        assert!(fresh.iter().zip(&target).all(|(f, t)| (f + 1.0 - t).abs() < 1e-12));
    }

    #[test]
    #[should_panic(expected = "do not fit")]
    fn a_matrix_beyond_its_slice_is_refused() {
        let values = [0f32; 8];
        let square = Matrix::by_rows(&values, (3, 3), 3);
        multiply_add(&mut [0f32; 9], square, square, Adds::ToNothing);
    }
}
