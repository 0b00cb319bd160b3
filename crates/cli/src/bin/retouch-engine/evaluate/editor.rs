//! The edit engine as what answers the questions of a suite.

use retouch_evaluation::{Editor, Manner, Question};
use retouch_imaging::{RgbImage, from_unit_range, to_model_input};
use retouch_instruction::{Intent, Intents};
use retouch_ports::step_engine::{
    DynamicGuidance, EngineError, Gang, Guidance, Output, RowId, RowRequest, Stage, StepEngine, Task,
};

use super::args::EvaluateArgs;
use crate::failure::{Blame, Failure, chain};

/// Answers with an engine, several questions in each forward pass.
pub(super) struct StepEditor<'a, E> {
    pub(super) engine: E,
    pub(super) args: &'a EvaluateArgs,
}

impl<E: StepEngine> Editor for StepEditor<'_, E> {
    type Error = Failure;

    fn edit(
        &mut self,
        questions: &[Question],
        seeds: &[u64],
        manner: Manner,
    ) -> Result<Vec<RgbImage>, Failure> {
        let mut ids = Vec::with_capacity(questions.len());
        let result = self.made(questions, seeds, manner, &mut ids);
        if result.is_err() {
            // The rows are of no further use to anybody; the first error is the one to report.
            ids.iter().for_each(|id| drop(self.engine.cancel(*id)));
        }
        let image = |output: Output| {
            from_unit_range(&output.image, output.width, output.height)
                .map_err(|error| Failure::new(Blame::Engine, error.code(), chain(&error)))
        };
        result?.into_iter().map(image).collect()
    }
}

impl<E: StepEngine> StepEditor<'_, E> {
    fn made(
        &mut self,
        questions: &[Question],
        seeds: &[u64],
        manner: Manner,
        ids: &mut Vec<RowId>,
    ) -> Result<Vec<Output>, EngineError> {
        for (question, seed) in questions.iter().zip(seeds) {
            ids.extend(self.engine.admit(Gang::single(self.request(question, *seed, manner)))?);
        }
        self.engine.encode(ids)?;
        loop {
            let rows = self.engine.rows();
            let denoising: Vec<RowId> = rows
                .iter()
                .filter(|row| row.stage == Stage::Denoising && ids.contains(&row.id))
                .map(|row| row.id)
                .collect();
            if denoising.is_empty() {
                break;
            }
            self.engine.step(&denoising)?;
        }
        self.engine.decode(ids)?;
        ids.iter().map(|id| self.engine.take(*id)).collect()
    }

    fn request(&self, question: &Question, seed: u64, manner: Manner) -> RowRequest {
        let (width, height) = question.image.dimensions();
        let unread = || Intents::new(vec![Intent::Free { text: question.instruction.clone() }]).to_json();
        RowRequest {
            task: Task::Edit { image: to_model_input(&question.image) },
            prompt: question.instruction.clone(),
            negative: String::new(),
            width,
            height,
            steps: self.args.steps,
            sampler: self.args.sampler.clone(),
            sigma_interp: None,
            karras: None,
            guidance_text: self.args.guidance_text,
            guidance_image: self.args.guidance_image,
            guidance: if manner.dynamic {
                Guidance::Dynamic(DynamicGuidance::default())
            } else {
                Guidance::Fixed
            },
            intents: (!manner.parsed).then(unread),
            spatial: manner.spatial,
            source_box: question.source_box,
            clip_skip: None,
            seed,
            noise: None,
        }
    }
}
