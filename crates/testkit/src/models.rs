//! Model folders with weights that Python and Rust both compute; `fixture.py` beside the engine's goldens is the other
//! half. No tensors, so that packages without LibTorch can make them too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};

/// Tensors by name: shape and little-endian float32.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// The folder of the engine's committed goldens.
pub fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../diffusion/tests/goldens")
}

/// Values in −1..1, multiples of 2⁻²³: splitmix64 of the name's FNV-1a hash.
pub fn uniform(name: &str, count: usize) -> Vec<f32> {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (1..=count as u64)
        .map(|i| {
            let mut z = hash.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            (z >> 40) as f32 * 2f32.powi(-23) - 1.0
        })
        .collect()
}

/// The fixture's tensor `name`.
pub fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let u = uniform(name, shape.iter().product());
    if shape.len() == 1 {
        let offset = if name.ends_with("weight") { 1.0 } else { 0.0 };
        return u.into_iter().map(|x| offset + 0.1 * x).collect();
    }
    let fan_in = shape[1..].iter().product::<usize>() as f32;
    let scale = (3.0 / fan_in).sqrt();
    u.into_iter().map(|x| x * scale).collect()
}

/// The tensors of the golden model `case`.
pub fn tensors(case: &str) -> Tensors {
    let text = std::fs::read_to_string(goldens().join(case).join("tensors.json")).expect("committed");
    let shapes: BTreeMap<String, Vec<usize>> = serde_json::from_str(&text).expect("valid");
    shapes
        .into_iter()
        .map(|(name, shape)| {
            let bytes = values(&name, &shape).iter().flat_map(|x| x.to_le_bytes()).collect();
            (name, (shape, bytes))
        })
        .collect()
}

/// Writes `tensors` as a safetensors file.
pub fn write_safetensors(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("consistent"))
    });
    safetensors::serialize_to_file(views, None, path).expect("writable");
}

/// The golden model `case` as a component folder inside `parent`.
pub fn component(case: &str, stem: &str, parent: &Path, name: &str) -> PathBuf {
    let folder = parent.join(name);
    std::fs::create_dir_all(&folder).expect("writable");
    std::fs::copy(goldens().join(case).join("config.json"), folder.join("config.json")).expect("committed");
    write_safetensors(&folder.join(format!("{stem}.safetensors")), &tensors(case));
    folder
}

/// A model folder of the golden networks `family` with the scheduler configuration `scheduler`.
pub fn model_folder(family: &str, scheduler: &str, parent: &Path) -> PathBuf {
    let folder = parent.join(format!("{family}-{scheduler}"));
    for (part, stem) in
        [("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model"), ("text_encoder", "model")]
    {
        component(&format!("{family}/{part}"), stem, &folder, part);
    }
    let class =
        if family == "ip2p" { "StableDiffusionInstructPix2PixPipeline" } else { "StableDiffusionPipeline" };
    std::fs::write(folder.join("model_index.json"), format!(r#"{{"_class_name": "{class}"}}"#))
        .expect("writable");
    let copy = |from: PathBuf, to: &str| {
        let to = folder.join(to);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("writable");
        std::fs::copy(&from, &to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    };
    copy(goldens().join(format!("schedulers/{scheduler}.json")), "scheduler/scheduler_config.json");
    for file in ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"] {
        copy(goldens().join("tokenizer_sd1").join(file), &format!("tokenizer/{file}"));
    }
    folder
}
