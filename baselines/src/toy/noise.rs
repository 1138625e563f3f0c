//! Noise as a function of the position. The value does not depend on the order of evaluation, so patches and satellite
//! series that are rendered independently and in parallel show the same ground.

use crate::random::Generator;

/// A position or a direction in metres: to the east, to the south.
pub(super) type Point = [f32; 2];

/// Dot product of `a` and `b`.
pub(super) fn dot(a: Point, b: Point) -> f32 {
    a[0] * b[0] + a[1] * b[1]
}

/// `a` + `scale` × `b`.
pub(super) fn add_scaled(a: Point, scale: f32, b: Point) -> Point {
    [a[0] + scale * b[0], a[1] + scale * b[1]]
}

/// The vector from `start` to `end`.
pub(super) fn vector(start: Point, end: Point) -> Point {
    [end[0] - start[0], end[1] - start[1]]
}

/// `direction` turned by 90 degrees.
pub(super) fn perpendicular(direction: Point) -> Point {
    [-direction[1], direction[0]]
}

/// 0 below `low`, 1 above `high`, a smooth cubic between.
pub(super) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The cell of the unit lattice that holds `x`.
#[expect(clippy::cast_possible_truncation, reason = "worlds are kilometres wide at most, and the cast saturates")]
pub(super) fn cell(x: f32) -> i32 {
    x.floor() as i32
}

/// A random field over the plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise(u32);

impl Noise {
    /// A field drawn from `generator`.
    pub(super) fn new(generator: &mut Generator) -> Self {
        // 2^32 values at most: the cast of a number below 2^32 loses nothing.
        Self(u32::try_from(generator.below(1 << 32)).unwrap_or(0))
    }

    /// The independent field with this number.
    pub(super) fn layer(self, number: u32) -> Self {
        Self(mix(self.0 ^ number.wrapping_mul(0x9e37_79b9)))
    }

    /// 32 random bits for a cell of the unit lattice.
    pub(super) fn bits(self, x: i32, y: i32) -> u32 {
        let h = mix(self.0 ^ x.cast_unsigned().wrapping_mul(0x85eb_ca6b));
        mix(h ^ y.cast_unsigned().wrapping_mul(0xc2b2_ae35))
    }

    /// Uniform in `[0, 1)` for a cell of the unit lattice.
    pub(super) fn uniform(self, x: i32, y: i32) -> f32 {
        unit(self.bits(x, y))
    }

    /// Smooth, in `[-1, 1]`, with features one unit wide.
    pub(super) fn smooth(self, [x, y]: Point) -> f32 {
        let (column, row) = (cell(x), cell(y));
        let (u, v) = (smoothstep(0.0, 1.0, x - x.floor()), smoothstep(0.0, 1.0, y - y.floor()));
        let top = lerp(self.uniform(column, row), self.uniform(column + 1, row), u);
        let bottom = lerp(self.uniform(column, row + 1), self.uniform(column + 1, row + 1), u);
        2.0 * lerp(top, bottom, v) - 1.0
    }

    /// The sum of `octaves` smooth fields, each half as wide and half as strong as the one before; about `[-1, 1]`.
    pub(super) fn fractal(self, [x, y]: Point, octaves: u32) -> f32 {
        let (mut sum, mut scale, mut weight) = (0.0, 1.0, 0.6);
        for octave in 0..octaves {
            sum += weight * self.layer(octave).smooth([x * scale, y * scale]);
            scale *= 2.0;
            weight *= 0.5;
        }
        sum
    }
}

/// The upper 24 bits as a number in `[0, 1)`.
pub(super) fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 / 16_777_216.0
}

fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Spreads every bit over all others (the `lowbias32` constants of Chris Wellons).
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_smooth_bounded_and_centred() {
        let noise = Noise::new(&mut Generator::new(1, "noise"));
        let values: Vec<_> = (0..20_000).map(|i| noise.smooth([i as f32 * 0.01, 0.3])).collect();
        assert!(values.iter().all(|v| v.abs() <= 1.0));
        assert!(values.windows(2).all(|w| (w[0] - w[1]).abs() < 0.04));
        assert!((values.iter().sum::<f32>() / 20_000.0).abs() < 0.15);
    }

    #[test]
    fn layers_are_independent() {
        let noise = Noise::new(&mut Generator::new(1, "noise"));
        let same = (0..4096).filter(|&i| noise.layer(1).bits(i, 7) & 1 == noise.layer(2).bits(i, 7) & 1).count();
        assert!((1900..2200).contains(&same), "{same}");
    }
}
