//! The challenge's picture, which Codabench requires: fields in the colours of the classes.

use std::io;

use crate::{CLASSES, png};

const SIDE: u32 = 480;
const FIELDS: u32 = 46;
/// Half the width of the paths between fields, in pixels.
const PATH: f64 = 2.6;
const BETWEEN: [u8; 3] = [0xff, 0xff, 0xff];

/// A PNG of 480 × 480 pixels; always the same.
pub(super) fn png() -> io::Result<Vec<u8>> {
    let mut random = 0x00f1_a142_u32;
    let mut next = |below: u32| {
        // Numerical Recipes' generator: any will do, as long as it never changes.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % below
    };
    let inks: Vec<[u8; 3]> = CLASSES.iter().map(|class| class.colour).filter(|ink| *ink != [0; 3]).collect();
    let mut fields = Vec::new();
    for number in 0..FIELDS {
        let ink = inks[number as usize % inks.len()];
        fields.push((f64::from(next(SIDE)), f64::from(next(SIDE)), ink));
    }
    let mut pixels = Vec::with_capacity(3 * SIDE as usize * SIDE as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            pixels.extend(colour(&fields, f64::from(x), f64::from(y)));
        }
    }
    png::encode(SIDE, SIDE, &pixels)
}

/// The nearest field's colour, or that of the path where two are about as near.
fn colour(fields: &[(f64, f64, [u8; 3])], x: f64, y: f64) -> [u8; 3] {
    let mut nearest = [(f64::INFINITY, BETWEEN); 2];
    for (field_x, field_y, ink) in fields {
        let distance = (field_x - x).hypot(field_y - y);
        if distance < nearest[0].0 {
            nearest = [(distance, *ink), nearest[0]];
        } else if distance < nearest[1].0 {
            nearest[1] = (distance, *ink);
        }
    }
    if nearest[1].0 - nearest[0].0 < 2.0 * PATH { BETWEEN } else { nearest[0].1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logo_is_a_small_png_that_never_changes() {
        let logo = png().unwrap();
        assert_eq!(&logo[..16], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
        assert!(logo.len() < 60_000, "{}", logo.len());
        assert_eq!(png().unwrap(), logo);
    }
}
