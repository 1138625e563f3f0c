//! Checks the content of one prediction file.

use super::{
    hints::{Values, has_class_colours, may_have_colours},
    options::{CheckOptions, Digests},
};
use crate::{
    Code, PATCH_SIZE, Protocol,
    files::sha256_of,
    raster::{self, Compression, Header, Limits, Photometric, RasterError, SampleFormat},
    source::{Entry, ReadError, Source, magic},
    text::shown,
};

/// How far a prediction file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Its header.
    Header,
    /// Its pixels, too.
    Pixels,
}

/// The result of checking one prediction file.
#[derive(Default)]
pub(super) struct Content {
    /// Its problems, except those about pixel values.
    pub(super) remarks: Vec<(Code, String)>,
    /// The histogram of its values; `None` unless it is one decodable band of uint8.
    pub(super) values: Option<Values>,
    /// The SHA-256 of the file, in hex; `None` unless asked for.
    pub(super) digest: Option<String>,
}

impl Content {
    fn remark(&mut self, code: Code, message: impl Into<String>) {
        self.remarks.push((code, message.into()));
    }

    fn unreadable(&mut self, error: &RasterError) {
        self.remark(Code::UnreadableImage, shown(&error.to_string()));
    }
}

/// Reads one prediction, and decodes it as far as possible if `depth` says so.
pub(super) fn look(source: &Source, entry: &Entry, depth: Depth, options: &CheckOptions, digests: Digests) -> Content {
    let mut content = Content::default();
    match source.read(entry, options.limits.file_bytes) {
        Ok(bytes) if bytes.is_empty() => content.remark(Code::EmptyFile, "the file is empty"),
        Ok(bytes) => {
            if digests == Digests::Sha256 {
                content.digest = Some(sha256_of(&bytes));
            }
            image(&bytes, depth, options, &mut content);
        }
        // The defect itself is already reported.
        Err(ReadError::Refused { .. }) => {}
        Err(ReadError::TooLarge { limit, .. }) => {
            let message = format!(
                "more than {limit} bytes; a prediction has some thousands, floating-point scores of all classes have \
                 millions: write the class with the highest score, as uint8"
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

fn image(bytes: &[u8], depth: Depth, options: &CheckOptions, content: &mut Content) {
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
    let has_patch_size = (header.width, header.height) == (PATCH_SIZE, PATCH_SIZE);
    if !has_patch_size {
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
    let CheckOptions { limits, protocol, .. } = options;
    content.remarks.extend(class_scores(&header, bytes, limits, protocol));
    form(&header, bytes, options, content);
    // The header decides: what cannot be a prediction, nor a picture of one, is not decoded.
    if depth == Depth::Header || sample_type != "uint8" || !has_patch_size || !matches!(header.bands, 1 | 3 | 4) {
        return;
    }
    match raster::decode(bytes, limits) {
        Ok(raster) if header.bands == 1 => content.values = Some(Values::of(raster.samples())),
        Ok(raster) => content.remarks.extend(class_colours(raster.samples(), header.bands, protocol)),
        Err(error) => content.unreadable(&error),
    }
}

/// Hints that an image represents its classes by scores or by colours. Colours cost a decoding, and are looked at only
/// if `decodes` is set.
pub(crate) fn representation(
    header: &Header,
    bytes: &[u8],
    limits: &Limits,
    protocol: &Protocol,
    decodes: bool,
) -> Vec<(Code, String)> {
    let mut hints: Vec<_> = class_scores(header, bytes, limits, protocol).into_iter().collect();
    if decodes && may_have_colours(header.bands) && header.sample_type() == "uint8" {
        let raster = raster::decode(bytes, limits).ok();
        hints.extend(raster.and_then(|raster| class_colours(raster.samples(), header.bands, protocol)));
    }
    hints
}

fn class_scores(header: &Header, bytes: &[u8], limits: &Limits, protocol: &Protocol) -> Option<(Code, String)> {
    let what = scores(header, bytes, limits, protocol)?;
    Some((Code::ClassScores, format!("{what}: class scores? Write the class with the highest score")))
}

fn class_colours(samples: &[u8], bands: usize, protocol: &Protocol) -> Option<(Code, String)> {
    let last = protocol.class_count() - 1;
    let hint = format!("its pixels have the colours of the classes: write the classes, 0 to {last}");
    has_class_colours(samples, bands, protocol).then_some((Code::ClassColours, hint))
}

/// Reports properties of a TIFF that differ from what the challenge asks for.
fn form(header: &Header, bytes: &[u8], options: &CheckOptions, content: &mut Content) {
    match header.photometric {
        Photometric::MinIsWhite => {
            let message = "0 means white (photometric MinIsWhite), which some readers invert: write MinIsBlack";
            content.remark(Code::InvertedGrey, message);
        }
        Photometric::Palette => {
            content.remark(
                Code::PaletteImage,
                "it has a colour table, and some readers return its colours instead of the classes",
            );
        }
        _ => {}
    }
    if header.compression != Compression::Lzw {
        content.remark(Code::NotLzw, "not compressed by LZW, which the challenge asks for");
    }
    let Ok(extras) = raster::extras(bytes, &options.limits) else { return };
    if extras.has_more_images {
        content.remark(Code::SeveralImages, "it has more than one image: only the first is read");
    }
    if extras.is_georeferenced {
        content.remark(Code::Georeferenced, "it has a geographic position, which is neither required nor used");
    }
    if let Some(value) = extras.nodata {
        let message =
            format!("it declares {} as the no-data value: readers that mask it lose these pixels", shown(&value));
        content.remark(Code::NodataValue, message);
    }
}

/// An image with at least this many bands is taken for a network's output.
const MANY_BANDS: usize = 12;

/// The reason why an image seems to hold class scores instead of classes; `None` if it does not.
fn scores(header: &Header, bytes: &[u8], limits: &Limits, protocol: &Protocol) -> Option<String> {
    let classes = protocol.class_count();
    // The challenge has 12 classes without "other"; colour images have up to four bands.
    if header.bands >= MANY_BANDS || (header.bands > 4 && header.bands == classes) {
        let as_many = if header.bands == classes { "one per class" } else { "far more than a colour image has" };
        return Some(format!("{} bands, {as_many}", header.bands));
    }
    if header.sample_format != SampleFormat::Float {
        return None;
    }
    let numbers = raster::peek(bytes, limits)?;
    let has_fractions = numbers.iter().any(|number| number.is_finite() && number.fract() != 0.0);
    let is_unit = numbers.iter().all(|number| (0.0..=1.0).contains(number));
    match (has_fractions, is_unit) {
        (true, true) => Some("fractions between 0 and 1".to_owned()),
        (true, false) => Some("numbers with fractions".to_owned()),
        (false, _) => None,
    }
}
