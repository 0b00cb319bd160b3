//! From nothing to a model folder that edits.

use std::rc::Rc;

use retouch_diffusion::models::clip::ClipModel;
use retouch_diffusion::tokenizer::Tokenizer;
use retouch_diffusion::training::StageName;
use retouch_diffusion::{Device, Engine, EngineOptions, Family, Kind, LoadOptions, Model, run};
use retouch_ports::step_engine::{Guidance, RowRequest, Task};
use tempfile::tempdir;

use super::{SIDE, finish, open};

fn request(task: Task, prompt: &str) -> RowRequest {
    RowRequest {
        task,
        prompt: prompt.into(),
        negative: String::new(),
        width: SIDE,
        height: SIDE,
        steps: 3,
        sampler: None,
        sigma_interp: None,
        karras: None,
        guidance_text: 2.0,
        guidance_image: 1.2,
        guidance: Guidance::Fixed,
        intents: None,
        spatial: true,
        source_box: None,
        clip_skip: None,
        seed: 1,
        noise: None,
    }
}

#[test]
fn every_stage_learns_and_the_models_run() {
    let folder = tempdir().expect("writable");
    let training = open(folder.path());
    let losses = finish(&training);
    let of = |stage| losses.iter().filter(move |(own, _)| *own == stage).map(|(_, loss)| *loss);
    let (first, last) = (of(StageName::Vae).next(), of(StageName::Vae).next_back());
    // The first line is of 5 steps already, and a new autoencoder passes colours on.
    assert!(last < first.map(|first| first * 0.6), "the autoencoder went from {first:?} to {last:?}");
    for stage in [StageName::TextToImage, StageName::Editor, StageName::Spatial, StageName::Clip] {
        assert_eq!(of(stage).count(), 4, "a line of metrics every 3 of 12 steps");
        assert!(of(stage).all(f64::is_finite));
    }

    let load = |stage: StageName| {
        let output = folder.path().join(stage.name());
        training.assemble(stage, &output).expect("finished stages");
        let options = LoadOptions { device: Device::Cpu, kind: Kind::Float, variant: None };
        let model = Model::load(&output, &options).expect("a complete model");
        assert!(model.info().expect("readable").components.iter().all(|c| c.unused.is_empty()));
        model
    };
    let editor = load(StageName::Editor);
    assert_eq!(editor.family(), Family::InstructPix2Pix);
    assert_eq!(editor.native_size(), (16, 16));
    assert!(editor.spatial().is_some(), "the layer is beside the editor");
    let image = vec![0.0; (3 * SIDE * SIDE) as usize];
    let mut engine = Engine::new(Rc::new(editor), EngineOptions::default());
    let edit = request(Task::Edit { image }, "move the red square to the left");
    let output = run(&mut engine, edit, &mut |_| ()).expect("an edit");
    assert_eq!(output.image.len(), (3 * SIDE * SIDE) as usize);
    assert_eq!(output.truncated, None);

    let generator = load(StageName::TextToImage);
    assert_eq!(generator.family(), Family::TextToImage);
    let mut engine = Engine::new(Rc::new(generator), EngineOptions::default());
    run(&mut engine, request(Task::Generate, "a blue square on the right"), &mut |_| ()).expect("an image");

    let output = folder.path().join("clip");
    training.assemble(StageName::Clip, &output).expect("a finished stage");
    let (clip, report) = ClipModel::load(&output, None, Device::Cpu, Kind::Float).expect("a complete model");
    assert!(report.unused.is_empty() && clip.logit_scale() > 1.0);
    Tokenizer::load(&output).expect("beside it");
}
