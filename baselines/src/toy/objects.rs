//! Objects on a block and their positions: houses, sheds, yards, pools, greenhouses, trees.

use super::{
    blocks::{Blocks, Border},
    cover::Cover,
    noise::{Point, add_scaled, dot, perpendicular, vector},
};
use crate::random::Generator;

/// The shape of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A rectangle: yard, pool, flat roof, field of panels.
    Flat,
    /// A rectangle with a ridge along its axis.
    Gable,
    /// An ellipse with a domed top: a tree.
    Dome,
}

/// An object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object {
    pub(super) cover: Cover,
    pub(super) shape: Shape,
    pub(super) centre: Point,
    /// Direction of its length, of norm 1.
    pub(super) axis: Point,
    /// Half its length and half its width, in metres.
    pub(super) half: Point,
    pub(super) height: f32,
    /// Its random variation: brightness and hue, each in `[-1, 1]`, as a block's.
    pub(super) parcel: [f32; 2],
}

impl Object {
    /// The coordinates of `point` along and across its axis, each in `-1..=1`; `None` outside.
    pub(super) fn local(&self, point: Point) -> Option<Point> {
        let offset = vector(self.centre, point);
        let on = [dot(offset, self.axis) / self.half[0], dot(offset, perpendicular(self.axis)) / self.half[1]];
        let inside = match self.shape {
            Shape::Flat | Shape::Gable => on[0].abs() <= 1.0 && on[1].abs() <= 1.0,
            Shape::Dome => dot(on, on) <= 1.0,
        };
        inside.then_some(on)
    }

    /// Radius of its circumscribed circle.
    fn radius(&self) -> f32 {
        dot(self.half, self.half).sqrt()
    }
}

/// Generates the objects of one block.
pub(super) struct Builder<'a> {
    pub(super) blocks: &'a Blocks,
    pub(super) block: usize,
    pub(super) random: Generator,
    /// Objects on the ground, below all others.
    yards: Vec<Object>,
    trees: Vec<Object>,
    buildings: Vec<Object>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(blocks: &'a Blocks, block: usize, random: Generator) -> Self {
        Self { blocks, block, random, yards: Vec::new(), trees: Vec::new(), buildings: Vec::new() }
    }

    /// All objects, the uppermost first.
    pub(super) fn finish(self) -> Vec<Object> {
        let mut objects = self.yards;
        objects.extend(self.trees);
        objects.extend(self.buildings);
        objects.reverse();
        objects
    }

    /// Houses along the roads, each with a drive, some with a pool, and trees in the gardens.
    pub(super) fn village(&mut self) {
        for _ in 0..400 {
            let centre = self.random_point();
            let half = [self.between(5.0, 9.5), self.between(4.5, 6.5)];
            let Some((inset, outward)) = self.free(centre, half, 9.0, 60.0, 2.5) else { continue };
            let cover = if self.random.chance(0.75) { Cover::Tiles } else { Cover::Slate };
            let height = self.between(4.0, 8.5);
            self.build(cover, Shape::Gable, centre, perpendicular(outward), half, height);
            let drive = if self.random.chance(0.5) { Cover::Gravel } else { Cover::Asphalt };
            let middle = add_scaled(centre, inset / 2.0, outward);
            self.lay(drive, add_scaled(middle, half[0] - 1.8, perpendicular(outward)), outward, [inset / 2.0, 1.8]);
            if self.random.chance(0.5) {
                let pool = add_scaled(centre, -(dot(half, half).sqrt() + 5.5), outward);
                if self.free(pool, [3.0; 2], 4.0, 99.0, 0.5).is_some() {
                    self.lay(Cover::Gravel, pool, perpendicular(outward), [5.4, 3.4]);
                    self.build(Cover::Pool, Shape::Flat, pool, perpendicular(outward), [4.0, 2.0], 0.0);
                }
            }
        }
        self.plant(24);
    }

    /// A few large sheds.
    pub(super) fn works(&mut self) {
        for _ in 0..80 {
            let (centre, half) = (self.random_point(), [self.between(11.0, 20.0), self.between(7.0, 12.0)]);
            let Some((_, outward)) = self.free(centre, half, 8.0, 70.0, 6.0) else { continue };
            let cover = if self.random.chance(0.7) { Cover::Metal } else { Cover::Slate };
            let height = self.between(6.0, 10.0);
            self.build(cover, Shape::Flat, centre, perpendicular(outward), half, height);
            if self.buildings.len() >= 5 {
                break;
            }
        }
    }

    /// A yard with barns, greenhouses side by side, and a field of solar panels.
    pub(super) fn farm(&mut self) {
        let (site, axis) = (self.blocks.get(self.block).site, self.blocks.get(self.block).axis);
        let side = perpendicular(axis);
        let yard = add_scaled(site, -14.0, side);
        self.lay(Cover::Gravel, yard, axis, [26.0, 13.0]);
        for offset in [-15.0, 11.0] {
            let half = [self.between(8.0, 11.0), self.between(5.0, 7.0)];
            let height = self.between(5.0, 9.0);
            let cover = if self.random.chance(0.6) { Cover::Tiles } else { Cover::Metal };
            let centre = add_scaled(add_scaled(yard, offset, axis), self.between(-3.0, 3.0), side);
            self.build(cover, Shape::Gable, centre, axis, half, height);
        }
        for index in [0_u8, 1, 2] {
            let centre = add_scaled(add_scaled(site, 8.0 + 9.0 * f32::from(index), side), -8.0, axis);
            self.build(Cover::Greenhouse, Shape::Gable, centre, axis, [15.0, 3.6], 3.6);
        }
        let panels = add_scaled(add_scaled(site, 18.0, side), 20.0, axis);
        self.build(Cover::Solar, Shape::Flat, panels, axis, [9.0, 10.0], 1.2);
        self.plant(10);
    }

    /// Single trees where there are no buildings.
    pub(super) fn plant(&mut self, tries: usize) {
        for _ in 0..tries {
            let (centre, radius) = (self.random_point(), self.between(2.0, 4.5));
            if self.free(centre, [radius * 0.7; 2], 5.0, 99.0, 0.5).is_none() {
                continue;
            }
            let object = self.object(Cover::Broadleaf, Shape::Dome, centre, [1.0, 0.0], [radius; 2], radius * 2.2);
            self.trees.push(object);
        }
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    fn uniform(&mut self) -> f32 {
        // 24 bits, which f32 holds exactly.
        self.random.below(1 << 24) as f32 / 16_777_216.0
    }

    fn random_point(&mut self) -> Point {
        let site = self.blocks.get(self.block).site;
        [site[0] + self.between(-75.0, 75.0), site[1] + self.between(-75.0, 75.0)]
    }

    /// Distance and direction to the block's border from a possible location of an object; `None` unless the location is
    /// `low..high` metres inside the block, and `gap` metres from all buildings.
    fn free(&self, centre: Point, half: Point, low: f32, high: f32, gap: f32) -> Option<(f32, Point)> {
        let location = self.blocks.locate(centre);
        let radius = dot(half, half).sqrt();
        let clear = self.buildings.iter().all(|other| {
            let offset = vector(other.centre, centre);
            dot(offset, offset).sqrt() > other.radius() + radius + gap
        });
        let inside = location.block == self.block && location.border == Border::Open && location.shore < -6.0 - radius;
        (inside && clear && location.inset > low.max(radius + 1.0) && location.inset < high)
            .then_some((location.inset, location.outward))
    }

    fn object(&mut self, cover: Cover, shape: Shape, centre: Point, axis: Point, half: Point, height: f32) -> Object {
        let parcel = [self.between(-1.0, 1.0), self.between(-1.0, 1.0)];
        Object { cover, shape, centre, axis, half, height, parcel }
    }

    fn build(&mut self, cover: Cover, shape: Shape, centre: Point, axis: Point, half: Point, height: f32) {
        let object = self.object(cover, shape, centre, axis, half, height);
        self.buildings.push(object);
    }

    fn lay(&mut self, cover: Cover, centre: Point, axis: Point, half: Point) {
        let object = self.object(cover, Shape::Flat, centre, axis, half, 0.0);
        self.yards.push(object);
    }
}
