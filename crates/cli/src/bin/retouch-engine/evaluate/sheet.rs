//! Results side by side, framed by what the detector says of them.

use retouch_evaluation::{Case, Row, Suite};
use retouch_imaging::{EncodeOptions, OutputFormat, RgbImage, encode};
use retouch_scenes::Renderer;

use super::Judged;
use super::store::Store;
use super::text::{self, LINE};
use crate::failure::{Blame, Failure, chain};

const GAP: u32 = 8;
/// Width of a frame.
const FRAME: u32 = 3;
const PAPER: u8 = 255;
const INK: [u8; 3] = [20, 20, 24];
const RIGHT: [u8; 3] = [0, 150, 60];
const WRONG: [u8; 3] = [214, 40, 40];

/// A line for each case: the input, each row, the truth; the instruction below.
pub(super) fn draw(
    suite: &Suite,
    cases: &[&Case],
    rows: &[Row],
    judged: &Judged,
    store: &Store,
) -> Result<Vec<u8>, Failure> {
    let mut renderer = Renderer::new();
    // The input and its row are one picture.
    let rows: Vec<Row> = rows.iter().copied().filter(|row| *row != Row::Input).collect();
    let step = suite.size + GAP;
    let width = GAP + step * (rows.len() as u32 + 2);
    let wrapped = |case: &&Case| text::wrapped(&case.instruction, width - 2 * GAP);
    let height_of = |lines: &[String]| suite.size + GAP / 2 + lines.len() as u32 * LINE + GAP;
    let texts: Vec<Vec<String>> = cases.iter().map(wrapped).collect();
    let height = LINE + GAP + texts.iter().map(|lines| height_of(lines)).sum::<u32>();
    let mut sheet = RgbImage::new(width, height);
    sheet.fill(PAPER);
    let names = ["input"].into_iter().chain(rows.iter().map(|row| row.name())).chain(["truth"]);
    for (name, column) in names.zip(0..) {
        text::write(&mut sheet, name, (GAP + column * step, GAP / 2), INK);
    }
    let mut top = LINE + GAP;
    for (case, lines) in cases.iter().zip(&texts) {
        let question = suite.question(case, Row::Input, &mut renderer)?;
        place(&mut sheet, &question.image, (GAP, top), None);
        for (row, column) in rows.iter().zip(1..) {
            let right = judged.get(&(*row, case.id)).map(|verdict| verdict.done);
            place(&mut sheet, &store.get(*row, case.id)?.0, (GAP + column * step, top), right);
        }
        let truth = suite.truth(case, &mut renderer)?;
        place(&mut sheet, &truth, (GAP + (rows.len() as u32 + 1) * step, top), None);
        for (line, index) in lines.iter().zip(0..) {
            text::write(&mut sheet, line, (GAP, top + suite.size + GAP / 2 + index * LINE), INK);
        }
        top += height_of(lines);
    }
    encode(&sheet, &EncodeOptions::new(OutputFormat::Png), None)
        .map_err(|error| Failure::new(Blame::Engine, error.code(), chain(&error)))
}

/// Puts a picture on the sheet, in a frame that says whether it is right.
fn place(sheet: &mut RgbImage, picture: &RgbImage, (left, top): (u32, u32), right: Option<bool>) {
    let (width, height) = picture.dimensions();
    if let Some(right) = right {
        let colour = if right { RIGHT } else { WRONG };
        for y in top.saturating_sub(FRAME)..(top + height + FRAME).min(sheet.height()) {
            for x in left.saturating_sub(FRAME)..(left + width + FRAME).min(sheet.width()) {
                sheet.get_pixel_mut(x, y).0 = colour;
            }
        }
    }
    for (x, y, pixel) in picture.enumerate_pixels() {
        sheet.put_pixel(left + x, top + y, *pixel);
    }
}
