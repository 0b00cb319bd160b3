//! `retouch` built without its engine.

use std::process::Command;

#[test]
fn the_engine_command_says_what_to_install() {
    let run = Command::new(env!("CARGO_BIN_EXE_retouch")).args(["engine", "edit", "--help"]).output();
    let run = run.expect("starts");
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert_eq!((run.status.code(), run.stdout.as_slice()), (Some(69), b"".as_slice()), "{stderr}");
    assert!(stderr.starts_with("error: this retouch was built without its engine; "), "{stderr}");
    assert!(stderr.ends_with("LibTorch [engine_unavailable]\n"), "{stderr}");
}
