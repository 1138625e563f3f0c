//! Aerial images and masks.

use std::path::Path;

use flair_scoring::{
    PATCH_SIZE, RawLabel,
    raster::{self, Limits, Raster},
};

use super::DataError;

/// Bands of an aerial image: red, green, blue, near infrared, height above ground in steps of 0.2 m.
pub const BANDS: usize = 5;

/// Reads an aerial image: `[5, 512, 512]`, f32, `0..=1`. The samples are multiplied by 1/255 in f64 and then rounded,
/// as skimage's `img_as_float` and upstream do (`src/dataset.py:134`).
///
/// # Errors
/// If the file cannot be read as such an image.
pub fn read_image(path: &Path) -> Result<Vec<f32>, DataError> {
    let raster = read(path, BANDS)?;
    let scaled: [f32; 256] = std::array::from_fn(|sample| {
        #[expect(clippy::cast_possible_truncation, reason = "the networks compute in f32")]
        let value = (sample as f64 * (1.0 / 255.0)) as f32;
        value
    });
    Ok(raster.samples().iter().map(|sample| scaled[usize::from(*sample)]).collect())
}

/// Reads a mask as class indices: `[512, 512]`, u8, `0..=12`, of the labels 1 to 19 that the file holds.
///
/// # Errors
/// If the file cannot be read as a mask, or holds a label that the dataset does not have. Upstream silently maps label
/// 0 to class 255 (`src/dataset.py:48-53`).
pub fn read_mask(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut samples = read(path, 1)?.into_samples();
    let classes: [Option<u8>; 256] = std::array::from_fn(|value| {
        u8::try_from(value).ok().and_then(RawLabel::new).map(|label| label.class().value())
    });
    for (index, sample) in samples.iter_mut().enumerate() {
        *sample = classes[usize::from(*sample)].ok_or_else(|| {
            let (row, column) = (index / PATCH_SIZE, index % PATCH_SIZE);
            DataError::format(path, format!("its label at row {row}, column {column} is {sample}, expected 1 to 19"))
        })?;
    }
    Ok(samples)
}

fn read(path: &Path, bands: usize) -> Result<Raster, DataError> {
    let raster = raster::read(path, &Limits::default())?;
    let shape = [raster.bands(), raster.height(), raster.width()];
    let expected = [bands, PATCH_SIZE, PATCH_SIZE];
    if shape == expected {
        Ok(raster)
    } else {
        Err(DataError::format(path, format!("its bands, rows and columns are {shape:?}, expected {expected:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{
        Dataset, Part,
        fixture::{Fixture, id},
    };

    fn files() -> (Fixture, std::path::PathBuf, std::path::PathBuf) {
        let fixture = Fixture::new();
        fixture.patch(Part::Train, "D004_2021/Z1_UA", 1);
        let record = Dataset::discover(fixture.root()).unwrap().patches.remove(&id(1)).unwrap();
        (fixture, record.image.unwrap(), record.mask.unwrap())
    }

    #[test]
    fn images_are_scaled_and_masks_become_classes() {
        let (_fixture, image, mask) = files();
        let values = read_image(&image).unwrap();
        let bands: Vec<f32> = values.chunks(PATCH_SIZE * PATCH_SIZE).map(|band| band[77]).collect();
        assert_eq!(bands, [0.0, 0.2, 0.4, 0.8, 1.0]);
        let classes = read_mask(&mask).unwrap();
        assert_eq!((classes[0], classes[511], classes[512]), (12, 12, 0));
    }

    #[test]
    fn invalid_images_and_masks_are_errors() {
        let (fixture, image, mask) = files();
        let message = |error: DataError| error.to_string().replace(&fixture.root().display().to_string(), "ROOT");
        insta::assert_snapshot!(message(read_image(&mask).unwrap_err()), @"`ROOT/flair_labels_train/D004_2021/Z1_UA/msk/MSK_000001.tif` is not usable: its bands, rows and columns are [1, 512, 512], expected [5, 512, 512]");
        insta::assert_snapshot!(message(read_mask(&image).unwrap_err()), @"`ROOT/flair_aerial_train/D004_2021/Z1_UA/img/IMG_000001.tif` is not usable: its bands, rows and columns are [5, 512, 512], expected [1, 512, 512]");
        let mut labels = vec![19; PATCH_SIZE * PATCH_SIZE];
        labels[1025] = 0;
        raster::write(&mask, &Raster::new(1, PATCH_SIZE, PATCH_SIZE, labels.clone()).unwrap()).unwrap();
        insta::assert_snapshot!(message(read_mask(&mask).unwrap_err()), @"`ROOT/flair_labels_train/D004_2021/Z1_UA/msk/MSK_000001.tif` is not usable: its label at row 2, column 1 is 0, expected 1 to 19");
        labels[1025] = 20;
        raster::write(&mask, &Raster::new(1, PATCH_SIZE, PATCH_SIZE, labels).unwrap()).unwrap();
        insta::assert_snapshot!(message(read_mask(&mask).unwrap_err()), @"`ROOT/flair_labels_train/D004_2021/Z1_UA/msk/MSK_000001.tif` is not usable: its label at row 2, column 1 is 20, expected 1 to 19");
    }
}
