//! The networks of the baselines: the U-Net of the aerial image, and U-T&T, which adds the Sentinel-2 series.
//!
//! Each file is one network, [`utt`] the whole of them; a [`Network`] is the layers with their parameters. The names of
//! the parameters are those of upstream's `state_dict`. [`patchwise`] applies a network to samples of [`crate::data`].
//!
//! ```text
//! aerial image [B, 5, 512, 512] ──> resnet34 ──(+ metadata)──(+ fusion)──> unet decoder ──> logits [B, 13, 512, 512]
//! Sentinel-2 series [B, T, 10, 40, 40] ──> utae ──> last map ──┘
//!                                                       └──> auxiliary logits [B, 13, 512, 512]
//! ```

#[cfg(test)]
pub(crate) mod fixture;
pub mod fusion;
pub(crate) mod inputs;
pub mod ltae;
pub mod metadata;
pub mod network;
pub mod patchwise;
pub mod resnet34;
pub mod unet;
pub mod utae;
pub mod utt;

pub use network::Network;
pub use utt::{Collapse, Logits, Utt};
