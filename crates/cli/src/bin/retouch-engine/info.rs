//! `retouch engine info`.

use std::fmt::Write;

use retouch_diffusion::{ComponentInfo, Device, Family, Kind, LoadOptions, Model, ModelInfo};
use serde_json::{Value, json};

use crate::args::{Dtype, InfoArgs};
use crate::failure::Failure;
use crate::report::print;

/// Loads the model, which checks it, and prints what it is.
pub(crate) fn run(args: &InfoArgs) -> Result<(), Failure> {
    let options = LoadOptions { device: Device::Cpu, kind: args.dtype.kind(), variant: args.variant.clone() };
    let model = Model::load(&args.model, &options)?;
    let look = Look { info: model.info()?, dtype: args.dtype, non_finite: model.first_non_finite() };
    if args.json { print(&look.json()) } else { print(&look.text().trim_end()) }
}

/// What there is to say about a model. That no tensor is missing, loading it has shown.
struct Look {
    info: ModelInfo,
    dtype: Dtype,
    /// The first tensor that holds NaN or infinity.
    non_finite: Option<String>,
}

impl Look {
    fn family(&self) -> &'static str {
        match self.info.family {
            Family::InstructPix2Pix => "instruct-pix2pix",
            Family::TextToImage => "text-to-image",
        }
    }

    fn parameters(&self) -> u64 {
        self.info.components.iter().map(|component| component.parameters).sum()
    }

    fn weight_bytes(&self) -> u64 {
        self.parameters() * self.dtype.kind().elt_size_in_bytes() as u64
    }

    fn json(&self) -> Value {
        let component = |c: &ComponentInfo| {
            json!({
                "name": c.name, "parameters": c.parameters, "stored_bytes": c.stored_bytes,
                "stored_dtypes": dtypes(c), "unused_tensors": c.unused,
            })
        };
        json!({
            "family": self.family(), "parameters": self.parameters(), "dtype": self.dtype.name(),
            "weight_bytes": self.weight_bytes(), "run_bytes": self.info.run_bytes, "sampler": self.info.sampler, "vae_factor": self.info.factor,
            "fingerprint": self.info.fingerprint, "native_width": self.info.native_size.0,
            "native_height": self.info.native_size.1, "non_finite_tensor": self.non_finite,
            "components": self.info.components.iter().map(component).collect::<Vec<_>>(),
        })
    }

    fn text(&self) -> String {
        let (width, height) = self.info.native_size;
        let mut text = format!(
            "family       {}\n\
             trained at   {width}x{height} pixels, VAE factor {}\n\
             sampler      {}\n\
             parameters   {}\n\
             weights      {:.1} MiB in {}\n\
             memory       about {:.0} MiB for one image of that size\n\
             fingerprint  {}\n",
            self.family(),
            self.info.factor,
            self.info.sampler,
            self.parameters(),
            mebibytes(self.weight_bytes()),
            self.dtype.name(),
            mebibytes(self.info.run_bytes),
            self.info.fingerprint,
        );
        let mut line = |line: String| writeln!(text, "{line}").expect("a string takes everything");
        for c in &self.info.components {
            let unused = if c.unused.is_empty() { "none".to_owned() } else { c.unused.join(", ") };
            let (stored, dtypes) = (mebibytes(c.stored_bytes), dtypes(c).join(", "));
            line(format!(
                "{:<12} {} parameters, {stored:.1} MiB stored as {dtypes}; missing: none; unused: {unused}",
                c.name, c.parameters
            ));
        }
        if let Some(tensor) = &self.non_finite {
            line(format!("warning: {tensor} holds NaN or infinity"));
        }
        text
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// The types of a checkpoint, named as `--dtype` does.
fn dtypes(component: &ComponentInfo) -> Vec<String> {
    let name = |kind: &Kind| match kind {
        Kind::Float => "f32".to_owned(),
        Kind::BFloat16 => "bf16".to_owned(),
        Kind::Half => "f16".to_owned(),
        Kind::Double => "f64".to_owned(),
        other => format!("{other:?}").to_ascii_lowercase(),
    };
    component.stored.iter().map(name).collect()
}
