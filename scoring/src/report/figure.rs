//! Draws the row-normalised confusion matrix, in the style of upstream's `images/flair-2-confmat.png`.

use std::{fmt::Display, io, sync::OnceLock};

use plotters::{
    coord::Shift,
    prelude::*,
    style::{
        FontTransform, register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{ScoreReport, report::png, text::noun};

/// Errors of drawing a figure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// The drawing failed.
    #[error("cannot draw the figure: {0}")]
    Draw(String),
    /// PNG encoding failed.
    #[error("cannot write the figure as PNG: {0}")]
    Png(#[from] io::Error),
}

/// The row-normalised confusion matrix as SVG: rows are true classes, and each row sums to 1. The text uses the
/// viewer's sans-serif font.
///
/// # Errors
/// If the drawing fails.
pub fn confusion_svg(report: &ScoreReport) -> Result<String, FigureError> {
    let mut svg = String::new();
    let figure = Figure::of(report)?;
    figure.draw(&Canvas { area: SVGBackend::with_string(&mut svg, figure.size()).into_drawing_area(), unit: 1 })?;
    Ok(svg)
}

/// The same figure as PNG, at twice the size, with a built-in font.
///
/// # Errors
/// If the drawing fails.
pub fn confusion_png(report: &ScoreReport) -> Result<Vec<u8>, FigureError> {
    let figure = Figure::of(report)?;
    let (width, height) = figure.size();
    let (width, height) = (2 * width, 2 * height);
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
    figure.draw(&Canvas { area, unit: 2 })?;
    Ok(png::encode(width, height, &pixels)?)
}

/// Registers the built-in font and returns its family name, for any figure of this project. Without a registered font
/// plotters cannot measure text.
///
/// # Errors
/// If the font is broken.
pub fn font_family() -> Result<&'static str, FigureError> {
    const FAMILY: &str = "sans-serif";
    static IS_REGISTERED: OnceLock<bool> = OnceLock::new();
    let font = include_bytes!("../../assets/DejaVuSans-subset.ttf");
    let is_registered =
        IS_REGISTERED.get_or_init(|| register_font(FAMILY, plotters::style::FontStyle::Normal, font).is_ok());
    is_registered.then_some(FAMILY).ok_or_else(|| FigureError::Draw("the built-in font is broken".to_owned()))
}

// Lengths in pixels.
const CELL: i32 = 74;
/// With more classes than this, cells shrink and have no numbers and names, so that the image stays small enough to
/// open.
const ROOMY: i32 = 24;
const LEFT: i32 = 232;
const RIGHT: i32 = 128;
const BELOW: i32 = 104;
const BAR_STEP: i32 = 13;
const NOTE_HEIGHT: i32 = 22;

const TITLE: i32 = 27;
const LABEL: i32 = 17;
const SMALL: i32 = 15;
const TINY: i32 = 14;

const INK: RGBColor = RGBColor(0x1c, 0x24, 0x30);
const QUIET: RGBColor = RGBColor(0x8a, 0x93, 0x9f);
const LINE: RGBColor = RGBColor(0xd5, 0xda, 0xe0);
const FAINT: RGBColor = RGBColor(0xbd, 0xc6, 0xd0);
const WARNING: RGBColor = RGBColor(0xa8, 0x32, 0x00);

/// From white to dark blue, in steps of 1/8 (the palette "Blues" of colorbrewer2.org).
const SCALE: [RGBColor; 9] = [
    RGBColor(0xf7, 0xfb, 0xff),
    RGBColor(0xde, 0xeb, 0xf7),
    RGBColor(0xc6, 0xdb, 0xef),
    RGBColor(0x9e, 0xca, 0xe1),
    RGBColor(0x6b, 0xae, 0xd6),
    RGBColor(0x42, 0x92, 0xc6),
    RGBColor(0x21, 0x71, 0xb5),
    RGBColor(0x08, 0x51, 0x9c),
    RGBColor(0x08, 0x30, 0x6b),
];

struct Figure<'a> {
    report: &'a ScoreReport,
    notes: Vec<String>,
    /// The side of a cell, in pixels.
    cell: i32,
    /// The side of the matrix, in pixels.
    side: i32,
}

impl<'a> Figure<'a> {
    fn of(report: &'a ScoreReport) -> Result<Self, FigureError> {
        let classes = i32::try_from(report.classes.len()).unwrap_or(ROOMY).max(1);
        let cell = if classes <= ROOMY { CELL } else { (CELL * ROOMY / classes).max(8) };
        let mut figure = Self { report, notes: Vec::new(), cell, side: cell * classes };
        for note in &report.notes {
            figure.notes.extend(wrap(note, SMALL, figure.width() - 64)?);
        }
        Ok(figure)
    }

    fn width(&self) -> i32 {
        LEFT + self.side.max(CELL * 8) + RIGHT
    }

    fn above(&self) -> i32 {
        104 + NOTE_HEIGHT * i32::try_from(self.notes.len()).unwrap_or(0)
    }

    fn size(&self) -> (u32, u32) {
        (self.width().unsigned_abs(), (self.above() + self.side + BELOW).unsigned_abs())
    }

    fn draw<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<(), FigureError> {
        canvas.area.fill(&WHITE).map_err(failed)?;
        self.head(canvas)?;
        self.cells(canvas)?;
        self.names(canvas)?;
        self.colour_bar(canvas)?;
        canvas.area.present().map_err(failed)
    }

    fn head<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<(), FigureError> {
        let report = self.report;
        let miou = report.means.miou.map_or("none".to_owned(), |miou| format!("{miou:.4}"));
        let classes = noun(report.means.classes_averaged, "class");
        let patches = noun(report.patches, "patch");
        let subtitle = format!(
            "mean over {} {classes}  ·  {} {patches}, {} pixels  ·  protocol {}  ·  each row sums to 1",
            report.means.classes_averaged,
            grouped(report.patches),
            grouped(report.pixels),
            report.protocol,
        );
        let middle = self.width() / 2;
        canvas.text(&format!("Confusion matrix, mIoU {miou}"), (middle, 36), TITLE, INK, CENTRE)?;
        canvas.text(&subtitle, (middle, 70), LABEL, QUIET, CENTRE)?;
        for (line, y) in self.notes.iter().zip(steps(98, NOTE_HEIGHT)) {
            canvas.text(line, (middle, y), SMALL, WARNING, CENTRE)?;
        }
        Ok(())
    }

    fn cells<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<(), FigureError> {
        for (row, y) in self.report.confusion.iter().zip(steps(self.above(), self.cell)) {
            let total: u64 = row.iter().sum();
            for (count, x) in row.iter().zip(steps(LEFT, self.cell)) {
                let cell = [(x, y), (x + self.cell, y + self.cell)];
                // A class without pixels in the masks has no shares: its row stays empty.
                if total > 0 {
                    let share = *count as f64 / total as f64;
                    canvas.fill(cell, colour(share))?;
                    let text = format!("{share:.2}");
                    let ink = match text.as_str() {
                        "0.00" => FAINT,
                        _ if share > 0.5 => WHITE,
                        _ => INK,
                    };
                    if self.cell == CELL {
                        canvas.text(&text, (x + CELL / 2, y + CELL / 2), LABEL, ink, CENTRE)?;
                    }
                }
                canvas.frame(cell, LINE)?;
            }
        }
        canvas.frame([(LEFT, self.above()), (LEFT + self.side, self.above() + self.side)], INK)
    }

    /// The classes on both axes; those outside the mean in grey.
    fn names<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<(), FigureError> {
        let (top, bottom) = (self.above(), self.above() + self.side);
        let named = if self.cell == CELL { self.report.classes.as_slice() } else { &[] };
        for (class, offset) in named.iter().zip(steps(CELL / 2, CELL)) {
            let ink = if class.scores.in_mean { INK } else { QUIET };
            canvas.text(&class.name, (LEFT - 12, top + offset), LABEL, ink, RIGHT_ALIGNED)?;
            for (line, y) in wrap(&class.name, TINY, CELL - 10)?.iter().zip(steps(bottom + 18, 17)) {
                canvas.text(line, (LEFT + offset, y), TINY, ink, CENTRE)?;
            }
        }
        let middle = LEFT + self.side / 2;
        canvas.text("Predicted class", (middle, bottom + 68), LABEL + 2, INK, CENTRE)?;
        if self.report.classes.iter().any(|class| !class.scores.in_mean) {
            canvas.text("grey: not part of the mean", (middle, bottom + 92), TINY, QUIET, CENTRE)?;
        }
        canvas.turned_text("True class", (30, top + self.side / 2), LABEL + 2, INK)
    }

    fn colour_bar<B: DrawingBackend>(&self, canvas: &Canvas<B>) -> Result<(), FigureError> {
        let (left, right) = (LEFT + self.side + 32, LEFT + self.side + 58);
        let (top, bottom) = (self.above(), self.above() + self.side);
        for step in 0..(self.side + BAR_STEP - 1) / BAR_STEP {
            let share = (1.0 - (f64::from(step) + 0.5) * f64::from(BAR_STEP) / f64::from(self.side)).max(0.0);
            // Each step is filled down to the bottom, so that no seam shows between two steps.
            canvas.fill([(left, top + step * BAR_STEP), (right, bottom)], colour(share))?;
        }
        canvas.frame([(left, top), (right, bottom)], INK)?;
        for tick in 0..=5 {
            let y = bottom - self.side * tick / 5;
            canvas.frame([(right, y), (right + 6, y)], INK)?;
            canvas.text(&format!("{:.1}", f64::from(tick) / 5.0), (right + 12, y), SMALL, INK, LEFT_ALIGNED)?;
        }
        Ok(())
    }
}

/// A drawing area, and the scale from this module's pixels to those of the area.
struct Canvas<B: DrawingBackend> {
    area: DrawingArea<B, Shift>,
    unit: i32,
}

impl<B: DrawingBackend> Canvas<B> {
    fn at(&self, (x, y): (i32, i32)) -> (i32, i32) {
        (x * self.unit, y * self.unit)
    }

    fn fill(&self, corners: [(i32, i32); 2], ink: RGBColor) -> Result<(), FigureError> {
        self.area.draw(&Rectangle::new(corners.map(|c| self.at(c)), ink.filled())).map_err(failed)
    }

    fn frame(&self, corners: [(i32, i32); 2], ink: RGBColor) -> Result<(), FigureError> {
        let line = ink.stroke_width(self.unit.unsigned_abs());
        self.area.draw(&Rectangle::new(corners.map(|c| self.at(c)), line)).map_err(failed)
    }

    fn text(&self, text: &str, at: (i32, i32), size: i32, ink: RGBColor, anchor: Pos) -> Result<(), FigureError> {
        let style = TextStyle { color: ink.to_backend_color(), ..TextStyle::from(font(size * self.unit)?).pos(anchor) };
        self.area.draw(&Text::new(text, self.at(at), style)).map_err(failed)
    }

    /// Draws a text rotated by 90°, reading upwards.
    fn turned_text(&self, text: &str, at: (i32, i32), size: i32, ink: RGBColor) -> Result<(), FigureError> {
        let font = font(size * self.unit)?.transform(FontTransform::Rotate270);
        let style = TextStyle { color: ink.to_backend_color(), ..TextStyle::from(font).pos(CENTRE) };
        self.area.draw(&Text::new(text, self.at(at), style)).map_err(failed)
    }
}

fn failed(error: impl Display) -> FigureError {
    FigureError::Draw(error.to_string())
}

fn font(size: i32) -> Result<FontDesc<'static>, FigureError> {
    Ok((font_family()?, size).into_font())
}

/// `start`, `start + step`, and so on.
fn steps(start: i32, step: i32) -> impl Iterator<Item = i32> {
    (0..).map(move |i| start + i * step)
}

/// Breaks a text between words into lines of at most `width`; a longer word has a line of its own.
fn wrap(text: &str, size: i32, width: i32) -> Result<Vec<String>, FigureError> {
    let font = font(size)?;
    let mut lines: Vec<String> = Vec::new();
    // SVG does not allow control characters.
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if let Some(line) = lines.last_mut() {
            let longer = format!("{line} {word}");
            if font.box_size(&longer).map_err(failed)?.0 <= width.unsigned_abs() {
                *line = longer;
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    Ok(lines)
}

const CENTRE: Pos = Pos { h_pos: HPos::Center, v_pos: VPos::Center };
const LEFT_ALIGNED: Pos = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
const RIGHT_ALIGNED: Pos = Pos { h_pos: HPos::Right, v_pos: VPos::Center };

/// The colour of a share, `0..=1`.
fn colour(share: f64) -> RGBColor {
    let position = share.clamp(0.0, 1.0) * 8.0;
    let step = SCALE.iter().enumerate().rev().find(|(step, _)| *step as f64 <= position).map_or(0, |(step, _)| step);
    let (from, to) = (SCALE[step], SCALE[(step + 1).min(8)]);
    let part = position - step as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two values of 8 bits")]
    let mix = |from: u8, to: u8| (f64::from(from) + part * (f64::from(to) - f64::from(from))).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// 786432 as `786,432`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::evaluate::Evaluation;

    fn report() -> ScoreReport {
        let mut report =
            ScoreReport::new(&Evaluation::of_cells(&[(0, 0, 60), (0, 2, 38), (0, 12, 2), (12, 12, 1_000)]));
        report.notes.push("the model is <untrained> & random\u{7}".to_owned());
        report
    }

    /// The texts of an SVG, in the order drawn.
    fn texts(svg: &str) -> Vec<&str> {
        svg.lines().filter(|line| !line.starts_with('<')).collect()
    }

    #[test]
    fn the_svg_has_shares_names_and_notes() {
        let svg = confusion_svg(&report()).unwrap();
        let texts = texts(&svg);
        assert_eq!(texts[0], "Confusion matrix, mIoU 0.3000");
        assert!(
            texts[1].starts_with("mean over 2 classes  ·  1 patch, 1,100 pixels  ·  protocol flair2"),
            "{}",
            texts[1]
        );
        assert_eq!(texts[2], "the model is &lt;untrained&gt; &amp; random");
        // Two rows of shares: those of the classes that the masks have. The others are empty, and nothing is NaN.
        let shares: Vec<_> = texts.iter().filter(|text| text.len() == 4 && text.contains('.')).collect();
        assert_eq!(
            shares[..13],
            [&"0.60", &"0.00", &"0.38"].into_iter().chain([&"0.00"; 9]).chain([&"0.02"]).collect::<Vec<_>>()
        );
        assert_eq!(shares.len(), 26);
        assert!(!svg.contains("NaN") && svg.matches("building").count() == 2);
        assert!(svg.contains(r##"fill="#A83200""##), "a note is not to be overlooked");
        assert_eq!(confusion_svg(&report()).unwrap(), svg);
    }

    #[test]
    fn many_classes_make_no_larger_picture_than_can_be_opened() {
        let mut report = report();
        report.classes = vec![report.classes[0].clone(); 200];
        report.confusion = vec![vec![1; 200]; 200];
        let svg = confusion_svg(&report).unwrap();
        let (width, height) = Figure::of(&report).unwrap().size();
        assert!(width < 2_300 && height < 2_300, "{width} x {height}");
        assert!(svg.contains("Predicted class") && !svg.contains("building"));
    }

    #[test]
    fn the_png_is_one_with_the_colours_of_the_shares() {
        let file = confusion_png(&report()).unwrap();
        assert_eq!(&file[..16], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
        let size = [&file[16..20], &file[20..24]].map(|n| u32::from_be_bytes(n.try_into().unwrap()));
        let figure = report();
        let (width, height) = Figure::of(&figure).unwrap().size();
        assert_eq!(size, [2 * width, 2 * height]);
        let len = u32::from_be_bytes(file[33..37].try_into().unwrap()) as usize;
        let mut pixels = Vec::new();
        io::copy(&mut flate2::read::ZlibDecoder::new(&file[41..41 + len]), &mut pixels).unwrap();
        let pixel = |x: i32, y: i32| {
            let at = y.unsigned_abs() as usize * (6 * width as usize + 1) + 1 + 3 * x.unsigned_abs() as usize;
            (pixels[at], pixels[at + 1], pixels[at + 2])
        };
        let above = 104 + NOTE_HEIGHT;
        let corner = |row: i32, column: i32| pixel(2 * (LEFT + column * CELL) + 8, 2 * (above + row * CELL) + 8);
        assert_eq!(corner(0, 0), colour(0.6).rgb());
        assert_eq!(corner(0, 2), colour(0.38).rgb());
        assert_eq!(corner(12, 12), (0x08, 0x30, 0x6b));
        assert_eq!(corner(5, 5), (255, 255, 255));
        assert!(file.ends_with(b"\0\0\0\0IEND\xae\x42\x60\x82"));
    }

    #[test]
    fn long_texts_are_broken_and_numbers_grouped() {
        assert_eq!(wrap("herbaceous vegetation", TINY, CELL).unwrap(), ["herbaceous", "vegetation"]);
        assert_eq!(wrap("bare \n soil", TINY, CELL).unwrap(), ["bare soil"]);
        assert_eq!([0, 999, 1_000, 4_207_411_200].map(grouped), ["0", "999", "1,000", "4,207,411,200"]);
    }
}
