//! A picture of a stage's losses, beside its metrics.

use std::path::Path;

use plotters::prelude::*;
use serde_json::Value;

use crate::failure::{Blame, Failure};
use crate::write::write_atomically;

/// Width and height in pixels.
const SIZE: (u32, u32) = (720, 360);

/// Draws `loss.svg` from the lines of `metrics`, if there are any.
pub(crate) fn losses(metrics: &Path) -> Result<(), Failure> {
    let Ok(text) = std::fs::read_to_string(metrics) else { return Ok(()) };
    let point = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        Some((line["step"].as_f64()?, line["loss"].as_f64()?)).filter(|(_, loss)| *loss > 0.0)
    };
    let points: Vec<(f64, f64)> = text.lines().filter_map(point).collect();
    let Some(&(last, _)) = points.last() else { return Ok(()) };
    let fold = |f: fn(f64, f64) -> f64| points.iter().map(|(_, loss)| *loss).reduce(f).unwrap_or(1.0);
    let (low, high) = (fold(f64::min) * 0.9, fold(f64::max) * 1.1);
    let mut svg = String::new();
    draw(&mut svg, &points, last, (low, high))
        .map_err(|e| Failure::new(Blame::Engine, "plot_failed", format!("cannot draw the losses: {e}")))?;
    write_atomically(&metrics.with_file_name("loss.svg"), svg.as_bytes())
}

fn draw(
    svg: &mut String,
    points: &[(f64, f64)],
    last: f64,
    (low, high): (f64, f64),
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, (low..high).log_scale())?;
    chart.configure_mesh().x_desc("step").y_desc("loss").y_label_formatter(&|y| format!("{y:.3}")).draw()?;
    chart.draw_series(LineSeries::new(points.iter().copied(), &BLUE))?;
    area.present()?;
    Ok(())
}
