//! The configurations of the published table.

/// The rows of the published table: the preset's name, and its file in upstream's format.
pub const PRESETS: [(&str, &str); 4] = [
    ("unet", include_str!("../../presets/unet.yml")),
    ("unet-mtd-aug", include_str!("../../presets/unet-mtd-aug.yml")),
    ("utt", include_str!("../../presets/utt.yml")),
    ("utt-filt-avg-aug", include_str!("../../presets/utt-filt-avg-aug.yml")),
];
