//! Land uses of blocks, and how they are allocated.

use super::{noise::Noise, plan::Kind};
use crate::random::Generator;

/// The use of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    Village,
    /// Large sheds in a yard of asphalt.
    Works,
    /// Barns, greenhouses and solar panels around a yard of gravel.
    Farm,
    Crop,
    Meadow,
    Plowed,
    Vineyard,
    Conifers,
    Broadleaves,
    Heath,
    Pond,
    Quarry,
}

/// Number of uses.
const SCENES: usize = Scene::Quarry as usize + 1;

/// Allocates the land uses of each kind of zone: always the use with the least area so far, relative to its weight. A
/// few zones therefore show every class.
pub(super) struct Allocator {
    /// Area allocated to each use so far.
    areas: [f32; SCENES],
}

impl Allocator {
    pub(super) fn new(random: &mut Generator) -> Self {
        // Random initial areas: they decide the order of the first allocations.
        let noise = Noise::new(random);
        let mut areas = [0.0; SCENES];
        areas.iter_mut().zip(0..).for_each(|(area, scene)| *area = 0.3 * noise.uniform(scene, 0));
        Self { areas }
    }

    /// The use of the next block of a zone of that kind; `area` is in patches.
    pub(super) fn allocate(&mut self, kind: Kind, area: f32) -> Scene {
        use Scene::{Broadleaves, Conifers, Crop, Farm, Heath, Meadow, Plowed, Pond, Quarry, Village, Vineyard, Works};
        // Each use and its weight. Uses whose classes also occur in other uses, such as grass, weigh less.
        let uses: &[(Scene, f32)] = match kind {
            Kind::Urban => &[(Village, 1.6), (Works, 1.0)],
            Kind::Agricultural => &[(Crop, 1.7), (Meadow, 0.8), (Plowed, 1.0), (Vineyard, 1.0), (Farm, 0.7)],
            Kind::Forest => &[(Conifers, 1.0), (Broadleaves, 0.9)],
            Kind::Natural => &[(Heath, 1.1), (Pond, 0.9), (Quarry, 1.0)],
        };
        let relative_area = |(scene, weight): &(Scene, f32)| self.areas[*scene as usize] / weight;
        let least = uses.iter().min_by(|a, b| relative_area(a).total_cmp(&relative_area(b)));
        let scene = least.map_or(Meadow, |(scene, _)| *scene);
        self.areas[scene as usize] += area;
        scene
    }
}
