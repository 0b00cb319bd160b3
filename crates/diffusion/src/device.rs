//! Devices and threads.

use std::sync::Once;

use tch::{Cuda, Device};

/// Makes CUDA available where LibTorch was installed with it. Without effect elsewhere. Idempotent.
///
/// One binary serves both kinds of machine: the CUDA half of LibTorch registers itself when it is opened.
fn open_cuda() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[expect(unsafe_code, reason = "opening a library runs its initialisers")]
        // SAFETY: LibTorch's own library, from the folder that its CPU half came from, whose initialisers only register
        // kernels. It is never closed.
        let library = unsafe {
            libloading::os::unix::Library::open(
                Some("libtorch_cuda.so"),
                libloading::os::unix::RTLD_NOW | libloading::os::unix::RTLD_GLOBAL,
            )
        };
        match library {
            Ok(library) => std::mem::forget(library),
            Err(error) => tracing::debug!(%error, "no CUDA half of LibTorch"),
        }
    });
}

/// A device by name: `auto` (the first GPU, else the CPU), `cpu`, `cuda` or `cuda:N`.
pub fn parse_device(name: &str) -> Result<Device, String> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    let index = match name {
        "auto" | "cuda" => Some(0),
        _ => name.strip_prefix("cuda:").and_then(|n| n.parse::<usize>().ok()),
    };
    let index = index.ok_or_else(|| format!("unknown device `{name}`: use auto, cpu or cuda:N"))?;
    open_cuda();
    let devices = if Cuda::is_available() { Cuda::device_count().max(0) as usize } else { 0 };
    match (name, index < devices) {
        (_, true) => Ok(Device::Cuda(index)),
        ("auto", false) => Ok(Device::Cpu),
        _ => Err(format!("there is no device `{name}`: {devices} CUDA devices are visible")),
    }
}

/// Sets how many CPU threads one operation uses; all cores by default.
pub fn set_threads(threads: u16) {
    tch::set_num_threads(i32::from(threads));
}
