//! Training curves, as SVG and PNG: losses in the upper panel, mIoU in the lower.

use std::{fmt::Display, ops::Range};

use flair_scoring::report::{
    figure::{FigureError, font_family},
    png,
};
use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::train::validate::EpochMetrics;

/// Size in pixels; the PNG is twice as large.
const SIZE: (u32, u32) = (900, 760);

const INK: RGBColor = RGBColor(0x1c, 0x24, 0x30);
const QUIET: RGBColor = RGBColor(0x8a, 0x93, 0x9f);
const LINE: RGBColor = RGBColor(0xe6, 0xea, 0xee);
// A blue and an orange that colour-blind readers can distinguish.
const FIRST: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const SECOND: RGBColor = RGBColor(0xd9, 0x6a, 0x0b);

/// The curves as SVG.
///
/// # Errors
/// If the drawing fails.
pub fn svg(history: &[EpochMetrics]) -> Result<String, FigureError> {
    let mut svg = String::new();
    draw(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area(), history, 1)?;
    Ok(svg)
}

/// The curves as PNG, twice as large.
///
/// # Errors
/// If the drawing fails.
pub fn png(history: &[EpochMetrics]) -> Result<Vec<u8>, FigureError> {
    let (width, height) = (2 * SIZE.0, 2 * SIZE.1);
    let mut pixels = vec![0; 3 * width as usize * height as usize];
    draw(&BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area(), history, 2)?;
    Ok(png::encode(width, height, &pixels)?)
}

/// A line of a panel.
struct Curve {
    name: &'static str,
    ink: RGBColor,
    /// Epochs and values.
    points: Vec<(i32, f64)>,
}

fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    history: &[EpochMetrics],
    unit: u32,
) -> Result<(), FigureError> {
    area.fill(&WHITE).map_err(failed)?;
    let (losses, scores) = area.split_vertically(SIZE.1 * unit / 2);
    let curve = |name, ink, value: &dyn Fn(&EpochMetrics) -> Option<f64>| {
        let point = |epoch: &EpochMetrics| Some((i32::try_from(epoch.epoch).ok()?, value(epoch)?));
        Curve { name, ink, points: history.iter().filter_map(point).collect() }
    };
    let loss = [
        curve("training", FIRST, &|epoch| Some(epoch.train_loss)),
        curve("validation", SECOND, &|epoch| epoch.validation.as_ref()?.loss),
    ];
    let miou = [
        curve("mIoU of the challenge, 12 classes", FIRST, &|epoch| epoch.validation.as_ref()?.miou),
        curve("upstream's val_miou, 13 classes", SECOND, &|epoch| Some(epoch.validation.as_ref()?.miou_upstream)),
    ];
    let epochs = 0..history.last().and_then(|epoch| i32::try_from(epoch.epoch).ok()).unwrap_or(1);
    // In the first validation the running statistics have not converged yet, and its loss may be in the thousands,
    // which would flatten the rest of the curve.
    let highest = |curves: &[Curve]| curves.iter().flat_map(|c| &c.points).map(|(_, value)| *value).fold(0.0, f64::max);
    let (all, limit) = (highest(&loss), 4.0 * highest(&loss[..1]));
    let title = if all > limit { "Loss (values above the upper edge are drawn on it)" } else { "Loss" };
    let top = 1.05 * all.min(limit);
    panel(&losses, title, &epochs, 0.0..if top > 0.0 { top } else { 1.0 }, &loss, unit)?;
    panel(&scores, "Validation mIoU", &epochs, 0.0..1.0, &miou, unit)?;
    area.present().map_err(failed)
}

fn panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    epochs: &Range<i32>,
    values: Range<f64>,
    curves: &[Curve],
    unit: u32,
) -> Result<(), FigureError> {
    let font = |size: u32, ink: RGBColor| Ok::<_, FigureError>((font_family()?, size * unit).into_font().color(&ink));
    let mut chart = ChartBuilder::on(area)
        .margin(16 * unit)
        .margin_top(54 * unit)
        .x_label_area_size(44 * unit)
        .y_label_area_size(64 * unit)
        .build_cartesian_2d(epochs.clone(), values.clone())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .x_labels(11)
        .label_style(font(14, INK)?)
        .axis_desc_style(font(14, QUIET)?)
        .axis_style(QUIET)
        .bold_line_style(LINE)
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(failed)?;
    for curve in curves {
        let style = curve.ink.stroke_width(2 * unit);
        let points: Vec<_> = curve.points.iter().map(|(epoch, value)| (*epoch, value.min(values.end))).collect();
        chart.draw_series([PathElement::new(points.clone(), style)]).map_err(failed)?;
        // With one epoch there is no line, only points.
        if points.len() < 40 {
            let dots = points.iter().map(|point| Circle::new(*point, 3 * unit, curve.ink.filled()));
            chart.draw_series(dots).map_err(failed)?;
        }
    }
    let (width, _) = area.dim_in_pixel();
    let at = (80 * unit.cast_signed(), 30 * unit.cast_signed());
    let left = Pos { h_pos: HPos::Left, v_pos: VPos::Center };
    area.draw(&Text::new(title, at, font(20, INK)?.pos(left))).map_err(failed)?;
    let right = Pos { h_pos: HPos::Right, v_pos: VPos::Center };
    for (curve, row) in curves.iter().filter(|curve| !curve.points.is_empty()).zip(0..) {
        let unit = unit.cast_signed();
        let (right_edge, y) = (width.cast_signed() - 24 * unit, (22 + 20 * row) * unit);
        let style = font(14, curve.ink)?.pos(right);
        area.draw(&Text::new(curve.name, (right_edge, y), style)).map_err(failed)?;
    }
    Ok(())
}

fn failed(error: impl Display) -> FigureError {
    FigureError::Draw(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::validate::Validation;

    #[test]
    fn curves_have_their_names_and_no_nan() {
        let epoch = |epoch: usize, loss| {
            let validation = Validation { loss: Some(loss), miou: None, miou_upstream: 0.5, iou: [None; 13] };
            let validation = (epoch != 2).then_some(validation);
            EpochMetrics { epoch, step: epoch, learning_rate: 0.1, train_loss: 2.0 / epoch as f64, validation }
        };
        let history = [epoch(1, 9_000.0), epoch(2, 0.0), epoch(3, 0.7)];
        let drawn = svg(&history).unwrap();
        for text in
            ["Loss (values above the upper edge are drawn on it)", "training", "upstream's val_miou, 13 classes"]
        {
            assert!(drawn.lines().any(|line| line.replace("&apos;", "'") == text), "{text}\n{drawn}");
        }
        // No class of the challenge occurred: that curve is empty and has no legend entry.
        assert!(!drawn.contains("mIoU of the challenge") && !drawn.contains("NaN"));
        for few in [&history[..0], &history[..1]] {
            assert!(!svg(few).unwrap().contains("NaN"));
            assert!(png(few).unwrap().starts_with(b"\x89PNG"));
        }
    }
}
