//! The default logo, which Codabench requires: fields in the colours of the classes.

use std::io;

use flair_scoring::{CLASSES, report::png};

const SIDE: u32 = 300;
/// Number of fields in a row.
const FIELDS: u32 = 6;
const STEP: u32 = SIDE / FIELDS;
/// Half the width of the paths between fields, in pixels.
const PATH: f64 = 1.8;
const BETWEEN: [u8; 3] = [0xff, 0xff, 0xff];

/// A PNG of 300 × 300 pixels; always the same.
pub(super) fn png() -> io::Result<Vec<u8>> {
    let mut random = 0x00f1_a142_u32;
    let mut next = |below: u32| {
        // The generator of Numerical Recipes. Any generator will do, as long as it never changes.
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % below
    };
    let inks: Vec<[u8; 3]> = CLASSES.iter().map(|class| class.colour).filter(|ink| *ink != [0; 3]).collect();
    let mut fields = Vec::new();
    for index in 0..FIELDS * FIELDS {
        let corner = [index % FIELDS * STEP, index / FIELDS * STEP];
        let [x, y] = corner.map(|corner| f64::from(corner + STEP / 8 + next(STEP * 3 / 4)));
        // 5 has no common factor with the 12 colours, and puts dissimilar ones side by side.
        fields.push((x, y, inks[(index * 5 + index / FIELDS) as usize % inks.len()]));
    }
    let mut pixels = Vec::with_capacity(3 * SIDE as usize * SIDE as usize);
    for y in 0..SIDE {
        for x in 0..SIDE {
            pixels.extend(colour(&fields, f64::from(x), f64::from(y)));
        }
    }
    png::encode(SIDE, SIDE, &pixels)
}

/// The colour of the nearest field, or of the path if another field is about as near.
fn colour(fields: &[(f64, f64, [u8; 3])], x: f64, y: f64) -> [u8; 3] {
    let squared = |field: &(f64, f64, [u8; 3])| (field.0 - x).powi(2) + (field.1 - y).powi(2);
    let Some(own) = fields.iter().min_by(|a, b| squared(a).total_cmp(&squared(b))) else { return BETWEEN };
    // The distance to the line between this field and another.
    let to_line = |other: &(f64, f64, [u8; 3])| {
        (squared(other) - squared(own)) / (2.0 * (other.0 - own.0).hypot(other.1 - own.1))
    };
    // A field and itself have no such line: 0 / 0 is NaN, which is below no number.
    if fields.iter().any(|other| to_line(other) < PATH) { BETWEEN } else { own.2 }
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
