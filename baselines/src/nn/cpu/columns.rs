//! im2col and col2im: the windows of a convolution as the columns of a matrix, and back.

use std::ops::Range;

use candle_core::{Result, bail};

use super::Real;

/// Windows of a convolution with zeros around the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// Height and width of the image.
    pub(crate) image: (usize, usize),
    /// Height and width of a window.
    pub(crate) kernel: (usize, usize),
    /// Pixels from a window to the next, on both axes.
    pub(crate) stride: usize,
    /// Zeros on each side.
    pub(crate) padding: usize,
}

/// A run of adjacent windows in one row, and the pixels that one tap (element) of the kernel reads in them.
struct Run {
    /// Indices into the requested windows.
    windows: Range<usize>,
    /// Those windows whose tap is inside the image, counted from the first of the run.
    inside: Range<usize>,
    /// Index of the pixel that the tap of the first of these reads.
    pixel: usize,
}

impl Windows {
    /// Number of windows, down and across.
    ///
    /// # Errors
    /// If the image is smaller than the kernel.
    pub(crate) fn count(&self) -> Result<(usize, usize)> {
        let axis = |size: usize, kernel: usize| {
            let free = (size + 2 * self.padding).checked_sub(kernel)?;
            (size > 0 && kernel > 0).then(|| free.checked_div(self.stride).map(|steps| steps + 1)).flatten()
        };
        match (axis(self.image.0, self.kernel.0), axis(self.image.1, self.kernel.1)) {
            (Some(down), Some(across)) => Ok((down, across)),
            _ => bail!("an image of {:?} is too small for {self:?}", self.image),
        }
    }

    /// Pixels of the image.
    pub(crate) fn pixels(&self) -> usize {
        self.image.0 * self.image.1
    }

    /// Number of taps of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }

    /// Whether every window is one pixel, and every pixel a window: the image is its own matrix of columns.
    pub(crate) fn are_pixels(&self) -> bool {
        self.kernel == (1, 1) && self.stride == 1 && self.padding == 0
    }

    /// im2col: copies the pixels of `planes` under `windows` (counted row by row, `across` in each). One row for each
    /// plane and kernel tap, one column for each window.
    pub(crate) fn gather<T: Real>(&self, planes: &[T], across: usize, windows: &Range<usize>, columns: &mut [T]) {
        let by_plane = columns.chunks_exact_mut(self.taps() * windows.len());
        for (plane, rows) in planes.chunks_exact(self.pixels()).zip(by_plane) {
            for (tap, row) in rows.chunks_exact_mut(windows.len()).enumerate() {
                self.runs(tap, across, windows, |run| {
                    let row = &mut row[run.windows];
                    row[..run.inside.start].fill(T::zero());
                    row[run.inside.end..].fill(T::zero());
                    let seen = &mut row[run.inside];
                    if self.stride == 1 {
                        seen.copy_from_slice(&plane[run.pixel..run.pixel + seen.len()]);
                    } else if let Some(pixels) = plane.get(run.pixel..) {
                        for (value, &pixel) in seen.iter_mut().zip(pixels.iter().step_by(self.stride)) {
                            *value = pixel;
                        }
                    }
                });
            }
        }
    }

    /// col2im: adds each entry of `columns` to the pixel that it was copied from.
    pub(crate) fn scatter<T: Real>(&self, columns: &[T], across: usize, windows: &Range<usize>, planes: &mut [T]) {
        let by_plane = columns.chunks_exact(self.taps() * windows.len());
        for (plane, rows) in planes.chunks_exact_mut(self.pixels()).zip(by_plane) {
            for (tap, row) in rows.chunks_exact(windows.len()).enumerate() {
                self.runs(tap, across, windows, |run| {
                    let seen = &row[run.windows][run.inside];
                    if let Some(pixels) = plane.get_mut(run.pixel..) {
                        for (pixel, &value) in pixels.iter_mut().step_by(self.stride).zip(seen) {
                            *pixel += value;
                        }
                    }
                });
            }
        }
    }

    /// Splits `windows` at row ends.
    fn runs(&self, tap: usize, across: usize, windows: &Range<usize>, mut f: impl FnMut(Run)) {
        let (down, right) = (tap / self.kernel.1, tap % self.kernel.1);
        let (height, width) = self.image;
        // The windows of a row whose tap is inside: its column + padding is stride · window + right.
        let first_inside = self.padding.saturating_sub(right).div_ceil(self.stride);
        let end_inside = (width + self.padding).saturating_sub(right).div_ceil(self.stride);
        let (mut row, mut column) = (windows.start / across, windows.start % across);
        let mut done = 0;
        while done < windows.len() {
            let length = (across - column).min(windows.len() - done);
            let line = (row * self.stride + down).checked_sub(self.padding).filter(|&line| line < height);
            let start = first_inside.saturating_sub(column).min(length);
            let end = end_inside.saturating_sub(column).min(length);
            let (inside, pixel) = match line {
                Some(line) if start < end => {
                    (start..end, line * width + (column + start) * self.stride + right - self.padding)
                }
                _ => (0..0, 0),
            };
            f(Run { windows: done..done + length, inside, pixel });
            (row, column, done) = (row + 1, 0, done + length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_the_windows_and_their_way_back_is_the_transpose() {
        for (image, kernel, stride, padding) in [
            ((5, 7), (3, 3), 1, 1),
            ((6, 5), (3, 3), 2, 1),
            ((9, 8), (7, 7), 2, 3),
            ((4, 6), (4, 4), 2, 0),
            ((3, 5), (1, 1), 2, 0),
            ((1, 1), (3, 3), 1, 1),
            ((2, 3), (3, 2), 3, 4),
        ] {
            let shape = Windows { image, kernel, stride, padding };
            let (down, across) = shape.count().unwrap();
            let planes: Vec<f64> = (1..=2 * image.0 * image.1).map(|i| i as f64).collect();
            let all = down * across;
            for windows in [0..all, all / 3..all, 0..all.div_ceil(2)] {
                let rows = 2 * shape.taps();
                let mut columns = vec![f64::NAN; rows * windows.len()];
                shape.gather(&planes, across, &windows, &mut columns);
                let mut expected_back = vec![0.0; planes.len()];
                for row in 0..rows {
                    let (plane, tap) = (row / shape.taps(), row % shape.taps());
                    for (i, window) in windows.clone().enumerate() {
                        let y = (window / across * stride + tap / kernel.1).wrapping_sub(padding);
                        let x = (window % across * stride + tap % kernel.1).wrapping_sub(padding);
                        let found = columns[row * windows.len() + i];
                        if y < image.0 && x < image.1 {
                            let pixel = (plane * image.0 + y) * image.1 + x;
                            assert!(found.to_bits() == planes[pixel].to_bits(), "{shape:?} {windows:?}");
                            expected_back[pixel] += found;
                        } else {
                            assert!(found.to_bits() == 0, "{shape:?} {windows:?}");
                        }
                    }
                }
                let mut back = vec![0.0; planes.len()];
                shape.scatter(&columns, across, &windows, &mut back);
                assert_eq!(back, expected_back, "{shape:?} {windows:?}");
            }
        }
    }

    #[test]
    fn an_image_smaller_than_the_kernel_has_no_window() {
        assert!(Windows { image: (2, 9), kernel: (5, 5), stride: 1, padding: 1 }.count().is_err());
        assert!(Windows { image: (9, 9), kernel: (3, 3), stride: 0, padding: 1 }.count().is_err());
        assert!(Windows { image: (0, 9), kernel: (3, 3), stride: 1, padding: 3 }.count().is_err());
    }
}
