//! A whole process, from start to exit: its wall time and its peak memory.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use wait4::Wait4;

use crate::command;

/// What a process took.
pub(super) struct Taken {
    pub(super) seconds: f64,
    /// The most memory that it, or a process that it waited for, ever held.
    pub(super) peak_bytes: u64,
}

/// Runs `command`, which must succeed, with its standard output dropped.
pub(super) fn run(command: &mut Command) -> Result<Taken> {
    let line = command::line(command);
    let start = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let used = child.and_then(Wait4::wait4).with_context(|| format!("running `{line}`"))?;
    let seconds = start.elapsed().as_secs_f64();
    if !used.status.success() {
        bail!("`{line}` failed with {}", used.status);
    }
    Ok(Taken { seconds, peak_bytes: used.rusage.maxrss })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_time_and_memory() {
        let taken = run(&mut Command::new("true")).unwrap();
        assert!(taken.seconds > 0.0 && taken.peak_bytes > 0);
    }

    #[test]
    fn a_failure_is_named() {
        let error = run(Command::new("sh").args(["-c", "exit 4"])).err().unwrap();
        assert!(error.to_string().starts_with("`sh -c 'exit 4'` failed"), "{error}");
    }
}
