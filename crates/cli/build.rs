//! Bakes LibTorch's folder into the run path of the one executable that needs it.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if std::env::var_os("CARGO_FEATURE_ENGINE").is_some()
        && let Ok(libtorch) = std::env::var("LIBTORCH")
    {
        println!("cargo:rustc-link-arg-bin=retouch-engine=-Wl,-rpath,{libtorch}/lib");
    }
}
