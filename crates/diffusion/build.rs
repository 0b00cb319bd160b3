//! Builds the C++ shim, and bakes LibTorch's folder into the run path of this crate's tests and examples.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=shim");
    let Ok(libtorch) = std::env::var("LIBTORCH") else {
        println!("cargo:warning=LIBTORCH is not set: run `cargo xtask setup` first");
        return;
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
    let mut build = cc::Build::new();
    if build.cpp(true).get_compiler().is_like_gnu() {
        // LibTorch's thread pool is reached through GCC's OpenMP, which torch-sys links; others run the loops serially.
        build.flag("-fopenmp");
    }
    build
        .std("c++17")
        .files(["shim/packed_linear.cpp", "shim/group_norm.cpp"])
        .includes([format!("{libtorch}/include"), format!("{libtorch}/include/torch/csrc/api/include")])
        // Its loops are the program's: fast in debug builds too.
        .opt_level(3)
        .flag("-fno-math-errno")
        .flag("-fno-trapping-math")
        // LibTorch's headers are not ours to mend.
        .flag_if_supported("-w")
        .compile("retouch_diffusion_shim");
}
