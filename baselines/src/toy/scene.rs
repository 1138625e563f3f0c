//! What a block of land is used for, and how the uses are dealt out.

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

/// Deals out the uses of each kind of zone, whatever got the least so far, so that a handful of zones shows every
/// class.
pub(super) struct Dealer {
    /// Area that each use got so far.
    dealt: [f32; SCENES],
}

impl Dealer {
    pub(super) fn new(random: &mut Generator) -> Self {
        // Chance says who comes first.
        let noise = Noise::new(random);
        let mut dealt = [0.0; SCENES];
        dealt.iter_mut().zip(0..).for_each(|(area, scene)| *area = 0.3 * noise.uniform(scene, 0));
        Self { dealt }
    }

    /// The use of the next piece of land of that kind; `area` counts in patches.
    pub(super) fn deal(&mut self, kind: Kind, area: f32) -> Scene {
        use Scene::{Broadleaves, Conifers, Crop, Farm, Heath, Meadow, Plowed, Pond, Quarry, Village, Vineyard, Works};
        // Each use and its weight. What comes with others, as grass does, weighs less than it would alone.
        let uses: &[(Scene, f32)] = match kind {
            Kind::Urban => &[(Village, 1.6), (Works, 1.0)],
            Kind::Agricultural => &[(Crop, 1.7), (Meadow, 0.8), (Plowed, 1.0), (Vineyard, 1.0), (Farm, 0.7)],
            Kind::Forest => &[(Conifers, 1.0), (Broadleaves, 0.9)],
            Kind::Natural => &[(Heath, 1.1), (Pond, 0.9), (Quarry, 1.0)],
        };
        let had = |(scene, weight): &(Scene, f32)| self.dealt[*scene as usize] / weight;
        let least = uses.iter().min_by(|a, b| had(a).total_cmp(&had(b)));
        let scene = least.map_or(Meadow, |(scene, _)| *scene);
        self.dealt[scene as usize] += area;
        scene
    }
}
