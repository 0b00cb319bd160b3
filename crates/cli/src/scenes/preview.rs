//! `retouch scenes preview`: pairs side by side, their instructions below.

use std::io::Write;

use retouch_imaging::RgbImage;
use retouch_scenes::{Pair, Renderer};
use serde_json::json;

use super::dataset::write_whole;
use super::{PreviewArgs, png, scene_failure};
use retouch_cli::drawing::{self, INK, LINE, PAPER};
use retouch_cli::failure::{Blame, Failure, chain, print};

/// Between images, and between pairs.
const GAP: u32 = 4;
const MARGIN: u32 = 12;

pub(super) fn run(args: &PreviewArgs) -> Result<(), Failure> {
    let sheet = draw(args)?;
    let bytes = png(&sheet)?;
    write_whole(&args.output, |file| file.write_all(&bytes))?;
    let (width, height) = sheet.dimensions();
    if args.sampling.json {
        return print(&json!({
            "output": args.output, "pairs": args.count, "width": width, "height": height,
        }));
    }
    print(&format_args!("{}: {} pairs, {width}x{height}", args.output.display(), args.count))
}

/// A pair and its instruction in lines.
struct Tile {
    pair: Pair,
    lines: Vec<String>,
}

fn draw(args: &PreviewArgs) -> Result<RgbImage, Failure> {
    let mut renderer = Renderer::new();
    let tiles = sample(args, &mut renderer)?;
    let columns = (args.columns as usize).min(tiles.len());
    let rows: Vec<&[Tile]> = tiles.chunks(columns.max(1)).collect();
    let tile_width = 2 * args.size + GAP;
    let height_of = |row: &[Tile]| {
        let lines = row.iter().map(|tile| tile.lines.len()).max().unwrap_or(0);
        args.size + GAP + lines as u32 * LINE + MARGIN
    };
    let width = MARGIN + columns as u32 * (tile_width + MARGIN);
    let height = MARGIN + rows.iter().map(|row| height_of(row)).sum::<u32>();
    let mut sheet = RgbImage::new(width, height);
    sheet.fill(PAPER);
    let mut top = MARGIN;
    for row in rows {
        for (tile, column) in row.iter().zip(0..) {
            let left = MARGIN + column * (tile_width + MARGIN);
            draw_tile(&mut sheet, tile, args.size, (left, top), &mut renderer)?;
        }
        top += height_of(row);
    }
    Ok(sheet)
}

fn sample(args: &PreviewArgs, renderer: &mut Renderer) -> Result<Vec<Tile>, Failure> {
    let options = args.sampling.options();
    let tile = |number| {
        let pair = Pair::sample_with(args.sampling.seed.wrapping_add(number), &options, renderer)
            .map_err(|error| Failure::new(Blame::Parameters, error.code(), chain(&error)))?;
        let lines = drawing::wrapped(&pair.instruction, 2 * args.size + GAP);
        Ok(Tile { pair, lines })
    };
    (0..args.count).map(tile).collect()
}

fn draw_tile(
    sheet: &mut RgbImage,
    tile: &Tile,
    size: u32,
    (left, top): (u32, u32),
    renderer: &mut Renderer,
) -> Result<(), Failure> {
    for (scene, shift) in [(&tile.pair.before, 0), (&tile.pair.after, size + GAP)] {
        let rendered = renderer.render(scene, size, size).map_err(|error| scene_failure(&error))?;
        drawing::place(sheet, &rendered.image, (left + shift, top));
    }
    for (line, index) in tile.lines.iter().zip(0..) {
        drawing::write(sheet, line, (left, top + size + GAP + index * LINE), INK);
    }
    Ok(())
}
