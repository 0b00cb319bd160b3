//! Running other programs: what is run is printed, and a failure names it.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Prints and runs a command on this terminal; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| format!("starting `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed with {status}");
    }
    Ok(())
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
