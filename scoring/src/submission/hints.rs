//! What a wrong name, or a set of values, tells of the mistake behind it.

use crate::{CLASS_COUNT, PatchId};

use super::codes::Code;

/// What a file is, by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The prediction of that patch.
    Prediction(PatchId),
    /// An image under a wrong name; what is wrong with it.
    WrongName(&'static str),
    /// Something that operating systems leave behind.
    Junk,
    /// Anything else.
    Other,
}

/// Tells what a file is by its path, as `PRED_000826.tif` somewhere below the root.
pub(super) fn by_name(path: &str) -> Named {
    let file_name = path.rsplit('/').next().unwrap_or_default();
    if let Some(id) = PatchId::from_file_name(file_name, "PRED") {
        // AppleDouble copies keep the name of their file.
        return if path.split('/').any(|part| part == "__MACOSX") { Named::Junk } else { Named::Prediction(id) };
    }
    let lower = file_name.to_ascii_lowercase();
    let is_junk = path.split('/').any(|part| part == "__MACOSX")
        || file_name.starts_with("._")
        || [".ds_store", "thumbs.db", "desktop.ini"].contains(&lower.as_str());
    let is_image = [".tif", ".tiff"].iter().any(|extension| lower.ends_with(extension));
    let stem = lower.split('.').next().unwrap_or_default();
    let is_patch = |prefix: &str| stem.strip_prefix(prefix).is_some_and(|id| id.parse::<PatchId>().is_ok());
    match () {
        () if is_junk => Named::Junk,
        () if !is_image && !stem.starts_with("pred_") => Named::Other,
        () if is_patch("img_") => Named::WrongName("the name of an aerial image: a prediction's begins with `PRED_`"),
        () if is_patch("msk_") => Named::WrongName("the name of a mask: a prediction's begins with `PRED_`"),
        () if is_patch("pred_img_") => {
            Named::WrongName("the name that FLAIR #1 asked for: here it is `PRED_` and six digits, without `IMG_`")
        }
        () if is_patch("pred_") && lower == format!("{stem}.tif") => {
            Named::WrongName("not the case of letters that is expected: `PRED_` and `.tif`")
        }
        () if is_patch("pred_") => Named::WrongName("not the expected extension: `.tif`"),
        () if stem.starts_with("pred_") => Named::WrongName("not six digits after `PRED_`, such as PRED_077413.tif"),
        () => Named::WrongName("not a prediction's name, such as PRED_077413.tif"),
    }
}

/// Which of the 256 values occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Values([bool; 256]);

impl Values {
    pub(super) const NONE: Self = Self([false; 256]);

    pub(super) fn of(samples: &[u8]) -> Self {
        let mut seen = Self::NONE;
        for &sample in samples {
            seen.0[usize::from(sample)] = true;
        }
        seen
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a |= b);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|&v| self.0[usize::from(v)])
    }

    pub(super) fn is_constant(&self) -> bool {
        self.iter().take(2).count() == 1
    }

    /// The values above the last class, as text: `13, 255`; empty if there is none.
    pub(super) fn out_of_range(&self) -> String {
        let values: Vec<_> = self.iter().filter(|&v| usize::from(v) >= CLASS_COUNT).map(|v| v.to_string()).collect();
        match values.len() {
            0..=8 => values.join(", "),
            n => format!("{}, … ({n} different ones)", values[..8].join(", ")),
        }
    }
}

/// What the values of all predictions together tell.
pub(super) fn by_values(values: &Values) -> Vec<(Code, &'static str)> {
    let has = |value: u8| values.0[usize::from(value)];
    let largest = values.iter().filter(|&v| v != 255).max().unwrap_or(0);
    let mut hints = Vec::new();
    if !has(0) && largest == 13 {
        hints.push((Code::OneBased, "values are 1 to 13 and never 0: classes are counted from 0 here; subtract 1"));
    }
    if !has(0) && (14..=19).contains(&largest) {
        let hint = "values are 1 to 19 and never 0, as in the masks: subtract 1, then write 12 for all above 12";
        hints.push((Code::RawLabels, hint));
    }
    if has(255) {
        let hint = "255 occurs: `argmax - 1` gives it where the class was 0, or a fill value was left; \
                    upstream's scorer drops such pixels, here they are not accepted";
        hints.push((Code::Wraparound, hint));
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "metrics.json",
        ];
        let lines = names.iter().map(|name| match by_name(name) {
            Named::WrongName(why) => format!("{name}: {why}"),
            other => format!("{name}: {other:?}"),
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
        PRED_077413.tif: Prediction(PatchId(77413))
        preds/PRED_077413.tif: Prediction(PatchId(77413))
        __MACOSX/preds/PRED_077413.tif: Junk
        __MACOSX/preds/._PRED_077413.tif: Junk
        .DS_Store: Junk
        a/Thumbs.db: Junk
        IMG_077413.tif: the name of an aerial image: a prediction's begins with `PRED_`
        MSK_077413.tif: the name of a mask: a prediction's begins with `PRED_`
        PRED_IMG_077413.tif: the name that FLAIR #1 asked for: here it is `PRED_` and six digits, without `IMG_`
        PRED_077413.tiff: not the expected extension: `.tif`
        PRED_077413.TIF: not the case of letters that is expected: `PRED_` and `.tif`
        pred_077413.tif: not the case of letters that is expected: `PRED_` and `.tif`
        PRED_77413.tif: not six digits after `PRED_`, such as PRED_077413.tif
        PRED_077413 (1).tif: not six digits after `PRED_`, such as PRED_077413.tif
        PRED_077413.tif.part: not the expected extension: `.tif`
        PRED_077413.png: not the expected extension: `.tif`
        077413.tif: not a prediction's name, such as PRED_077413.tif
        metrics.json: Other
        ");
    }

    #[test]
    fn values_tell_what_went_wrong() {
        let codes = |values: &[u8]| by_values(&Values::of(values)).into_iter().map(|(c, _)| c).collect::<Vec<_>>();
        assert_eq!(codes(&[0, 1, 12]), []);
        assert_eq!(codes(&[1, 12]), []);
        assert_eq!(codes(&[1, 5, 13]), [Code::OneBased]);
        assert_eq!(codes(&[0, 5, 13]), []);
        assert_eq!(codes(&[1, 5, 19]), [Code::RawLabels]);
        assert_eq!(codes(&[0, 11, 255]), [Code::Wraparound]);
        assert_eq!(codes(&[13, 255]), [Code::OneBased, Code::Wraparound]);
        assert_eq!(codes(&[]), []);
    }

    #[test]
    fn many_values_are_cut_short() {
        assert_eq!(Values::of(&[3, 13, 255, 255]).out_of_range(), "13, 255");
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(Values::of(&all).out_of_range(), "13, 14, 15, 16, 17, 18, 19, 20, … (243 different ones)");
        assert!(Values::of(&[7, 7]).is_constant() && !Values::of(&[7, 8]).is_constant() && !Values::NONE.is_constant());
    }
}
