//! A long-lived process that answers one JSON command a line with one JSON line.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;

/// The process; it ends when this is dropped.
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: String,
    /// What it said of itself when it was ready.
    pub(super) greeting: Value,
}

impl Worker {
    /// Starts `command` and waits until it is ready for commands.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let line = command::line(command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting `{line}`"))?;
        let input = child.stdin.take().context("its standard input is piped")?;
        let output = BufReader::new(child.stdout.take().context("its standard output is piped")?);
        let mut worker = Self { child, input, output, line, greeting: Value::Null };
        worker.greeting = worker.answer()?;
        Ok(worker)
    }

    /// Sends a command; the seconds of its repetitions.
    pub(super) fn ask(&mut self, command: &Value) -> Result<Vec<f64>> {
        writeln!(self.input, "{command}").with_context(|| format!("sending {command} to `{}`", self.line))?;
        let answer = self.answer().with_context(|| format!("asking for {command}"))?;
        let seconds = answer["seconds"].as_array().and_then(|all| all.iter().map(Value::as_f64).collect());
        seconds.with_context(|| format!("`{}` answered {answer}, which has no seconds", self.line))
    }

    fn answer(&mut self) -> Result<Value> {
        let mut text = String::new();
        self.output.read_line(&mut text).with_context(|| format!("reading from `{}`", self.line))?;
        if text.is_empty() {
            bail!("`{}` ended without an answer; its own words are above", self.line);
        }
        serde_json::from_str(&text).with_context(|| format!("`{}` answered {text:?}", self.line))
    }

    /// The most memory that it ever held, in bytes.
    pub(super) fn peak_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        peak_of(&status).with_context(|| format!("{path} has no VmHWM"))
    }

    /// The CPU time that it has used, over all threads, in seconds.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let ticks = ticks_of(&stat).with_context(|| format!("{path} has no CPU times"))?;
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has nothing to save, and it may be in the middle of a command.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `VmHWM` of a `/proc/PID/status`, in bytes.
fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// User and system time of a `/proc/PID/stat`, in clock ticks.
fn ticks_of(stat: &str) -> Option<u64> {
    // The name in parentheses may hold anything; user time is field 14, counted from 1, and the name is field 2.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Worker> {
        Worker::start(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn a_worker_greets_and_answers() {
        let mut worker =
            shell("echo '{\"threads\":2}'; read line; echo '{\"seconds\":[0.5,1]}'; read line").unwrap();
        assert_eq!(worker.greeting["threads"], 2);
        assert_eq!(worker.ask(&Value::Null).unwrap(), [0.5, 1.0]);
        assert!(worker.peak_bytes().unwrap() > 0);
        assert!(worker.cpu_seconds().unwrap() < 10.0);
    }

    #[test]
    fn a_worker_that_ends_is_named() {
        let error = shell("exit 3").err().unwrap();
        assert!(error.to_string().contains("`sh -c 'exit 3'` ended"), "{error}");
    }

    #[test]
    fn proc_files_are_read_by_field() {
        assert_eq!(peak_of("VmPeak:\t 9 kB\nVmHWM:\t 12 kB\n"), Some(12 * 1024));
        assert_eq!(ticks_of("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 500 70 0 0"), Some(570));
        assert_eq!(ticks_of("nonsense"), None);
    }
}
