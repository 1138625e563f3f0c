//! The division of a landscape into blocks (Voronoi cells), with roads, tracks and hedges along their borders.

use super::{
    noise::{Noise, Point, add_scaled, cell, dot, perpendicular, vector},
    scene::Scene,
};

/// Distance of neighbouring blocks, in metres: a patch shows one or two, and each covers dozens of Sentinel-2 pixels.
const SPACING_M: f32 = 86.0;
/// Half the width of roads and tracks, in metres.
pub(super) const ROAD_M: f32 = 3.4;
pub(super) const TRACK_M: f32 = 2.3;
const HEDGE_M: f32 = 2.2;

/// A block of land of one use.
pub(super) struct Block {
    pub(super) site: Point,
    pub(super) scene: Scene,
    /// Direction of its rows and furrows.
    pub(super) axis: Point,
    /// Its random variation: brightness and hue, each in `[-1, 1]`.
    pub(super) parcel: [f32; 2],
    /// Its district of roads and its district of tracks. Borders between different districts are roads or tracks, so
    /// these never end in a field.
    districts: [bool; 2],
    noise: u32,
}

/// The feature along a border.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Border {
    /// No feature within reach.
    Open,
    /// A road, and the distance to its centre line, in metres.
    Road(f32),
    /// A track, and the distance to its centre line, in metres.
    Track(f32),
    Hedge,
}

/// The location of a point relative to the blocks.
pub(super) struct Location {
    /// Index of its block.
    pub(super) block: usize,
    /// Distance to the nearest border of the block, in metres.
    pub(super) inset: f32,
    /// Direction to that border.
    pub(super) outward: Point,
    pub(super) border: Border,
    /// Distance to the river's shore in metres, above 0 in the water.
    pub(super) shore: f32,
}

/// A river across the zone.
pub(super) struct River {
    through: Point,
    direction: Point,
    noise: Noise,
}

/// All blocks of a zone.
pub(super) struct Blocks {
    all: Vec<Block>,
    columns: usize,
    rows: usize,
    river: Option<River>,
}

impl River {
    /// Half its width, in metres.
    const HALF_M: f32 = 7.0;

    /// A river past `middle`.
    pub(super) fn new(noise: Noise, middle: Point) -> Self {
        let (sine, cosine) = (noise.uniform(0, 0) * std::f32::consts::PI).sin_cos();
        Self { through: add_scaled(middle, 30.0, [-sine, cosine]), direction: [cosine, sine], noise: noise.layer(1) }
    }

    fn shore(&self, point: Point) -> f32 {
        let offset = vector(self.through, point);
        let (down, aside) = (dot(offset, self.direction), dot(offset, perpendicular(self.direction)));
        let bends = 28.0 * (down / 70.0).sin() + 5.0 * self.noise.smooth(point.map(|metres| metres / 30.0));
        Self::HALF_M - (aside - bends).abs()
    }
}

impl Blocks {
    /// Blocks over `extent` metres (to the east, to the south) and a little beyond; all meadows at first.
    pub(super) fn new(noise: Noise, extent: Point, river: Option<River>) -> Self {
        // One extra ring, so that every point inside has all its neighbours.
        let [columns, rows] = extent.map(|side| usize::try_from(cell(side / SPACING_M)).unwrap_or(0) + 3);
        let mut blocks = Vec::with_capacity(columns * rows);
        for (row, column) in (0_i16..).take(rows).flat_map(|row| (0_i16..).take(columns).map(move |c| (row, c))) {
            let chance = |layer: u32| noise.layer(layer).uniform(column.into(), row.into());
            let site = [(column, chance(0)), (row, chance(1))]
                .map(|(index, jitter)| (f32::from(index) - 0.5 + 0.66 * (jitter - 0.5)) * SPACING_M);
            let (sine, cosine) = (chance(2) * std::f32::consts::PI).sin_cos();
            blocks.push(Block {
                site,
                scene: Scene::Meadow,
                axis: [cosine, sine],
                parcel: [2.0 * chance(3) - 1.0, 2.0 * chance(4) - 1.0],
                districts: [chance(5) < 0.5, chance(6) < 0.5],
                noise: noise.layer(7).bits(column.into(), row.into()),
            });
        }
        Self { all: blocks, columns, rows, river }
    }

    pub(super) fn all_mut(&mut self) -> &mut [Block] {
        &mut self.all
    }

    pub(super) fn all(&self) -> &[Block] {
        &self.all
    }

    pub(super) fn get(&self, index: usize) -> &Block {
        &self.all[index]
    }

    /// Locates `point`.
    pub(super) fn locate(&self, point: Point) -> Location {
        let home = |metres: f32, count: usize| {
            usize::try_from(cell(metres / SPACING_M + 1.0)).unwrap_or(0).clamp(1, count.saturating_sub(2).max(1))
        };
        let (column, row) = (home(point[0], self.columns), home(point[1], self.rows));
        let around: [usize; 9] = std::array::from_fn(|i| (row + i / 3 - 1) * self.columns + column + i % 3 - 1);
        let mut distances = [0.0; 9];
        let mut nearest = 0;
        for i in 0..9 {
            let offset = vector(self.all[around[i]].site, point);
            distances[i] = dot(offset, offset);
            if distances[i] < distances[nearest] {
                nearest = i;
            }
        }
        let block = &self.all[around[nearest]];
        let shore = self.river.as_ref().map_or(f32::MIN, |river| river.shore(point));
        let mut location =
            Location { block: around[nearest], inset: f32::MAX, outward: [1.0, 0.0], border: Border::Open, shore };
        for i in (0..9).filter(|&i| i != nearest) {
            let other = &self.all[around[i]];
            let way = vector(block.site, other.site);
            let length = dot(way, way).sqrt();
            let inset = (distances[i] - distances[nearest]) / (2.0 * length);
            if inset < location.inset {
                location.inset = inset;
                location.outward = way.map(|metres| metres / length);
            }
            if inset < ROAD_M + 1.0 {
                location.border = location.border.or(block.border(other, inset));
            }
        }
        location
    }
}

impl Block {
    fn border(&self, other: &Self, inset: f32) -> Border {
        if self.districts[0] != other.districts[0] {
            if inset < ROAD_M { Border::Road(inset) } else { Border::Open }
        } else if self.districts[1] != other.districts[1] {
            if inset < TRACK_M { Border::Track(inset) } else { Border::Open }
        } else if inset < HEDGE_M && self.noise.wrapping_add(other.noise).is_multiple_of(3) {
            Border::Hedge
        } else {
            Border::Open
        }
    }
}

impl Border {
    /// The border on top where two meet: the wider one, then the nearer one.
    fn or(self, other: Self) -> Self {
        let order = |border| match border {
            Self::Road(off) => (0, off),
            Self::Track(off) => (1, off),
            Self::Hedge => (2, 0.0),
            Self::Open => (3, 0.0),
        };
        if order(other) < order(self) { other } else { self }
    }
}
