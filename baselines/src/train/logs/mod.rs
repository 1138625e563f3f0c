//! Logs of a training run: a table, curves, and TensorBoard's event files.

mod curves;
mod events;
mod table;

pub use curves::{png, svg};
pub use events::EventFile;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use flair_scoring::{CLASSES, ClassId, files::write_atomically, report::png::encode};

use super::{
    TrainError,
    validate::{EpochMetrics, Shown},
};

/// The logs of a run.
#[derive(Debug)]
pub(super) struct Logs {
    out: PathBuf,
    /// The next step: TensorBoard discards an interrupted run's events of this step and later ones.
    next_step: u64,
    /// Created with the first event.
    events: Option<EventFile>,
    /// Whether the event file holds the shown patch and its mask.
    has_patch: bool,
}

impl Logs {
    /// The logs of the run folder `out`, from step `next_step` on.
    pub(super) fn new(out: &Path, next_step: usize) -> Self {
        Self { out: out.to_owned(), next_step: next_step as u64, events: None, has_patch: false }
    }

    /// Logs an optimiser step.
    pub(super) fn step(&mut self, step: usize, loss: f64, learning_rate: f64, norm: f64) -> Result<(), TrainError> {
        let values = [("train_loss_step", loss), ("lr", learning_rate), ("gradient_norm", norm)];
        self.events(|events| events.scalars(step as u64, values))
    }

    /// Logs a finished epoch: its metrics, and images for TensorBoard.
    pub(super) fn epoch(&mut self, epoch: &EpochMetrics, shown: Option<&Shown>) -> Result<(), TrainError> {
        let tags: Vec<String> = CLASSES.iter().map(|class| format!("iou/{}", class.name)).collect();
        let step = epoch.step as u64;
        let mut values = vec![("epoch", epoch.epoch as f64), ("train_loss", epoch.train_loss)];
        if let Some(validation) = &epoch.validation {
            values.extend(validation.loss.map(|loss| ("val_loss", loss)));
            values.extend(validation.miou.map(|miou| ("val_miou", miou)));
            values.push(("val_miou_upstream", validation.miou_upstream));
            values.extend(tags.iter().zip(validation.iou).filter_map(|(tag, iou)| Some((tag.as_str(), iou?))));
        }
        let has_patch = std::mem::replace(&mut self.has_patch, shown.is_some());
        self.events(|events| {
            events.scalars(step, values)?;
            if let Some(shown) = shown {
                if !has_patch {
                    picture(events, step, "patch", &colours(&shown.colours))?;
                    picture(events, step, "mask", &painted(&shown.mask))?;
                }
                picture(events, step, "prediction", &painted(&shown.prediction))?;
            }
            events.flush()
        })
    }

    /// Writes table and curves of all epochs, replacing the previous ones.
    pub(super) fn history(&self, history: &[EpochMetrics]) -> Result<(), TrainError> {
        let write = |name: &str, bytes: &[u8]| {
            let path = self.out.join(name);
            write_atomically(&path, |file| file.write_all(bytes)).map_err(|source| TrainError::Write { path, source })
        };
        write("metrics.csv", table::table(history).as_bytes())?;
        write("training.svg", svg(history)?.as_bytes())?;
        write("training.png", &png(history)?)
    }

    fn events(&mut self, write: impl FnOnce(&mut EventFile) -> io::Result<()>) -> Result<(), TrainError> {
        let folder = self.out.join("tensorboard");
        let result = match &mut self.events {
            Some(events) => write(events),
            None => EventFile::create(&folder, self.next_step).and_then(|events| write(self.events.insert(events))),
        };
        result.map_err(|source| TrainError::Write { path: folder, source })
    }
}

fn picture(events: &mut EventFile, step: u64, tag: &str, pixels: &[u8]) -> io::Result<()> {
    let side = u32::try_from((pixels.len() / 3).isqrt()).map_err(io::Error::other)?;
    events.image(step, tag, (side, side), &encode(side, side, pixels)?)
}

/// `[3, H, W]`, `0..=1`, to `[H, W, 3]`, 8 bits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 8 bits")]
fn colours(planes: &[f32]) -> Vec<u8> {
    let pixels = planes.len() / 3;
    let value = |i: usize| (planes[i % 3 * pixels + i / 3].clamp(0.0, 1.0) * 255.0).round() as u8;
    (0..3 * pixels).map(value).collect()
}

/// Classes `[H, W]` to their colours, `[H, W, 3]`.
fn painted(classes: &[u8]) -> Vec<u8> {
    classes.iter().flat_map(|class| ClassId::new(*class).unwrap_or(ClassId::OTHER).class().colour).collect()
}
