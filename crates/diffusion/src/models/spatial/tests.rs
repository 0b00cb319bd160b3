//! The layer's maps and attention against their definitions, and that a new layer changes nothing.

use retouch_instruction::{Destination, Displacement, Intent, Referent, Region, Unit};
use retouch_testkit::models::uniform;

use super::transform::Affine;
use super::*;
use crate::models::unet::UNet;
use crate::training::Parameters;

const TEXT: i64 = 8;

fn unet_config() -> UNetConfig {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("config.json");
    let text = r#"{"sample_size": 8, "in_channels": 8, "block_out_channels": [8, 16], "layers_per_block": 1,
        "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "norm_num_groups": 4,
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"], "cross_attention_dim": 8, "attention_head_dim": 2}"#;
    std::fs::write(&path, text).expect("writable");
    UNetConfig::from_file(&path).expect("valid")
}

fn values(name: &str, shape: &[i64]) -> Tensor {
    Tensor::from_slice(&uniform(name, shape.iter().product::<i64>() as usize)).view(shape)
}

fn spatial() -> Spatial {
    let parameters = Parameters::new(1, Device::Cpu, true);
    Spatial::in_training(SpatialConfig::default(), parameters, Kind::Float, &unet_config()).expect("built")
}

fn move_right() -> SpatialPlan {
    let by = Displacement { dx: 0.25, dy: 0.0, unit: Unit::Fraction, said: true };
    let target = Referent { location: Some(Region::Left), ..Referent::named("ball") };
    SpatialPlan::new(&[Intent::Move { target, to: Destination::By(by) }], None, (64, 64))
}

fn batch(spatial: &Spatial, plans: &[Option<&SpatialPlan>]) -> SpatialBatch {
    let rows = plans.len() as i64;
    let phrases = values("phrases", &[rows, TOKENS as i64, TEXT]);
    spatial.batch(plans, &phrases, &values("source", &[1, 4, 8, 8]).expand([rows, 4, 8, 8], false))
}

#[test]
fn the_source_moves_by_whole_pixels_exactly() {
    let plan = move_right();
    let source = values("source", &[1, 4, 8, 8]);
    let origin = plan.transform.and_then(|t| t.inverse()).expect("a geometry").rows();
    let origins = Tensor::from_slice(&origin).view([1, 2, 3]);
    let moved = moved_source(&source, &origins, &Tensor::ones([1, 1, 1], (Kind::Float, Device::Cpu)));
    // A quarter of eight pixels is two.
    let expected = source.narrow(3, 0, 6);
    let difference = (moved.narrow(1, 1, 4).narrow(3, 2, 6) - expected).abs().max().double_value(&[]);
    assert!(difference < 1e-5, "{difference}");
    let valid = moved.narrow(1, 0, 1);
    assert_eq!(valid.narrow(3, 0, 2).abs().max().double_value(&[]), 0.0);
    assert!((valid.narrow(3, 2, 6) - 1.0).abs().max().double_value(&[]) < 1e-5);
}

#[test]
fn distances_are_from_where_a_pixel_comes_from() {
    let spatial = spatial();
    let plan = move_right();
    let batch = batch(&spatial, &[Some(&plan), None]);
    let distances = batch.distances((8, 8));
    assert_eq!(distances.size(), [2, 64, 64]);
    let at = |row: i64, to: i64, from: i64| distances.double_value(&[row, to, from]);
    // Pixel (3, 5) takes its content from (3, 3): two pixels are half of the way from −1 to 0.
    assert!(at(0, 3 * 8 + 5, 3 * 8 + 3) < 1e-6);
    assert!((at(0, 3 * 8 + 5, 3 * 8 + 5) - 0.25).abs() < 1e-6);
    assert!((at(0, 3 * 8 + 5, 4 * 8 + 3) - 0.0625).abs() < 1e-6);
    assert_eq!(distances.select(0, 1).abs().max().double_value(&[]), 0.0);
}

#[test]
fn regions_are_covered_by_their_share_of_pixels() {
    let bounds = FractionBox { left: 0.0, top: 0.25, right: 0.3, bottom: 1.5 };
    let map = covered(Some(bounds), 4, 4, Device::Cpu);
    let row: Vec<f32> = Vec::try_from(map.select(2, 1).view([-1])).expect("float32");
    assert!((row[0] - 1.0).abs() < 1e-6 && (row[1] - 0.2).abs() < 1e-6 && row[2..] == [0.0, 0.0], "{row:?}");
    assert_eq!(map.select(2, 0).abs().max().double_value(&[]), 0.0);
}

/// A network with and without the layer on the same input, and the layer's tensors.
fn forward(layer: Option<&Spatial>, plans: &[Option<&SpatialPlan>]) -> Tensor {
    let unet =
        UNet::in_training(unet_config(), Parameters::new(2, Device::Cpu, false), Kind::Float).expect("built");
    // A layer belongs to a network whose transformers add something, unlike those of a new one.
    for (name, mut leaf) in unet.checkpoint().trained().expect("in training").leaves() {
        if name.ends_with("proj_out.weight") {
            leaf.copy_(&values(&name, &leaf.size()));
        }
    }
    let rows = plans.len() as i64;
    let text = unet.text_kv(&values("text", &[rows, 5, TEXT]));
    let timesteps = Tensor::from_slice(&vec![300f32; plans.len()]);
    let sample = values("sample", &[rows, 8, 8, 8]);
    let batch = layer.map(|layer| batch(layer, plans));
    unet.forward_spatial(&sample, &timesteps, &text, None, layer.zip(batch.as_ref()))
}

#[test]
fn a_new_layer_changes_nothing_and_learns() {
    let (plan, layer) = (move_right(), spatial());
    let plans = [Some(&plan), None];
    let (plain, gated) = tch::no_grad(|| (forward(None, &plans), forward(Some(&layer), &plans)));
    assert!(gated == plain, "bit-equal at gate 0");
    forward(Some(&layer), &plans).square().mean(Kind::Float).backward();
    let leaves = layer.checkpoint().trained().expect("in training").leaves();
    let slope = |tensor: &Tensor| tensor.grad().abs().max().double_value(&[]);
    let gates: Vec<f64> =
        leaves.iter().filter(|(name, _)| name.ends_with("gate")).map(|(_, leaf)| slope(leaf)).collect();
    // Two levels with attention on the way down and up: one block down, one in the middle, two up.
    assert!(gates.len() == 4 && gates.iter().all(|&slope| slope > 0.0), "{gates:?}");
    let (_, maps) = leaves.iter().find(|(name, _)| name == "maps.weight").expect("a leaf");
    assert!(slope(maps) > 0.0);
}

/// The layer of `make_spatial.py`: against diffusers' own where there is no geometry, and against the formula where there is.
#[test]
fn gated_attention_equals_the_reference() {
    const WIDTH: i64 = 16;
    const TOKEN: i64 = 12;
    let parameters = Parameters::new(0, Device::Cpu, false);
    let shapes: [(&str, &[i64]); 9] = [
        ("norm.weight", &[WIDTH]),
        ("norm.bias", &[WIDTH]),
        ("tokens.weight", &[WIDTH, TOKEN]),
        ("tokens.bias", &[WIDTH]),
        ("to_q.weight", &[WIDTH, WIDTH]),
        ("to_k.weight", &[WIDTH, WIDTH]),
        ("to_v.weight", &[WIDTH, WIDTH]),
        ("to_out.0.weight", &[WIDTH, WIDTH]),
        ("to_out.0.bias", &[WIDTH]),
    ];
    for (name, shape) in shapes {
        let sizes: Vec<usize> = shape.iter().map(|&side| side as usize).collect();
        let values = retouch_testkit::models::values(name, &sizes);
        parameters.insert(name, &Tensor::from_slice(&values).view(shape));
    }
    parameters.insert("gate", &Tensor::from_slice(&[0.7f32]));
    parameters.insert("focus", &Tensor::from_slice(&[0.3f32; 2]));
    let checkpoint = Checkpoint::in_training(parameters);
    let build = |at: &Scope| GatedAttention::new(at, WIDTH, 2, TOKEN);
    let (layer, _) = weights::load("a test", checkpoint, Device::Cpu, Kind::Float, build).expect("built");
    let path = retouch_testkit::models::goldens().join("spatial.safetensors");
    let goldens: HashMap<String, Tensor> =
        Tensor::read_safetensors(path).expect("committed").into_iter().collect();
    let noise = |name: &str, shape: &[i64]| values(name, shape) * f64::from(3f64.sqrt() as f32);
    let origin = Affine::translation(0.25, 0.0).inverse().expect("invertible").rows();
    for (name, moved) in [("plain", 0.0), ("moved", 1.0)] {
        let batch = SpatialBatch {
            added: Tensor::zeros([0; 0], (Kind::Float, Device::Cpu)),
            tokens: noise("tokens", &[2, 8, TOKEN]),
            origins: Tensor::from_slice(&[origin, origin].concat()).view([2, 2, 3]),
            moved: Tensor::from_slice(&[moved as f32; 2]).view([2, 1, 1]),
            on: Tensor::ones([2, 1, 1], (Kind::Float, Device::Cpu)),
            max_pixels: 16,
            distances: RefCell::default(),
        };
        let ours = tch::no_grad(|| layer.forward(noise("x", &[2, 16, WIDTH]), (4, 4), &batch));
        let difference = (ours - &goldens[name]).abs().max().double_value(&[]);
        assert!(difference < 1e-5, "{name}: {difference:.2e}");
        let small = SpatialBatch { max_pixels: 15, ..batch };
        let x = noise("x", &[2, 16, WIDTH]);
        assert!(layer.forward(x.shallow_clone(), (4, 4), &small) == x, "too large a map is left alone");
    }
}
