//! Makes pairs of masks and predictions, as many as the challenge's test set has, out of a few masks: shifted,
//! turned, with other labels, so that no two are alike. For measuring, not for scoring.
//!
//! ```sh
//! cargo run --release -p flair-scoring --example full_size -- MASKS OUT [PAIRS]
//! ```
//!
//! OUT/truth has the official layout (ten domains, their zones), OUT/pred the predictions: the mask moved by a few
//! pixels, so that about one pixel in ten is wrong.

#![expect(clippy::print_stdout, reason = "a program")]

use std::{env, error::Error, path::Path, path::PathBuf};

use flair_scoring::{
    PatchId, RawLabel,
    raster::{self, Limits, Raster},
    score::pairing::Masks,
};
use rayon::prelude::*;

/// The challenge's test patches: 077413 to 093462.
const FIRST: u32 = 77_413;
const PAIRS: u32 = 16_050;
const DOMAINS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [masks, out, rest @ ..] = arguments.as_slice() else {
        return Err("usage: full_size MASKS OUT [PAIRS]".into());
    };
    let pairs = rest.first().map_or(Ok(PAIRS), |text| text.parse())?;
    let masks = Masks::find(Path::new(masks))?;
    let masks = masks.iter().map(|(_, path)| raster::read(path, &Limits::default())).collect::<Result<Vec<_>, _>>()?;
    if masks.is_empty() {
        return Err("there is no mask".into());
    }
    let out = PathBuf::from(out);
    (0..pairs).into_par_iter().try_for_each(|number| pair(&masks, &out, number).map_err(|error| error.to_string()))?;
    println!("{}: {pairs} pairs", out.display());
    Ok(())
}

fn pair(masks: &[Raster], out: &Path, number: u32) -> Result<(), Box<dyn Error>> {
    let id = PatchId::new(FIRST + number).ok_or("too many pairs")?;
    let at = number as usize;
    let mask = &masks[at % masks.len()];
    let (height, width) = (mask.height(), mask.width());
    // Labels move up by a number that differs from pair to pair, within 1..=19.
    let relabel = |label: u8| (label - 1 + u8::try_from(at / 7 % 19).unwrap_or(0)) % RawLabel::MAX + 1;
    let sample = |row: usize, column: usize| {
        let (row, column) = ((row + 37 * at) % height, (column + 101 * at) % width);
        relabel(mask.samples()[row * width + column].clamp(1, RawLabel::MAX))
    };
    let raster = |value: &dyn Fn(usize, usize) -> u8| {
        let samples = (0..height * width).map(|i| value(i / width, i % width)).collect();
        Raster::new(1, height, width, samples).ok_or("no mask")
    };
    let (domain, zone) = (at % DOMAINS + 1, at / DOMAINS % 16 + 1);
    let folder = out.join(format!("truth/D{domain:03}_2020/Z{zone}_UA/msk"));
    raster::write(&folder.join(id.file_name("MSK")), &raster(&sample)?)?;
    let moved = |row: usize, column: usize| {
        let label = sample((row + 2 + at % 3) % height, (column + 3) % width);
        RawLabel::new(label).map_or(12, |label| label.class().value())
    };
    raster::write(&out.join("pred").join(id.file_name("PRED")), &raster(&moved)?)?;
    Ok(())
}
