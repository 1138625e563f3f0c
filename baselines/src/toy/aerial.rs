//! Aerial patches: image, height model and mask.

use flair_scoring::{PATCH_SIZE, raster::Raster};

use super::{
    cover::Cover,
    landscape::{Ground, Landscape},
    noise::{Noise, Point, add_scaled, cell, unit},
    plan::{AERIAL_M, PATCH_M, Patch, Zone},
};
use crate::{data::aerial::BANDS, random::Generator};

/// Pixels around the patch whose shadows may fall into it: 10 m.
const MARGIN: usize = 50;
const WIDE: usize = PATCH_SIZE + 2 * MARGIN;
/// Digital numbers of the elevation band per metre.
const DN_PER_M: f32 = 5.0;
/// Tangent of the sun's elevation: metres that a ray descends per metre of horizontal distance.
const SUN_SLOPE: f32 = 1.5;
/// Fraction of the light in a shadow: red, green, blue, near infrared.
const SHADE: [f32; 4] = [0.56, 0.60, 0.68, 0.58];

/// An aerial patch and its mask.
pub(super) struct Picture {
    /// `[5, 512, 512]`: red, green, blue, near infrared, height above ground (0.2 m a step).
    pub(super) image: Raster,
    /// `[1, 512, 512]`: labels `1..=19`.
    pub(super) mask: Raster,
}

/// How a domain's camera renders: gain and offset of red, green, blue, near infrared.
pub(super) struct Camera {
    gain: [f32; 4],
    offset: [f32; 4],
    noise: Noise,
}

impl Camera {
    pub(super) fn new(seed: u64, domain: &str) -> Self {
        let noise = Noise::new(&mut Generator::new(seed, &format!("toy/{domain}/camera")));
        let chance = |layer: i32| [0, 1, 2, 3].map(|band| 2.0 * noise.uniform(band, layer) - 1.0);
        // Exposure changes the whole image, the gain each band.
        let exposure = 1.0 + 0.05 * chance(0)[0];
        Self { gain: chance(1).map(|c| exposure * (1.0 + 0.03 * c)), offset: chance(2).map(|c| 4.0 * c), noise }
    }
}

/// Renders a patch. `None` if the number of samples is wrong, which cannot happen.
pub(super) fn picture(landscape: &Landscape, camera: &Camera, zone: &Zone, patch: &Patch) -> Option<Picture> {
    let corner = add_scaled(patch.centre, -PATCH_M / 2.0 - MARGIN as f32 * AERIAL_M, [1.0, 1.0]);
    let metres = |start: f32, pixel: usize| start + (pixel as f32 + 0.5) * AERIAL_M;
    let grounds: Vec<Ground> = (0..WIDE * WIDE)
        .map(|pixel| landscape.ground([metres(corner[0], pixel % WIDE), metres(corner[1], pixel / WIDE)]))
        .collect();

    // The blur needs one more pixel on each side of the patch.
    let side = PATCH_SIZE + 2;
    let rays = rays(zone.light());
    let radiances: Vec<_> = (0..side * side)
        .map(|pixel| {
            let (row, column) = (pixel / side + MARGIN - 1, pixel % side + MARGIN - 1);
            radiance(&grounds[row * WIDE + column], lightness(&grounds, row, column, &rays))
        })
        .collect();

    let noise = camera.noise.layer(patch.id.number());
    let plane = PATCH_SIZE * PATCH_SIZE;
    let (mut samples, mut labels) = (vec![0; BANDS * plane], vec![0; plane]);
    for (pixel, number) in (0..plane).zip(0..) {
        let (row, column) = (pixel / PATCH_SIZE, pixel % PATCH_SIZE);
        let seen = blur(&radiances, side, row, column);
        let cover = grounds[(row + MARGIN) * WIDE + column + MARGIN].cover.traits();
        let chance = noise.bits(number, 0);
        let speckle = 1.0 + cover.grain * (unit(chance) - 0.5);
        for (band, turn) in (0..4).zip([4, 11, 18, 25]) {
            let own = 3.0 * (unit(chance.rotate_left(turn)) - 0.5);
            samples[band * plane + pixel] = byte(seen[band] * speckle * camera.gain[band] + camera.offset[band] + own);
        }
        // Height models from photographs have small errors: here one step in some pixels.
        let error = f32::from(u8::from(chance.is_multiple_of(7)));
        samples[4 * plane + pixel] = byte(seen[4] * DN_PER_M + error);
        labels[pixel] = cover.label;
    }
    Some(Picture {
        image: Raster::new(BANDS, PATCH_SIZE, PATCH_SIZE, samples)?,
        mask: Raster::new(1, PATCH_SIZE, PATCH_SIZE, labels)?,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the range first")]
fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// Colours and height of the ground. `lit` is 1 in the light, 0 in the shadow.
fn radiance(ground: &Ground, lit: f32) -> [f32; BANDS] {
    /// How a warm hue shifts the bands against each other.
    const WARM: [f32; 4] = [1.0, 0.15, -0.5, -0.7];
    let traits = ground.cover.traits();
    let [bright, hue] = ground.parcel;
    let mut bands = [ground.height; BANDS];
    for band in 0..4 {
        let parcel = 1.0 + traits.variety * (0.09 * bright + 0.07 * hue * WARM[band]);
        bands[band] = traits.colour[band] * parcel * ground.tone * (SHADE[band] + (1.0 - SHADE[band]) * lit);
    }
    bands
}

/// Offsets at which shadow casters are searched: rows, columns, and the height in metres that the ray has gained there.
fn rays(light: Point) -> [(isize, isize, f32); 12] {
    std::array::from_fn(|step| {
        let pixels = 4.0 * (step + 1) as f32;
        let offset = |direction: f32| isize::try_from(cell(pixels * direction + 0.5)).unwrap_or(0);
        (offset(light[1]), offset(light[0]), pixels * AERIAL_M * SUN_SLOPE)
    })
}

/// Whether the sun reaches a pixel: 0 or 1.
fn lightness(grounds: &[Ground], row: usize, column: usize, rays: &[(isize, isize, f32)]) -> f32 {
    let ground = &grounds[row * WIDE + column];
    // Crowns in a forest have their own shading.
    if matches!(ground.cover, Cover::Conifer | Cover::Broadleaf) && ground.height > 2.5 {
        return 1.0;
    }
    let is_hidden = rays.iter().any(|(rows, columns, gained)| {
        let row = row.saturating_add_signed(*rows).min(WIDE - 1);
        let column = column.saturating_add_signed(*columns).min(WIDE - 1);
        grounds[row * WIDE + column].height > ground.height + gained
    });
    f32::from(u8::from(!is_hidden))
}

/// The binomial mean of three by three pixels, which approximates the blur of the optics.
fn blur(radiances: &[[f32; BANDS]], side: usize, row: usize, column: usize) -> [f32; BANDS] {
    const WEIGHTS: [f32; 3] = [0.2, 0.6, 0.2];
    let mut sum = [0.0; BANDS];
    for (down, vertical) in WEIGHTS.into_iter().enumerate() {
        for (right, horizontal) in WEIGHTS.into_iter().enumerate() {
            let bands = &radiances[(row + down) * side + column + right];
            for (total, band) in sum.iter_mut().zip(bands) {
                *total += vertical * horizontal * band;
            }
        }
    }
    sum
}
