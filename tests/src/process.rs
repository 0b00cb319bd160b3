//! Processes that tests start, and what befalls them: also at named points of their own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use retouch_ports::{Clock, SystemClock};
use retouch_testkit::case::soon;
use rustix::process::{Pid, Signal, kill_process};

use crate::site::Site;

/// What befalls a process at a named point: `NAME=kill@3` kills it when it gets there the third time, `NAME=stop@1` freezes
/// it.
pub const POINTS: &str = "RETOUCH_TEST_POINTS";

struct Point {
    name: String,
    signal: Signal,
    left: AtomicU64,
}

static POINTS_SET: Mutex<Vec<Point>> = Mutex::new(Vec::new());

/// Heeds [`POINTS`].
///
/// # Panics
/// If it cannot be read.
pub fn heed_points() {
    let Ok(text) = std::env::var(POINTS) else { return };
    let point = |text: &str| {
        let (name, what) = text.split_once('=')?;
        let (signal, count) = what.split_once('@')?;
        let signal = if signal == "kill" { Signal::KILL } else { Signal::STOP };
        Some(Point { name: name.to_owned(), signal, left: AtomicU64::new(count.parse().ok()?) })
    };
    let points: Option<Vec<Point>> = text.split(',').map(point).collect();
    *POINTS_SET.lock().unwrap_or_else(PoisonError::into_inner) = points.expect("points as NAME=kill@COUNT");
    #[cfg(debug_assertions)]
    retouch_ports::failpoint::set_hook(reached);
}

#[cfg(debug_assertions)]
fn reached(name: &'static str) {
    let points = POINTS_SET.lock().unwrap_or_else(PoisonError::into_inner);
    let hit = points.iter().find(|point| {
        point.name == name
            && point.left.load(Ordering::Relaxed) > 0
            && point.left.fetch_sub(1, Ordering::Relaxed) == 1
    });
    let signal = hit.map(|point| point.signal);
    drop(points);
    if let Some(signal) = signal {
        signal_self(signal);
    }
}

/// Dies as by `kill -9`.
pub fn kill_self() {
    signal_self(Signal::KILL);
}

fn signal_self(signal: Signal) {
    kill_process(rustix::process::getpid(), signal).expect("a signal to this process");
}

/// The machine's time.
pub fn micros() -> i64 {
    SystemClock.now().micros()
}

/// A process of ours; it is killed when this is dropped.
pub struct Node {
    child: Child,
}

impl Node {
    /// Starts `retouch-node ROLE` at a site.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(program: &str, role: &str, site: &Site, words: &[&str], points: &str) -> Self {
        let log = std::fs::File::create(Self::log(site, role)).expect("a log");
        let mut command = Command::new(program);
        command.arg(role).args(site.words()).args(words).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        if !points.is_empty() {
            command.env(POINTS, points);
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("starting {program}: {error}"));
        Self { child }
    }

    fn log(site: &Site, role: &str) -> PathBuf {
        static LOGS: AtomicU64 = AtomicU64::new(0);
        site.folder.join(format!("{role}-{}.log", LOGS.fetch_add(1, Ordering::Relaxed)))
    }

    /// The system's number for it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as by `kill -9`, and waits for its end.
    pub fn kill(&mut self) {
        self.signal(Signal::CONT);
        self.signal(Signal::KILL);
        // It may have ended before.
        let _ = self.child.wait();
    }

    /// Freezes it.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Thaws it.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end in good order.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    pub async fn died(&mut self) {
        soon(async {
            while self.runs() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended before.
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
