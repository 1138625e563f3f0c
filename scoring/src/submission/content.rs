//! Looks into one prediction's file.

use super::{
    hints::{Values, has_class_colours},
    options::CheckOptions,
};
use crate::{
    Code, PATCH_SIZE,
    raster::{self, Compression, Header, Photometric, RasterError, SampleFormat},
    source::{Entry, ReadError, Source, magic},
    text::shown,
};

/// What is in one prediction's file.
#[derive(Default)]
pub(super) struct Content {
    /// What is wrong with it, except for single values.
    pub(super) remarks: Vec<(Code, String)>,
    /// The values in it; `None` where it is not one band of uint8 that can be decoded.
    pub(super) values: Option<Values>,
}

impl Content {
    fn remark(&mut self, code: Code, message: impl Into<String>) {
        self.remarks.push((code, message.into()));
    }

    fn unreadable(&mut self, error: &RasterError) {
        self.remark(Code::UnreadableImage, shown(&error.to_string()));
    }
}

/// Reads and decodes one prediction, as far as it can be.
pub(super) fn look(source: &Source, entry: &Entry, options: &CheckOptions) -> Content {
    let mut content = Content::default();
    match source.read(entry, options.limits.file_bytes) {
        Ok(bytes) if bytes.is_empty() => content.remark(Code::EmptyFile, "the file is empty"),
        Ok(bytes) => image(&bytes, options, &mut content),
        // The defect itself is told already.
        Err(ReadError::Refused { .. }) => {}
        Err(ReadError::TooLarge { limit, .. }) => {
            let message = format!(
                "more than {limit} bytes; a prediction has some thousands, the scores of all classes as \
                 floating-point numbers have millions: write the class with the highest one, as uint8"
            );
            content.remark(Code::FileTooLarge, message);
        }
        Err(ReadError::Damaged { reason, .. }) => {
            content.remark(Code::DamagedEntry, format!("damaged in the archive: {}", shown(&reason)));
        }
        Err(ReadError::Io { error, .. }) => content.remark(Code::UnreadableFile, format!("cannot be read: {error}")),
    }
    content
}

fn image(bytes: &[u8], options: &CheckOptions, content: &mut Content) {
    let header = match raster::header(bytes, &options.limits) {
        Ok(header) => header,
        Err(error) => {
            match magic::format(bytes).filter(|_| !bytes.starts_with(b"II") && !bytes.starts_with(b"MM")) {
                Some(format) => content.remark(Code::OtherFormat, format!("not a TIFF but {format}")),
                None => content.unreadable(&error),
            }
            return;
        }
    };
    if (header.width, header.height) != (PATCH_SIZE, PATCH_SIZE) {
        let (width, height) = (header.width, header.height);
        content.remark(Code::WrongSize, format!("{width} × {height} pixels, expected {PATCH_SIZE} × {PATCH_SIZE}"));
    }
    if header.bands != 1 {
        content.remark(Code::WrongBands, format!("{} bands, expected 1", header.bands));
    }
    let sample_type = header.sample_type();
    if sample_type != "uint8" {
        content.remark(Code::WrongSampleType, format!("samples are {sample_type}, expected uint8"));
    }
    if let Some(what) = scores(&header, bytes, options) {
        content.remark(Code::ClassScores, format!("{what}: scores? Write the class with the highest one"));
    }
    form(&header, bytes, options, content);
    if sample_type != "uint8" {
        return;
    }
    match raster::decode(bytes, &options.limits) {
        Ok(raster) if header.bands == 1 => content.values = Some(Values::of(raster.samples())),
        Ok(raster) if has_class_colours(raster.samples(), header.bands, &options.protocol) => {
            let last = options.protocol.class_count() - 1;
            let message = format!("its pixels have the colours of the classes: write the classes, 0 to {last}");
            content.remark(Code::ClassColours, message);
        }
        Ok(_) => {}
        Err(error) => content.unreadable(&error),
    }
}

/// What of the form of a TIFF is not as the challenge asks.
fn form(header: &Header, bytes: &[u8], options: &CheckOptions, content: &mut Content) {
    match header.photometric {
        Photometric::MinIsWhite => {
            let message = "white is zero (photometric MinIsWhite), and some readers invert it: write MinIsBlack";
            content.remark(Code::InvertedGrey, message);
        }
        Photometric::Palette => {
            content.remark(
                Code::PaletteImage,
                "it has a table of colours, which some readers put in place of the classes",
            );
        }
        _ => {}
    }
    if header.compression != Compression::Lzw {
        content.remark(Code::NotLzw, "not compressed by LZW, as the challenge asks for");
    }
    let Ok(extras) = raster::extras(bytes, &options.limits) else { return };
    if extras.has_more_images {
        content.remark(Code::SeveralImages, "it has more than one image: only the first is looked at");
    }
    if extras.is_georeferenced {
        content.remark(Code::Georeferenced, "it tells where on Earth it lies: not asked for, and not minded");
    }
    if let Some(value) = extras.nodata {
        let message = format!("it declares {} as no data: readers that mask it lose these pixels", shown(&value));
        content.remark(Code::NodataValue, message);
    }
}

/// As many bands are those of a network's output.
const MANY_BANDS: usize = 12;

/// Why an image seems to hold the scores of classes instead of classes.
fn scores(header: &Header, bytes: &[u8], options: &CheckOptions) -> Option<String> {
    let classes = options.protocol.class_count();
    // 12 are the challenge's classes without "other"; images in colours have up to four bands.
    if header.bands >= MANY_BANDS || (header.bands > 4 && header.bands == classes) {
        let as_many = if header.bands == classes { "as many as classes" } else { "far more than a picture has" };
        return Some(format!("{} bands, {as_many}", header.bands));
    }
    if header.sample_format != SampleFormat::Float {
        return None;
    }
    let numbers = raster::peek(bytes, &options.limits)?;
    let has_fractions = numbers.iter().any(|number| number.is_finite() && number.fract() != 0.0);
    let is_unit = numbers.iter().all(|number| (0.0..=1.0).contains(number));
    match (has_fractions, is_unit) {
        (true, true) => Some("fractions between 0 and 1".to_owned()),
        (true, false) => Some("numbers that are not whole".to_owned()),
        (false, _) => None,
    }
}
