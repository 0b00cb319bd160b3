//! Edits on the real engine with a tiny model; the files are in memory.

use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use retouch_diffusion::{Device, Engine, EngineOptions, Kind, LoadOptions, Model, ModelFolder};
use retouch_domain::{Band, BatchId, JobId, Loss, TenantId};
use retouch_imaging::{
    EncodeOptions, Limits, OutputFormat, RgbImage, decode, encode, from_unit_range, read_parameters,
};
use retouch_ports::FetchError;
use retouch_ports::files::tenant_file;
use retouch_ports::store::Fence;
use retouch_testkit::case::eventually;
use retouch_testkit::models::model_folder;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use uuid::Uuid;

use super::*;
use crate::batcher::{Activity, Options, monotonic};
use crate::memory::Memory;

/// Has one image.
struct Web;

#[async_trait]
impl Fetch for Web {
    async fn image(&self, url: &str) -> Result<Bytes, FetchError> {
        match url {
            "https://example.com/photo" => Ok(photo().into()),
            _ => Err(FetchError::Address { host: "internal".to_owned() }),
        }
    }
}

fn photo() -> Vec<u8> {
    let image = RgbImage::from_fn(48, 32, |x, y| [(5 * x) as u8, (7 * y) as u8, 90].into());
    encode(&image, &EncodeOptions::new(OutputFormat::Png), None).expect("a PNG")
}

fn tenant() -> TenantId {
    TenantId::new(Uuid::from_u128(1))
}

/// A worker's side without its claims: an editor on a device thread of its own.
struct Place {
    editor: Editor,
    blobs: Arc<Memory>,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        model_folder("ip2p", "euler-a", folder.path());
        model_folder("sd1", "pndm", folder.path());
        let root = folder.path().to_owned();
        let now = monotonic();
        let source = move || Box::new(ModelFolder::new(root, Device::Cpu, Kind::Float)) as Box<_>;
        let (batcher, _) = Batcher::start(Options::default(), now.clone(), source).expect("a thread");
        let blobs = Arc::new(Memory::default());
        let key = |name| tenant_file(tenant(), name).expect("a name").to_string();
        blobs.write(key("photo"), photo());
        blobs.write(key("text"), b"no image at all".to_vec());
        blobs.write(key("cut"), photo()[..60].to_vec());
        let editor = Editor::new(batcher, now, Duration::from_secs(60), blobs.clone(), Arc::new(Web));
        Self { editor, blobs, folder }
    }

    async fn run(&self, job: &Claimed, handle: &RunHandle) -> Outcome {
        tokio::select! {
            outcome = self.editor.run(job, handle) => outcome,
            never = handle.record() => match never {},
        }
    }

    async fn edited(&self, job: &Claimed) -> Edited {
        match self.run(job, &handle(job)).await {
            Outcome::Done { output, .. } => serde_json::from_value(output).expect("a result"),
            outcome => panic!("{outcome:?}"),
        }
    }

    fn pixels(&self, file: &EditedFile) -> RgbImage {
        decode(&self.blobs.read(&file.key), &Limits::default()).expect("an image").pixels
    }
}

fn handle(job: &Claimed) -> RunHandle {
    RunHandle::new(job.fence, Band::Standard, Arc::new(Notify::new()))
}

fn job(number: u128, change: Value) -> Claimed {
    let mut payload = json!({
        "image": {"file": "photo"}, "instruction": "make the tie blue", "model": "ip2p-euler-a", "steps": 4, "seed": 5,
    });
    for (name, value) in change.as_object().expect("an object") {
        payload[name] = value.clone();
    }
    Claimed {
        fence: Fence { job: JobId::new(Uuid::from_u128(number)), epoch: 1 },
        tenant: tenant(),
        batch: BatchId::new(Uuid::from_u128(2)),
        kind: edit::KIND.parse().expect("a kind"),
        version: edit::VERSION,
        payload,
        inputs: Vec::new(),
        shape: String::new(),
        timeout: Duration::from_secs(60),
        starts: 1,
        alone: false,
        export: None,
    }
}

/// What the engine makes of the job when it has nothing else to do.
fn alone(folder: &Path, job: &Claimed, index: u64) -> RgbImage {
    let options = LoadOptions { device: Device::Cpu, kind: Kind::Float, variant: None };
    let model = Rc::new(Model::load(&folder.join("ip2p-euler-a"), &options).expect("loads"));
    let factor = model.vae().config().factor() as u32;
    let edit = read(job).expect("an edit");
    let request =
        input::request(&edit, &photo(), factor, edit.seed.expect("a seed") + index).expect("a request");
    let mut engine = Engine::new(model, EngineOptions::default());
    let output = retouch_diffusion::run(&mut engine, request, &mut |_| ()).expect("runs");
    from_unit_range(&output.image, output.width, output.height).expect("an image")
}

fn difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_shares_the_batch_the_image_is_that_of_the_engine_alone() {
    let place = Place::new();
    let jobs = [
        json!({}),
        json!({"seed": 6, "steps": 7}),
        json!({"seed": 7, "sampler": "ddim", "guidance_text": 3.0}),
        json!({"seed": 8, "sampler": "pndm", "negative": "a hat", "instruction": "add a hat"}),
        json!({"seed": 9, "images": 3, "guidance_image": 1.0, "image": {"url": "https://example.com/photo"}}),
        json!({"seed": 10, "guidance": "dynamic", "steps": 5}),
    ];
    let jobs: Vec<Claimed> = jobs.into_iter().zip(10..).map(|(change, number)| job(number, change)).collect();
    let all = futures_util::future::join_all(jobs.iter().map(|job| place.edited(job))).await;
    for (job, edited) in jobs.iter().zip(&all) {
        let images = job.payload["images"].as_u64().unwrap_or(1);
        assert_eq!(edited.files.len() as u64, images);
        for (index, file) in edited.files.iter().enumerate() {
            let expected = alone(place.folder.path(), job, index as u64);
            let found = difference(&place.pixels(file), &expected);
            assert!(found <= 1, "{}: {found}", job.payload);
        }
    }
    let file = &all[4].files[1];
    let bytes = place.blobs.read(&file.key);
    let parameters: Value = serde_json::from_str(&read_parameters(&bytes).unwrap().unwrap()).unwrap();
    assert_eq!((parameters["seed"].as_u64(), file.seed), (Some(10), 10));
    assert_eq!((file.bytes, &file.hash), (bytes.len() as u64, &output::sha256(&bytes)));
    assert_eq!((file.width, file.height), (48, 32));
    assert_eq!(parameters["model"], all[4].model_hash.as_str());
    assert_eq!(all[4].input_hash, output::sha256(&photo()));
    let figures = place.editor.batcher.health().figures();
    assert!(figures.forwards < figures.steps, "rows shared forwards: {figures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_is_handed_over_goes_on_to_the_same_image() {
    let (first, second) = (Place::new(), Place::new());
    let job = job(20, json!({"steps": 40, "images": 2, "seed": 3}));
    let handle = handle(&job);
    let outcome = tokio::select! {
        outcome = first.run(&job, &handle) => outcome,
        never = handle.tell_after(6, Stop::HandOver) => match never {},
    };
    let Outcome::HandedOver { export: Some(export), cost } = outcome else { panic!("{outcome:?}") };
    assert!(cost.forwards > 0 && cost.forwards < 80, "{cost:?}");
    let fence = Fence { epoch: 2, ..job.fence };
    let again = Claimed { fence, export: Some(export), ..job.clone() };
    let edited = second.edited(&again).await;
    assert_eq!(edited.files.iter().map(|file| file.forwards).collect::<Vec<_>>(), [40, 40]);
    for (index, file) in edited.files.iter().enumerate() {
        assert!(difference(&second.pixels(file), &alone(first.folder.path(), &job, index as u64)) <= 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canceled_edit_ends_at_once() {
    let place = Place::new();
    let job = job(30, json!({"steps": 1000}));
    let handle = handle(&job);
    let outcome = tokio::select! {
        outcome = place.run(&job, &handle) => outcome,
        never = handle.tell_after(1, Stop::Cancel) => match never {},
    };
    let Outcome::Canceled { cost } = outcome else { panic!("{outcome:?}") };
    assert!((1..1000).contains(&cost.forwards), "{cost:?}");
    eventually(async || place.editor.batcher.health().activity() == Activity::Idle).await;
    assert_eq!(place.editor.batcher.health().figures().resident, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_input_has_a_code_and_the_worker_goes_on() {
    let place = Place::new();
    for (change, code) in [
        (json!({"image": {"file": "text"}}), "image_format_unsupported"),
        (json!({"image": {"file": "cut"}}), "image_truncated"),
        (json!({"image": {"file": "gone"}}), "input_missing"),
        (json!({"image": {"file": "../1/photo"}}), "input_name_invalid"),
        (json!({"image": {"url": "http://169.254.169.254/"}}), "url_address"),
        (json!({"image": {"path": "/etc/passwd"}}), "payload_invalid"),
        (json!({"model": "none"}), "model_unknown"),
        (json!({"model": "../ip2p-euler-a"}), "model_unknown"),
        (json!({"model": "sd1-pndm"}), "model_edits_nothing"),
        (json!({"steps": 0}), "parameter_invalid"),
        (json!({"sampler": "magic"}), "sampler_unknown"),
        (json!({"size": [33, 32]}), "size_invalid"),
        (json!({"size": [4096, 4096]}), "size_too_large"),
        (json!({"images": 0}), "payload_invalid"),
        (json!({"images": 17}), "payload_invalid"),
        (json!({"instruction": "x".repeat(5000)}), "payload_invalid"),
        (json!({"intents": {"no": "intents"}}), "parameter_invalid"),
        (json!({"guidance_text": 1e9}), "parameter_invalid"),
        (json!({"quality": 0}), "quality_invalid"),
        (json!({"steps": 4.5}), "payload_invalid"),
    ] {
        let job = job(40, change);
        let outcome = place.run(&job, &handle(&job)).await;
        let Outcome::Failed { loss, error, .. } = outcome else { panic!("{code}: {outcome:?}") };
        assert_eq!((loss, error.code.as_str()), (Loss::Permanent, code), "{}", error.message);
        assert!(error.message.len() > 15 && error.message.len() < 600, "{}", error.message);
    }
    let other = Claimed { version: 2, ..job(41, json!({})) };
    let outcome = place.run(&other, &handle(&other)).await;
    assert!(matches!(outcome, Outcome::Failed { error, .. } if error.code.as_str() == "kind_unknown"));
    assert_eq!(place.edited(&job(42, json!({}))).await.files.len(), 1);
}
