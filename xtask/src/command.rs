//! Running other programs: what is run is printed, and a failure names it.

use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// The process that [`status`] waits for.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// Prints and runs a command on this terminal; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", line(command));
    let status = status(command)?;
    if !status.success() {
        bail!("`{}` failed with {status}", line(command));
    }
    Ok(())
}

/// Runs a command on this terminal; [`terminate_running`] ends it.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    let mut child = command.spawn().with_context(|| format!("starting `{}`", line(command)))?;
    set_running(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
    let status = child.wait().with_context(|| format!("waiting for `{}`", line(command)));
    set_running(None);
    status
}

fn set_running(pid: Option<Pid>) {
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = pid;
}

/// Asks the command that runs just now to end.
pub(crate) fn terminate_running() {
    if let Some(pid) = *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) {
        // It may just have ended by itself.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Whether a command starts and exits with 0; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_quotes_what_a_shell_would_split() {
        let mut command = Command::new("c++");
        command.args(["-o", "a b", "", "-Wl,-rpath,$ORIGIN"]);
        assert_eq!(line(&command), "c++ -o 'a b' '' '-Wl,-rpath,$ORIGIN'");
    }

    #[test]
    fn a_failing_command_is_named() {
        let error = run(Command::new("false").arg("now")).unwrap_err();
        assert!(error.to_string().starts_with("`false now` failed"), "{error}");
    }

    #[test]
    fn a_missing_program_does_not_succeed() {
        assert!(!succeeds(&mut Command::new("/nonexistent/program")));
        assert!(succeeds(&mut Command::new("true")));
    }
}
