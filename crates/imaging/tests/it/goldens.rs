//! Reads the files that `tests/goldens/make_imaging.py` wrote.

use std::collections::HashMap;
use std::path::Path;

use retouch_imaging::RgbImage;
use safetensors::SafeTensors;
use serde::de::DeserializeOwned;

/// The tensors of one golden file and the description of its cases.
pub(crate) struct Goldens {
    bytes: Vec<u8>,
}

impl Goldens {
    pub(crate) fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
        Self { bytes: std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap() }
    }

    pub(crate) fn cases<T: DeserializeOwned>(&self) -> T {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).unwrap();
        let all: &HashMap<String, String> = metadata.metadata().as_ref().unwrap();
        serde_json::from_str(&all["cases"]).unwrap()
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.tensors().tensor(name).unwrap().data().to_vec()
    }

    /// A `[h, w, 3]` tensor of bytes.
    pub(crate) fn image(&self, name: &str) -> RgbImage {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).unwrap();
        let &[height, width, 3] = tensor.shape() else { panic!("{name}: {:?}", tensor.shape()) };
        RgbImage::from_raw(width as u32, height as u32, tensor.data().to_vec()).unwrap()
    }

    /// The shape and the values of a float tensor.
    pub(crate) fn floats(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).unwrap();
        assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
        let values = tensor.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        (tensor.shape().to_vec(), values.collect())
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }
}

/// The largest difference of two images of the same size, in levels, and the mean difference.
pub(crate) fn difference(ours: &RgbImage, theirs: &RgbImage) -> (u8, f64) {
    assert_eq!(ours.dimensions(), theirs.dimensions());
    let levels = ours.as_raw().iter().zip(theirs.as_raw()).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = levels.clone().map(u64::from).sum();
    (levels.max().unwrap(), sum as f64 / ours.as_raw().len() as f64)
}
