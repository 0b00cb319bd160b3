//! Server processes that outlive the one that started them: started in a group of their own, known again by pid and
//! time of start, so that a pid that was given out anew is never signalled.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

/// How long a server may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// How a process is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    /// Replaces the environment, but for `PATH`.
    pub(super) env: Vec<(String, String)>,
    /// The working folder.
    pub(super) dir: PathBuf,
    /// Where its output goes.
    pub(super) log: PathBuf,
    pub(super) user: Option<User>,
}

/// Whom a process runs as, where that is not the one who starts it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Launch {
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(&self.dir).env_clear();
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| path.into()));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }

    /// Starts it in a process group of its own, which no Ctrl-C of the terminal reaches.
    pub(super) fn spawn(&self) -> Result<Process> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("opening {}", self.log.display()))?;
        let errors = log.try_clone().with_context(|| format!("opening {}", self.log.display()))?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("starting {}", self.program.display()))?;
        let pid = child.id();
        let started = start_time(pid).with_context(|| format!("{} ended at once", self.program.display()))?;
        Ok(Process { pid, started })
    }
}

/// A process that was started as the leader of its group.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Process {
    pid: u32,
    /// Ticks since boot, from `/proc`.
    started: u64,
}

impl Process {
    pub(super) fn is_alive(self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Signals the process and everything in its group.
    pub(super) fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.is_alive()) {
            // It may end between the look and the signal, which is what was wanted.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Asks it to end, waits, and kills it if it does not.
    pub(super) fn end(self, signal: Signal) -> Result<()> {
        self.signal(signal);
        if !self.wait(PATIENCE) {
            self.signal(Signal::KILL);
            if !self.wait(PATIENCE) {
                bail!("process {} does not end", self.pid);
            }
        }
        Ok(())
    }

    fn wait(self, patience: Duration) -> bool {
        let start = Instant::now();
        while self.is_alive() {
            if start.elapsed() > patience {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }
}

/// Whether a process of that id is there at all.
pub(super) fn exists(pid: u32) -> bool {
    start_time(pid).is_some()
}

/// When a process started; `None` if it is gone or only waits to be collected.
fn start_time(pid: u32) -> Option<u64> {
    start_time_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of a `/proc/PID/stat`. The name in field 2 may hold spaces and brackets.
fn start_time_of(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The end of a log, for an error message.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let rest = "1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 10";
        assert_eq!(start_time_of(&format!("7 (a (b) c) S {rest}")), Some(98765));
        assert_eq!(start_time_of(&format!("7 (x) Z {rest}")), None);
        assert_eq!(start_time_of(""), None);
    }

    #[test]
    fn a_process_is_known_by_pid_and_start() {
        let own = Process { pid: std::process::id(), started: start_time(std::process::id()).unwrap() };
        assert!(own.is_alive());
        assert!(!Process { started: own.started + 1, ..own }.is_alive());
    }
}
