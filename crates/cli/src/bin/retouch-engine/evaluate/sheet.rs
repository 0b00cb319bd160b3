//! Results side by side, framed by what the detector says of them.

use retouch_cli::drawing::{self, INK, LINE, PAPER};
use retouch_evaluation::{Case, Row, Suite};
use retouch_imaging::{EncodeOptions, OutputFormat, RgbImage, encode};
use retouch_scenes::Renderer;

use super::Judged;
use super::store::Store;
use crate::failure::{Blame, Failure, chain};

const GAP: u32 = 8;

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
    let wrapped = |case: &&Case| drawing::wrapped(&case.instruction, width - 2 * GAP);
    let height_of = |lines: &[String]| suite.size + GAP / 2 + lines.len() as u32 * LINE + GAP;
    let texts: Vec<Vec<String>> = cases.iter().map(wrapped).collect();
    let height = LINE + GAP + texts.iter().map(|lines| height_of(lines)).sum::<u32>();
    let mut sheet = RgbImage::new(width, height);
    sheet.fill(PAPER);
    let names = ["input"].into_iter().chain(rows.iter().map(|row| row.name())).chain(["truth"]);
    for (name, column) in names.zip(0..) {
        drawing::write(&mut sheet, name, (GAP + column * step, GAP / 2), INK);
    }
    let mut top = LINE + GAP;
    for (case, lines) in cases.iter().zip(&texts) {
        let question = suite.question(case, Row::Input, &mut renderer)?;
        drawing::place(&mut sheet, &question.image, (GAP, top));
        for (row, column) in rows.iter().zip(1..) {
            let (image, at) = (store.get(*row, case.id)?.0, (GAP + column * step, top));
            match judged.get(&(*row, case.id)) {
                Some(verdict) => drawing::place_judged(&mut sheet, &image, at, verdict.done),
                None => drawing::place(&mut sheet, &image, at),
            }
        }
        let truth = suite.truth(case, &mut renderer)?;
        drawing::place(&mut sheet, &truth, (GAP + (rows.len() as u32 + 1) * step, top));
        for (line, index) in lines.iter().zip(0..) {
            drawing::write(&mut sheet, line, (GAP, top + suite.size + GAP / 2 + index * LINE), INK);
        }
        top += height_of(lines);
    }
    encode(&sheet, &EncodeOptions::new(OutputFormat::Png), None)
        .map_err(|error| Failure::new(Blame::Engine, error.code(), chain(&error)))
}
