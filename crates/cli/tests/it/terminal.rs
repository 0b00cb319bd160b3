//! Progress, which only a terminal shows.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::place::{Place, RETOUCH};

/// What an edit of 6 steps writes to a standard error that is a terminal.
fn on_a_terminal(place: &Place, more: &str) -> String {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&controller).expect("granted");
    unlockpt(&controller).expect("unlocked");
    let name = ptsname(&controller, Vec::new()).expect("named").into_string().expect("UTF-8");
    let terminal = File::options().read(true).write(true).open(name).expect("opens");
    let mut command = place.command(RETOUCH);
    command.args(place.edit_arguments(&format!("--steps 6 --seed 7 --output out.png {more}")));
    let mut child = command.stdout(Stdio::null()).stderr(terminal).spawn().expect("starts");
    // The last terminal end closes with the child, once the command lets go of its copy.
    drop(command);
    let mut controller = File::from(controller);
    let mut text = Vec::new();
    let mut part = [0; 4096];
    // Linux ends a terminal without readers by an error.
    while let Ok(length @ 1..) = controller.read(&mut part) {
        text.extend_from_slice(&part[..length]);
    }
    assert!(child.wait().expect("ends").success());
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn progress_is_drawn_on_a_terminal_only() {
    let place = Place::new();
    let shown = on_a_terminal(&place, "");
    assert!(shown.contains("/6 steps, ") && shown.contains(" steps/s, "), "{shown:?}");
    assert_eq!(on_a_terminal(&place, "--json"), "");
    // `ok` refuses anything on standard error, a pipe here.
    place.edit("--steps 6 --seed 7 --output out.png").ok();
}
