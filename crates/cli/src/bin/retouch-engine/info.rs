//! `retouch engine info`.

use retouch_diffusion::{Device, Family, LoadOptions, Model};
use serde_json::json;

use crate::args::InfoArgs;
use crate::failure::Failure;

/// Loads the model, which checks it, and prints what it is.
pub(crate) fn run(args: &InfoArgs) -> Result<(), Failure> {
    let options = LoadOptions { device: Device::Cpu, kind: args.dtype.kind(), variant: args.variant.clone() };
    let model = Model::load(&args.model, &options)?;
    let info = model.info()?;
    let non_finite = model.first_non_finite();
    let family = match info.family {
        Family::InstructPix2Pix => "instruct-pix2pix",
        Family::TextToImage => "text-to-image",
    };
    let width = options.kind.elt_size_in_bytes() as u64;
    let parameters: u64 = info.components.iter().map(|c| c.parameters).sum();
    if args.json {
        let components = info.components.iter().map(|c| {
            json!({
                "name": c.name, "parameters": c.parameters, "stored_bytes": c.stored_bytes,
                "stored_dtypes": c.stored.iter().map(|k| format!("{k:?}")).collect::<Vec<_>>(), "unused_tensors": c.unused,
            })
        });
        let report = json!({
            "family": family, "parameters": parameters, "dtype": args.dtype.name(), "weight_bytes": parameters * width,
            "sampler": info.sampler, "vae_factor": info.factor, "fingerprint": info.fingerprint,
            "native_width": info.native_size.0, "native_height": info.native_size.1,
            "non_finite_tensor": non_finite, "components": components.collect::<Vec<_>>(),
        });
        println!("{report}");
        return Ok(());
    }
    println!("family       {family}");
    println!("trained at   {}x{} pixels, VAE factor {}", info.native_size.0, info.native_size.1, info.factor);
    println!("sampler      {}", info.sampler);
    println!("parameters   {parameters}");
    println!(
        "weights      {:.1} MiB in {}",
        (parameters * width) as f64 / f64::from(1 << 20),
        args.dtype.name()
    );
    println!("fingerprint  {}", info.fingerprint);
    for c in &info.components {
        let unused = if c.unused.is_empty() { "none".to_owned() } else { c.unused.join(", ") };
        let mib = c.stored_bytes as f64 / f64::from(1 << 20);
        println!(
            "{:<12} {} parameters, {mib:.1} MiB stored as {:?}; missing: none; unused: {unused}",
            c.name, c.parameters, c.stored
        );
    }
    if let Some(tensor) = non_finite {
        println!("warning: {tensor} holds NaN or infinity");
    }
    Ok(())
}
