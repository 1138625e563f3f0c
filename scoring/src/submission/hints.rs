//! Infers the likely mistake from the values of predictions.

use std::sync::LazyLock;

use crate::{
    Code, Protocol,
    protocol::{LabelTable, Nomenclature},
    text::shown,
};

/// A histogram of sample values: how often each of the 256 values occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Values([u64; 256]);

impl Default for Values {
    fn default() -> Self {
        Self([0; 256])
    }
}

impl Values {
    pub(super) fn of(samples: &[u8]) -> Self {
        // Neighbours are mostly equal: four tables, so that an increment does not wait for the previous one.
        let mut tables = [[0u32; 256]; 4];
        let (quads, rest) = samples.as_chunks::<4>();
        for quad in quads {
            tables.iter_mut().zip(quad).for_each(|(table, &v)| table[usize::from(v)] += 1);
        }
        rest.iter().zip(&mut tables).for_each(|(&v, table)| table[usize::from(v)] += 1);
        Self(std::array::from_fn(|v| tables.iter().map(|table| u64::from(table[v])).sum()))
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a += b);
    }

    /// The values that occur.
    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|&v| self.has(v))
    }

    fn has(&self, value: u8) -> bool {
        self.0[usize::from(value)] > 0
    }

    /// The value of all samples, if they are equal.
    pub(super) fn constant(&self) -> Option<u8> {
        let mut values = self.iter();
        values.next().filter(|_| values.next().is_none())
    }

    /// Number of samples above the last class, where there are `classes` classes.
    pub(super) fn above(&self, classes: usize) -> u64 {
        self.0[classes..].iter().sum()
    }

    /// The values above the last class, as text: `13, 255`; empty if there are none.
    pub(super) fn out_of_range(&self, classes: usize) -> String {
        let values: Vec<_> = self.iter().filter(|&v| usize::from(v) >= classes).map(|v| v.to_string()).collect();
        match values.len() {
            0..=8 => values.join(", "),
            n => format!("{}, … ({n} different ones)", values[..8].join(", ")),
        }
    }
}

/// How much of a submission was checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Number of predictions whose values are known.
    pub(super) predictions: usize,
    /// Whether all expected patches have a prediction.
    pub(super) has_all: bool,
}

/// (patches, different values): predictions of at least so many patches with at least so many different values are
/// assumed to contain a pixel of the first class.
const MANY: (usize, usize) = (20, 10);
/// The same if all expected patches have predictions: the number of different values.
const MANY_OF_ALL: usize = 6;

/// Inverse of the share of pixels below which 0 counts as rare, one in 10,000: a stray file, hardly a class.
const RARE: u64 = 10_000;

/// Hints from the values of all predictions together.
pub(super) fn by_values(values: &Values, protocol: &Protocol, extent: Extent) -> Vec<(Code, String)> {
    let classes = protocol.class_count();
    if let Some(how) = scaled(values, classes) {
        let last = classes - 1;
        let hint = format!("values are {how}, as in an image made for viewing; write the class values, 0 to {last}");
        return vec![(Code::ScaledForViewing, hint)];
    }
    let mut hints: Vec<_> = shifted(values, protocol, extent).into_iter().collect();
    if values.has(u8::MAX) {
        let hint = "255 occurs: `argmax - 1` gives it where the class is 0, or it is a remaining fill value; \
                    upstream's scorer drops such pixels, this scorer rejects them";
        hints.push((Code::Wraparound, hint.to_owned()));
    }
    hints
}

/// Detects classes counted from 1, and labels of the masks. Ignores 255, which is a separate mistake.
fn shifted(values: &Values, protocol: &Protocol, extent: Extent) -> Option<(Code, String)> {
    let classes = protocol.class_count();
    let is_label = |v: u8| protocol.labels().get(v) < LabelTable::IGNORED;
    let counted: Vec<u8> = values.iter().filter(|&v| v < u8::MAX).collect();
    let largest = usize::from(*counted.last()?);
    let zeros = values.0[0];
    let is_rare = zeros == 0 || zeros.saturating_mul(RARE) < values.0.iter().sum();
    let first = shown(&protocol.classes().first()?.name);
    let zero = match zeros {
        0 => format!("no pixel is 0 ({first})"),
        1 => format!("only one pixel is 0 ({first})"),
        n => format!("only {n} pixels are 0 ({first})"),
    };
    if largest > classes || (largest == classes && is_label(0)) {
        // In other nomenclatures 0 may be a label of the masks; where it is not, it should not occur.
        let are_labels = counted.iter().all(|&v| v == 0 || is_label(v)) && (is_rare || is_label(0));
        let labels: Vec<u8> = (0..u8::MAX).filter(|&v| is_label(v)).collect();
        let (least, most) = (labels.first()?, labels.last()?);
        let fix = if classes == crate::CLASS_COUNT && (*least, *most) == (1, 19) {
            format!("subtract 1, then replace values above {0} by {0}", classes - 1)
        } else {
            "write the indices of their classes, counted from 0".to_owned()
        };
        let note = if is_label(0) { String::new() } else { format!(" and {zero}") };
        let hint =
            format!("values go up to {largest}{note}, as in the masks, whose labels are {least} to {most}: {fix}");
        return are_labels.then_some((Code::RawLabels, hint));
    }
    let ask = "counted from 1? Classes are counted from 0 here";
    if largest == classes {
        return is_rare.then(|| (Code::OneBased, format!("{largest} occurs and {zero}: {ask}")));
    }
    let is_conclusive =
        (extent.predictions >= MANY.0 && counted.len() >= MANY.1) || (extent.has_all && counted.len() >= MANY_OF_ALL);
    let others = counted.len();
    (zeros == 0 && is_conclusive).then(|| (Code::OneBased, format!("{zero}, while {others} other values occur: {ask}")))
}

/// How classes were scaled to 0..255, if the values look scaled; needs at least three values besides 0.
fn scaled(values: &Values, classes: usize) -> Option<String> {
    let above_0: Vec<u8> = values.iter().filter(|&v| v > 0).collect();
    let largest = *above_0.last().filter(|&&v| usize::from(v) >= classes)?;
    if above_0.len() < 3 {
        return None;
    }
    let step = above_0.iter().fold(0, |a, &b| gcd(a, b));
    if step > 1 && usize::from(largest / step) < classes {
        return Some(format!("all multiples of {step}"));
    }
    // The values of 0 to 12 (or to 13) stretched to 0..255, rounded or truncated. With many classes nearly every value
    // would match.
    let last = u32::try_from(classes).ok().filter(|classes| (2..=64).contains(classes))? - 1;
    let is_stretched = |last: u32| {
        let is_step =
            |v: u32| (0..=last).any(|class| v == class * 255 / last || v == (class * 510 + last) / (2 * last));
        above_0.iter().all(|&v| is_step(v.into()))
    };
    [last, last + 1].into_iter().any(is_stretched).then(|| "classes stretched to 0..255".to_owned())
}

fn gcd(a: u8, b: u8) -> u8 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Colours of the dataset's 19 labels, including those that the challenge merges into "other".
static LABEL_COLOURS: LazyLock<Vec<[u8; 3]>> = LazyLock::new(|| {
    let labels = Nomenclature::named("flair-19").map(|labels| labels.classes).unwrap_or_default();
    labels.iter().map(|class| class.colour.0).collect()
});

/// Whether an image has as many bands as a colour image.
pub(super) fn may_have_colours(bands: usize) -> bool {
    matches!(bands, 3 | 4)
}

/// Whether an image of three or four bands has at least two colours, all of them colours of classes.
///
/// * `samples`: `[C, H, W]`, u8; a fourth band is ignored.
pub(super) fn has_class_colours(samples: &[u8], bands: usize, protocol: &Protocol) -> bool {
    if !may_have_colours(bands) {
        return false;
    }
    let mut planes = samples.chunks_exact(samples.len() / bands);
    let (Some(red), Some(green), Some(blue)) = (planes.next(), planes.next(), planes.next()) else { return false };
    let of_protocol = protocol.classes().iter().map(|class| class.colour.0);
    let mut known: Vec<_> = LABEL_COLOURS.iter().copied().chain(of_protocol).collect();
    known.sort_unstable();
    known.dedup();
    let mut seen = vec![false; known.len()];
    let mut last = None;
    for ((&r, &g), &b) in red.iter().zip(green).zip(blue) {
        let colour = [r, g, b];
        if last == Some(colour) {
            continue;
        }
        match known.iter().position(|k| *k == colour) {
            Some(index) => seen[index] = true,
            None => return false,
        }
        last = Some(colour);
    }
    seen.iter().filter(|seen| **seen).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::named::{Named, by_name};

    #[test]
    fn names_tell_what_was_meant() {
        let names = [
            "PRED_077413.tif",
            "preds/PRED_077413.tif",
            "__MACOSX/preds/PRED_077413.tif",
            "__MACOSX/preds/._PRED_077413.tif",
            ".DS_Store",
            "a/Thumbs.db",
            "IMG_077413.tif",
            "MSK_077413.tif",
            "PRED_IMG_077413.tif",
            "PRED_077413.tiff",
            "PRED_077413.TIF",
            "pred_077413.tif",
            "PRED_77413.tif",
            "PRED_077413 (1).tif",
            "PRED_077413.tif.part",
            "PRED_077413.png",
            "077413.tif",
            "preds.zip",
            "metrics.json",
        ];
        let lines = names.iter().map(|name| match by_name(name) {
            Named::WrongName(why) | Named::Junk(why) => format!("{name}: {why}"),
            other => format!("{name}: {other:?}"),
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
        PRED_077413.tif: Prediction(PatchId(77413))
        preds/PRED_077413.tif: Prediction(PatchId(77413))
        __MACOSX/preds/PRED_077413.tif: in `__MACOSX`, a folder that macOS adds to archives; remove it
        __MACOSX/preds/._PRED_077413.tif: in `__MACOSX`, a folder that macOS adds to archives; remove it
        .DS_Store: left behind by an operating system; remove it
        a/Thumbs.db: left behind by an operating system; remove it
        IMG_077413.tif: the name of an aerial image: a prediction's begins with `PRED_`
        MSK_077413.tif: the name of a mask: a prediction's begins with `PRED_`
        PRED_IMG_077413.tif: a name as in FLAIR #1: FLAIR #2 expects `PRED_` and six digits, without `IMG_`
        PRED_077413.tiff: wrong extension: expected `.tif`
        PRED_077413.TIF: wrong upper or lower case: expected `PRED_` and `.tif`
        pred_077413.tif: wrong upper or lower case: expected `PRED_` and `.tif`
        PRED_77413.tif: expected six digits after `PRED_`, such as PRED_077413.tif
        PRED_077413 (1).tif: expected six digits after `PRED_`, such as PRED_077413.tif
        PRED_077413.tif.part: Unfinished
        PRED_077413.png: wrong extension: expected `.tif`
        077413.tif: not a prediction's name: expected one such as PRED_077413.tif
        preds.zip: Archive
        metrics.json: Other
        ");
    }

    #[test]
    fn values_tell_what_went_wrong() {
        let extent = Extent { predictions: 1, has_all: false };
        let codes = |values: &[u8]| {
            let hints = by_values(&Values::of(values), &Protocol::flair2(), extent);
            hints.into_iter().map(|(code, _)| code).collect::<Vec<_>>()
        };
        assert_eq!(codes(&[0, 1, 12]), []);
        assert_eq!(codes(&[1, 12]), []);
        assert_eq!(codes(&[1, 5, 13]), [Code::OneBased]);
        assert_eq!(codes(&[0, 5, 13]), []);
        assert_eq!(codes(&[1, 5, 19]), [Code::RawLabels]);
        assert_eq!(codes(&[0, 11, 255]), [Code::Wraparound]);
        assert_eq!(codes(&[13, 255]), [Code::OneBased, Code::Wraparound]);
        assert_eq!(codes(&[]), []);
        let mut values: Vec<u8> = (0..=13).collect();
        assert_eq!(codes(&values), []);
        // One stray pixel is no class.
        values.resize(20_000, 1);
        assert_eq!(codes(&values), [Code::OneBased]);
        values.push(19);
        assert_eq!(codes(&values), [Code::RawLabels]);
        values.push(20);
        assert_eq!(codes(&values), [], "no labels");
    }

    #[test]
    fn a_submission_without_the_first_class_is_doubted_where_it_is_large() {
        let hint = |values: &[u8], predictions, has_all| {
            let hints = by_values(&Values::of(values), &Protocol::flair2(), Extent { predictions, has_all });
            hints.first().map(|(code, hint)| format!("{}: {hint}", code.code())).unwrap_or_default()
        };
        let twelve: Vec<u8> = (1..=12).collect();
        insta::assert_snapshot!(hint(&twelve, 20, false), @"one-based: no pixel is 0 (building), while 12 other values occur: counted from 1? Classes are counted from 0 here");
        assert_eq!(hint(&twelve, 19, false), "");
        assert_eq!(hint(&twelve[..9], 20, false), "");
        assert!(hint(&twelve[..6], 1, true).starts_with("one-based: "));
        assert_eq!(hint(&twelve[..5], 20, true), "");
        let with_zero = [&[0], &twelve[..]].concat();
        assert_eq!(hint(&with_zero, 20, true), "");
    }

    #[test]
    fn classes_and_labels_are_those_of_the_protocol() {
        let hint = |values: &[u8], nomenclature| {
            let protocol = Protocol::flair2().with_nomenclature(nomenclature).unwrap();
            let hints = by_values(&Values::of(values), &protocol, Extent { predictions: 1, has_all: false });
            hints.into_iter().map(|(code, _)| code).collect::<Vec<_>>()
        };
        assert_eq!(hint(&[0, 13, 18], "flair-19"), []);
        assert_eq!(hint(&[1, 13, 19], "flair-19"), [Code::OneBased]);
        assert_eq!(hint(&[1, 13, 18], "flair-hub-19"), []);
    }

    #[test]
    fn pictures_for_looking_at_are_known_by_their_steps() {
        let how = |classes: &[u8], scale: fn(u8) -> u8| {
            scaled(&Values::of(&classes.iter().map(|&c| scale(c)).collect::<Vec<_>>()), 13)
        };
        let all: Vec<u8> = (0..13).collect();
        assert_eq!(how(&all, |c| c * 20).as_deref(), Some("all multiples of 20"));
        assert_eq!(how(&[0, 1, 4, 9], |c| c * 19).as_deref(), Some("all multiples of 19"));
        let stretched = Some("classes stretched to 0..255");
        assert_eq!(how(&all, |c| (u16::from(c) * 255 / 12).try_into().unwrap()).as_deref(), stretched);
        assert_eq!(
            how(&[0, 1, 5, 12], |c| [0, 21, 43, 64, 85, 106, 128, 149, 170, 191, 213, 234, 255][usize::from(c)])
                .as_deref(),
            stretched
        );
        assert_eq!(how(&all, |c| c), None);
        assert_eq!(how(&[0, 5, 12], |c| c + 1), None);
        assert_eq!(how(&[0, 1], |c| c * 255), None);
        assert_eq!(how(&[1, 2, 255], |c| c), None);
    }

    #[test]
    fn colours_of_classes_are_known() {
        let colours = [[0xdb, 0x0e, 0x9a], [0x55, 0xff, 0x00], [0x99, 0x99, 0xff]];
        let plane = |band: usize| colours.iter().map(move |colour: &[u8; 3]| colour[band]);
        let mut samples: Vec<u8> = (0..3).flat_map(plane).collect();
        assert!(has_class_colours(&samples, 3, &Protocol::flair2()));
        let alpha = [samples.clone(), vec![255; 3]].concat();
        assert!(has_class_colours(&alpha, 4, &Protocol::flair2()));
        samples[0] += 1;
        assert!(!has_class_colours(&samples, 3, &Protocol::flair2()));
        assert!(!has_class_colours(&[0; 9], 3, &Protocol::flair2()), "one colour is no picture");
        assert!(!has_class_colours(&[0; 9], 9, &Protocol::flair2()));
    }

    #[test]
    fn many_values_are_cut_short() {
        assert_eq!(Values::of(&[3, 13, 255, 255]).out_of_range(13), "13, 255");
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(Values::of(&all).out_of_range(13), "13, 14, 15, 16, 17, 18, 19, 20, … (243 different ones)");
        assert_eq!(Values::of(&[7, 7, 13, 14, 14]).above(13), 3);
        let constant = [&[7, 7][..], &[7, 8], &[]].map(|samples| Values::of(samples).constant());
        assert_eq!(constant, [Some(7), None, None]);
    }
}
