//! The ground of a zone: its cover, height and brightness at any point.

use std::cmp::Reverse;

use super::{
    blocks::{Blocks, Border, ROAD_M, River},
    cover::Cover,
    noise::{Noise, Point, add_scaled, cell, dot, perpendicular, smoothstep, unit, vector},
    objects::{Builder, Object, Shape},
    plan::{Kind, PATCH_M, SENTINEL_M, Zone},
    scene::{Allocator, Scene},
};
use crate::random::Generator;

/// Samples of a patch, on each axis, to estimate the visible area of each block.
const SAMPLES: usize = 24;

/// The ground at a point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground {
    pub(super) cover: Cover,
    /// Metres above the bare ground.
    pub(super) height: f32,
    /// Factor of brightness: texture and the sun on slopes.
    pub(super) tone: f32,
    /// Random variation of its parcel, roof or crown: brightness and hue, each in `[-1, 1]`.
    pub(super) parcel: [f32; 2],
}

/// The landscape of a zone, which its patches and its satellite series share.
///
/// Points are metres from the super-area's upper left corner, to the east and to the south.
pub(super) struct Landscape {
    blocks: Blocks,
    /// The objects on each block, the uppermost first.
    objects: Vec<Vec<Object>>,
    noise: Noise,
    /// Horizontal direction towards the sun.
    light: Point,
}

impl Landscape {
    /// The landscape of a zone. `allocator` decides the use of blocks that its patches show; others are random.
    pub(super) fn new(seed: u64, zone: &Zone, allocator: &mut Allocator) -> Self {
        let stream = |purpose: &str| Generator::new(seed, &zone.stream(purpose));
        let noise = Noise::new(&mut stream("noise"));
        let extent = [zone.size[1] as f32 * SENTINEL_M, zone.size[0] as f32 * SENTINEL_M];
        let river = zone.kinds.contains(&Kind::Natural).then(|| {
            let sum = zone.patches.iter().fold([0.0; 2], |sum, patch| add_scaled(sum, 1.0, patch.centre));
            River::new(noise.layer(2), sum.map(|metres| metres / zone.patches.len().max(1) as f32))
        });
        let mut blocks = Blocks::new(noise.layer(1), extent, river);

        let visible = visible(&blocks, zone);
        let mut order: Vec<_> = (0..visible.len()).collect();
        order.sort_by_key(|&index| Reverse(visible[index]));
        let mut elsewhere = Allocator::new(&mut stream("elsewhere"));
        for (rank, index) in order.into_iter().enumerate() {
            // Agricultural land gets two thirds of the blocks: it has more classes than the other kinds.
            let is_second = if zone.kinds.contains(&Kind::Agricultural) {
                (rank % 3 == 1) == (zone.kinds[0] == Kind::Agricultural)
            } else {
                rank % 2 == 1
            };
            let kind = zone.kinds[usize::from(is_second)];
            blocks.all_mut()[index].scene = match visible[index] {
                0 => elsewhere.allocate(kind, 1.0),
                samples => allocator.allocate(kind, samples as f32 / (SAMPLES * SAMPLES) as f32),
            };
        }

        let objects = (0..blocks.all().len())
            .map(|index| {
                let mut builder = Builder::new(&blocks, index, stream(&format!("block/{index}")));
                match blocks.get(index).scene {
                    Scene::Village => builder.village(),
                    Scene::Works => builder.works(),
                    Scene::Farm => builder.farm(),
                    Scene::Crop | Scene::Meadow => builder.plant(2),
                    _ => {}
                }
                builder.finish()
            })
            .collect();
        Self { blocks, objects, noise: noise.layer(3), light: zone.light() }
    }

    /// Height of the bare ground above the domain's altitude, in metres.
    pub(super) fn relief(&self, point: Point) -> f32 {
        20.0 * self.noise.layer(20).fractal(point.map(|metres| metres / 300.0), 2)
    }

    /// The ground at `point`.
    pub(super) fn ground(&self, point: Point) -> Ground {
        let location = self.blocks.locate(self.warped(point));
        let block = self.blocks.get(location.block);
        let flat = |cover, tone| Ground { cover, height: 0.0, tone, parcel: block.parcel };
        // Roads, tracks and water have no variation by parcel.
        let uniform = |cover, tone| Ground { cover, height: 0.0, tone, parcel: [0.0; 2] };
        match location.border {
            Border::Road(off) => {
                let paint = off < 0.12 && (dot(point, perpendicular(location.outward)) / 3.0).rem_euclid(2.0) < 1.0;
                let edge = smoothstep(ROAD_M - 0.7, ROAD_M, off);
                return uniform(Cover::Asphalt, if paint { 1.55 } else { 1.0 + 0.12 * edge });
            }
            Border::Track(off) => return uniform(Cover::Gravel, 1.0 - 0.10 * smoothstep(0.45, 0.2, (off - 0.9).abs())),
            _ => {}
        }
        if location.shore > 0.0 {
            return uniform(Cover::Water, self.ripples(point, location.shore));
        }
        if location.shore > -4.0 && block.scene != Scene::Pond {
            return self.wood(Cover::Broadleaf, point, 5.0, 9.0, block.parcel);
        }
        if location.border == Border::Hedge {
            return self.wood(Cover::Broadleaf, point, 3.2, 5.0, block.parcel);
        }
        for object in &self.objects[location.block] {
            if let Some(on) = object.local(point) {
                return self.object(object, on, point);
            }
        }
        let rows = dot(point, perpendicular(block.axis));
        match block.scene {
            Scene::Village | Scene::Farm | Scene::Meadow => flat(Cover::Grass, self.turf(point, rows)),
            Scene::Crop => flat(Cover::Crop, self.turf(point, rows)),
            Scene::Works if location.inset < ROAD_M + 3.0 => flat(Cover::Grass, self.turf(point, rows)),
            Scene::Works if block.parcel[0] > 0.5 => flat(Cover::Gravel, 1.0 + 0.05 * self.rough(point, 4.0)),
            Scene::Works => flat(Cover::Asphalt, self.parked(point, block.axis)),
            Scene::Plowed => {
                let furrow = (rows / 1.4 * std::f32::consts::TAU).sin();
                flat(Cover::Furrow, 1.0 + 0.09 * furrow + 0.07 * self.rough(point, 14.0))
            }
            Scene::Vineyard => {
                let across_row = (rows / 2.4).rem_euclid(1.0) - 0.5;
                if across_row.abs() < 0.25 {
                    let bushy = 1.0 + 0.14 * self.rough(point, 1.0);
                    Ground { height: 1.4 * bushy, ..flat(Cover::VineRow, bushy) }
                } else {
                    flat(Cover::VineGap, 1.0 + 0.04 * self.rough(point, 3.0))
                }
            }
            Scene::Conifers | Scene::Broadleaves => self.forest(block.scene, point, block.site, block.parcel),
            Scene::Heath => self.heath(point, block.parcel),
            Scene::Pond => {
                let shore = location.inset - 9.0 - 6.0 * self.noise.layer(4).fractal(point.map(|m| m / 22.0), 2);
                if shore > 0.0 {
                    flat(Cover::Water, self.ripples(point, shore))
                } else if shore > -4.0 {
                    self.heath(point, block.parcel)
                } else {
                    flat(Cover::Grass, self.turf(point, rows))
                }
            }
            Scene::Quarry => {
                let heaps = self.noise.layer(5).fractal(point.map(|m| m / 16.0), 3);
                let slope =
                    heaps - self.noise.layer(5).fractal(add_scaled(point, 2.0, self.light).map(|m| m / 16.0), 3);
                let height = 5.0 * smoothstep(-0.1, 0.7, heaps);
                Ground { height, ..flat(Cover::Soil, 1.0 + 0.7 * slope + 0.06 * self.rough(point, 3.0)) }
            }
        }
    }

    /// Displaces a point slightly, so that borders and shores are not straight.
    fn warped(&self, point: Point) -> Point {
        let at = point.map(|metres| metres / 45.0);
        [point[0] + 3.0 * self.noise.layer(6).smooth(at), point[1] + 3.0 * self.noise.layer(7).smooth(at)]
    }

    fn rough(&self, point: Point, width: f32) -> f32 {
        self.noise.layer(8).smooth(point.map(|metres| metres / width))
    }

    /// Brightness of grass or corn: patches of better and worse growth, and faint machine tracks.
    fn turf(&self, point: Point, rows: f32) -> f32 {
        let lines = if (rows / 7.0).rem_euclid(1.0) < 0.07 { -0.05 } else { 0.0 };
        1.0 + lines + 0.06 * self.rough(point, 18.0) + 0.05 * self.rough(point, 2.5)
    }

    fn ripples(&self, point: Point, shore: f32) -> f32 {
        1.12 - 0.16 * smoothstep(0.0, 8.0, shore) + 0.03 * self.rough([point[0], point[1] * 3.0], 2.0)
    }

    /// Brightness of asphalt with parked cars.
    fn parked(&self, point: Point, axis: Point) -> f32 {
        let (u, v) = (dot(point, axis) / 2.8, dot(point, perpendicular(axis)) / 6.0);
        let row = cell(v);
        let bits = self.noise.layer(9).bits(cell(u), row);
        let (u, v) = (u - u.floor() - 0.5, v - v.floor() - 0.5);
        if row.rem_euclid(3) != 0 {
            return 1.0 + 0.04 * self.rough(point, 5.0);
        }
        if u.abs() > 0.46 {
            return 1.35;
        }
        let is_car = bits.is_multiple_of(3) && u.abs() < 0.32 && v.abs() < 0.36;
        if is_car { 0.5 + 1.2 * unit(bits) } else { 1.0 }
    }

    /// A forest, in some blocks with a clearing.
    fn forest(&self, scene: Scene, point: Point, site: Point, parcel: [f32; 2]) -> Ground {
        let offset = vector(site, point);
        let edge = 17.0 + 6.0 * self.rough(point, 12.0) - dot(offset, offset).sqrt();
        if parcel[1] > 0.3 && edge > 0.0 {
            let stump = self.crown(point, 2.2, 0.35);
            let tone = 1.0 + 0.08 * self.rough(point, 6.0) + 0.18 * stump.dome;
            return Ground { cover: Cover::ClearCut, height: 0.3 * stump.dome, tone, parcel };
        }
        if scene == Scene::Conifers {
            self.wood(Cover::Conifer, point, 5.6, 12.3, parcel)
        } else {
            self.wood(Cover::Broadleaf, point, 6.3, 12.0, parcel)
        }
    }

    /// Adjacent crowns, `spacing` metres apart, about `tall` metres high.
    fn wood(&self, cover: Cover, point: Point, spacing: f32, tall: f32, parcel: [f32; 2]) -> Ground {
        let crown = self.crown(point, spacing, 0.78);
        let height = tall * (0.45 + (0.35 + 0.3 * unit(crown.bits)) * crown.dome);
        let tone = 0.80 + 0.26 * crown.dome + 0.20 * crown.lit + 0.05 * self.rough(point, 0.8);
        let hue = (unit(crown.bits.rotate_left(13)) - 0.5) * 0.8;
        Ground { cover, height, tone, parcel: [parcel[0] + hue, parcel[1] + hue] }
    }

    /// Shrubs on dry grass.
    fn heath(&self, point: Point, parcel: [f32; 2]) -> Ground {
        let shrub = self.crown(point, 2.6, 0.62);
        let height = (0.6 + 2.0 * unit(shrub.bits)) * (0.35 + 0.65 * shrub.dome);
        let tone = 0.98 + 0.16 * shrub.lit - 0.10 * shrub.dome + 0.10 * self.rough(point, 9.0);
        Ground { cover: Cover::Heath, height, tone, parcel }
    }

    /// The highest crown over `point`, on a jittered lattice of `spacing` metres; `width` is the largest radius in
    /// units of `spacing`.
    fn crown(&self, point: Point, spacing: f32, width: f32) -> Crown {
        let noise = self.noise.layer(10);
        // The noise makes crowns irregular.
        let at = point.map(|metres| metres / 1.7);
        let [x, y] = [
            (point[0] + 0.12 * spacing * self.noise.layer(11).smooth(at)) / spacing,
            (point[1] + 0.12 * spacing * self.noise.layer(12).smooth(at)) / spacing,
        ];
        let mut best = Crown { dome: 0.0, lit: -0.4, bits: 0 };
        for (column, row) in (-1..2).flat_map(|row| (-1..2).map(move |column| (cell(x) + column, cell(y) + row))) {
            let bits = noise.bits(column, row);
            let centre = [column as f32 + 0.2 + 0.6 * unit(bits), row as f32 + 0.2 + 0.6 * unit(bits.rotate_left(8))];
            let radius = width * (0.7 + 0.3 * unit(bits.rotate_left(16)));
            let offset = vector(centre, [x, y]).map(|d| d / radius);
            let dome = (1.0 - dot(offset, offset)).max(0.0).sqrt();
            if dome > best.dome {
                best = Crown { dome, lit: dot(offset, self.light), bits };
            }
        }
        best
    }

    /// The ground on an object.
    fn object(&self, object: &Object, on: Point, point: Point) -> Ground {
        let sun = dot(perpendicular(object.axis), self.light) * on[1].signum();
        let metres = [on[0] * object.half[0], on[1] * object.half[1]];
        let (height, tone) = match (object.shape, object.cover) {
            (Shape::Gable, _) => {
                (object.height * (1.0 - 0.3 * on[1].abs()), 1.0 + 0.16 * sun + 0.03 * (metres[0] * 9.0).sin())
            }
            (Shape::Dome, _) => {
                let dome = (1.0 - dot(on, on)).max(0.0).sqrt();
                let lit = dot(on, self.light);
                (object.height * (0.4 + 0.6 * dome), 0.82 + 0.24 * dome + 0.2 * lit + 0.08 * self.rough(point, 0.8))
            }
            (Shape::Flat, Cover::Metal | Cover::Slate) => (object.height, 1.0 + 0.05 * (metres[0] * 2.4).sin()),
            (Shape::Flat, Cover::Solar) => {
                (object.height, if (metres[1] / 3.3).rem_euclid(1.0) < 0.25 { 1.5 } else { 1.0 })
            }
            (Shape::Flat, _) => (object.height, 1.0 + 0.04 * self.rough(point, 2.0)),
        };
        Ground { cover: object.cover, height, tone, parcel: object.parcel }
    }
}

/// The visible area of each block in the zone's patches, in samples, of which a patch has `SAMPLES` × `SAMPLES`.
fn visible(blocks: &Blocks, zone: &Zone) -> Vec<usize> {
    let mut visible = vec![0; blocks.all().len()];
    let offset = |sample: usize| ((sample as f32 + 0.5) / SAMPLES as f32 - 0.5) * PATCH_M;
    for patch in &zone.patches {
        for sample in 0..SAMPLES * SAMPLES {
            let point = [patch.centre[0] + offset(sample % SAMPLES), patch.centre[1] + offset(sample / SAMPLES)];
            visible[blocks.locate(point).block] += 1;
        }
    }
    visible
}

/// The crown over a point.
struct Crown {
    /// 1 at the top, 0 between crowns.
    dome: f32,
    /// Illumination: 1 towards the sun, -1 away from it.
    lit: f32,
    bits: u32,
}
