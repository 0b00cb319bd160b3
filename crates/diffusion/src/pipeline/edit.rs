//! One image, blocking: the simplest caller of a step engine.

use retouch_ports::step_engine::{
    EngineError, Gang, Output, RowId, RowRequest, RowStatus, Stage, StepEngine,
};

/// Called before each forward and once at the end.
pub type Progress<'a> = dyn FnMut(&RowStatus) + 'a;

/// Admits `request`, denoises it alone to its end and hands out the result.
pub fn run(
    engine: &mut impl StepEngine,
    request: RowRequest,
    progress: &mut Progress<'_>,
) -> Result<Output, EngineError> {
    let rows = engine.admit(Gang::single(request))?;
    let result = denoise(engine, &rows, progress);
    if result.is_err() {
        // The row is of no further use to anybody; its own error is the one to report.
        for &row in &rows {
            drop(engine.cancel(row));
        }
    }
    result
}

fn denoise(
    engine: &mut impl StepEngine,
    rows: &[RowId],
    progress: &mut Progress<'_>,
) -> Result<Output, EngineError> {
    engine.encode(rows)?;
    while let Some(status) = engine.rows().iter().find(|status| rows.contains(&status.id)) {
        progress(status);
        if status.stage != Stage::Denoising {
            break;
        }
        engine.step(rows)?;
    }
    engine.decode(rows)?;
    engine.take(rows[0])
}
