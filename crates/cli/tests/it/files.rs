//! Output files: whole or not at all, and never at the cost of what was there.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};

use crate::place::{Place, RETOUCH, Run, tensors};

const EDIT: &str = "--steps 1 --seed 7 --output out.png";

/// An edit where no file may grow beyond 512 (or, in some shells, 1024) bytes; `prelude` runs before.
fn with_small_files(place: &Place, prelude: &str) -> Run {
    let mut command = place.command("sh");
    command.args(["-c", &format!("{prelude} ulimit -f 1; exec \"$0\" \"$@\""), RETOUCH]);
    Run::of(command.args(place.edit_arguments(EDIT)))
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_nothing_else() {
    let place = Place::new();
    fs::write(place.path("out.png"), "old").expect("writable");
    let before = place.listing();
    let run = with_small_files(&place, "trap '' XFSZ;");
    assert_eq!(run.status, Some(3), "{}", run.stderr);
    assert!(run.stderr.starts_with("error: cannot write out.png: File too large"), "{}", run.stderr);
    assert_eq!(fs::read(place.path("out.png")).expect("there"), b"old");
    assert_eq!(place.listing(), before);
}

#[test]
fn a_write_that_is_interrupted_leaves_the_old_file() {
    let place = Place::new();
    fs::write(place.path("out.png"), "old").expect("writable");
    // The signal arrives in the middle of the write.
    let run = with_small_files(&place, "ulimit -c 0;");
    assert_eq!((run.status, run.stdout.as_str()), (None, ""), "{}", run.stderr);
    assert_eq!(fs::read(place.path("out.png")).expect("there"), b"old");
}

#[test]
fn an_old_file_is_replaced_where_a_link_points() {
    let place = Place::new();
    fs::create_dir(place.path("elsewhere")).expect("writable");
    fs::write(place.path("elsewhere/real.png"), "old").expect("writable");
    symlink("elsewhere/real.png", place.path("out.png")).expect("writable");
    place.edit(EDIT).ok();
    assert!(fs::symlink_metadata(place.path("out.png")).expect("there").is_symlink());
    assert_eq!(place.pixels("elsewhere/real.png").dimensions(), (66, 44));
}

#[test]
fn a_pipe_is_written_to_and_not_replaced() {
    let place = Place::new();
    let pipe = place.path("dump.pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("made");
    // Open for both, so that neither side waits for the other; what is written fits its buffer.
    let mut held = File::options().read(true).write(true).open(&pipe).expect("opens");
    place.edit(&format!("{EDIT} --size 16x16 --dump dump.pipe")).ok();
    assert!(fs::symlink_metadata(&pipe).expect("there").file_type().is_fifo());
    let mut dump = vec![0; 1 << 16];
    let length = held.read(&mut dump).expect("written");
    fs::write(place.path("dump.safetensors"), &dump[..length]).expect("writable");
    assert_eq!(tensors(&place.path("dump.safetensors"))["image"].0, [1, 3, 16, 16]);
}

#[test]
fn new_files_have_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let mut command = place.command("sh");
    command.args(["-c", "umask 027; exec \"$0\" \"$@\"", RETOUCH]);
    Run::of(command.args(place.edit_arguments(EDIT))).ok();
    let mode = fs::metadata(place.path("out.png")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}
