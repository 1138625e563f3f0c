//! Looks into one prediction's file.

use super::{
    check::CheckOptions,
    codes::Code,
    hints::Values,
    shown,
    source::{Entry, ReadError, Source},
};
use crate::{
    CLASS_COUNT, PATCH_SIZE,
    raster::{self, Compression, Photometric, RasterError},
};

/// What is in one prediction's file.
pub(super) struct Content {
    /// What is wrong with it, except for single values.
    pub(super) remarks: Vec<(Code, String)>,
    /// The values in it; none where it could not be decoded.
    pub(super) values: Values,
    /// Number of pixels above the last class.
    pub(super) pixels_out_of_range: u64,
}

/// Reads and decodes one prediction, as far as it can be.
pub(super) fn look(source: &Source, entry: &Entry, options: &CheckOptions) -> Content {
    let mut content = Content { remarks: Vec::new(), values: Values::NONE, pixels_out_of_range: 0 };
    let mut remark = |code, message: String| content.remarks.push((code, message));
    let bytes = match source.read(entry, options.limits.file_bytes) {
        Ok(bytes) => bytes,
        // The defect itself is told already.
        Err(ReadError::Refused { .. }) => return content,
        Err(ReadError::TooLarge { limit, .. }) => {
            remark(Code::FileTooLarge, format!("more than {limit} bytes; a prediction has some thousands"));
            return content;
        }
        Err(ReadError::Damaged { reason, .. }) => {
            remark(Code::DamagedEntry, format!("damaged in the archive: {}", shown(&reason)));
            return content;
        }
        Err(ReadError::Io { error, .. }) => {
            remark(Code::UnreadableFile, format!("cannot be read: {error}"));
            return content;
        }
    };
    let unreadable = |error: RasterError| (Code::UnreadableImage, shown(&error.to_string()));
    let header = match raster::header(&bytes, &options.limits) {
        Ok(header) => header,
        Err(error) => {
            content.remarks.push(unreadable(error));
            return content;
        }
    };
    if (header.width, header.height) != (PATCH_SIZE, PATCH_SIZE) {
        let (width, height) = (header.width, header.height);
        remark(Code::WrongSize, format!("{width} × {height} pixels, expected {PATCH_SIZE} × {PATCH_SIZE}"));
    }
    if header.bands != 1 {
        remark(Code::WrongBands, format!("{} bands, expected 1", header.bands));
    }
    if header.photometric == Photometric::MinIsWhite {
        let message = "white is zero (photometric MinIsWhite), and some readers invert it: write MinIsBlack";
        remark(Code::InvertedGrey, message.to_owned());
    }
    if header.compression != Compression::Lzw {
        remark(Code::NotLzw, "not compressed by LZW, as the challenge asks for".to_owned());
    }
    let sample_type = header.sample_type();
    if sample_type != "uint8" {
        remark(Code::WrongSampleType, format!("samples are {sample_type}, expected uint8"));
        return content;
    }
    match raster::decode(&bytes, &options.limits) {
        Ok(raster) => {
            content.values = Values::of(raster.samples());
            let is_out = |v: &u8| usize::from(*v) >= CLASS_COUNT;
            content.pixels_out_of_range = raster.samples().iter().copied().filter(is_out).count() as u64;
            if content.values.is_constant() {
                content.remarks.push((Code::ConstantPrediction, "all pixels are of one value".to_owned()));
            }
        }
        Err(error) => content.remarks.push(unreadable(error)),
    }
    content
}
