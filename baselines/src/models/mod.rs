//!
//! ```text
//! aerial image [B, 5, 512, 512] ──> resnet34 ──(+ metadata)──(+ fusion)──> unet decoder ──> logits [B, 13, 512, 512]
//! Sentinel-2 series [B, T, 10, 40, 40] ──> utae ──> last map ──┘
//!                                                       └──> auxiliary logits [B, 13, 512, 512]
//! ```

pub mod fusion;
pub mod ltae;
pub mod metadata;
pub mod network;
#[cfg(test)]
mod nothing_frozen;
pub mod resnet34;
pub mod unet;
pub mod utae;
pub mod utt;

pub use network::Network;
pub use utt::{Collapse, Logits, Utt};
