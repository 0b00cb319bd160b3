//! Builds the C++ shim, and bakes LibTorch's folder into the run path of this crate's tests and examples.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=shim/packed_linear.cpp");
    let Ok(libtorch) = std::env::var("LIBTORCH") else {
        println!("cargo:warning=LIBTORCH is not set: run `cargo xtask setup` first");
        return;
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("shim/packed_linear.cpp")
        .includes([format!("{libtorch}/include"), format!("{libtorch}/include/torch/csrc/api/include")])
        // LibTorch's headers are not ours to mend.
        .flag_if_supported("-w")
        .compile("retouch_diffusion_shim");
}
