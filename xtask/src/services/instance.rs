//! One set of servers: a folder with their data, their logs, and a state file that tells any process about them.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::files::{create_folder, random, remove_folder, write_private};
use super::host::Programs;
use super::process::{self, Launch, Process, tail};
use super::{Kind, postgres, probe, rabbitmq, redis};

const STATE: &str = "state.json";
/// How long a server may take until it answers. A busy machine needs a minute for RabbitMQ.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);
/// Another process may take a free port before the server does.
const ATTEMPTS: u32 = 3;

/// A folder of servers. Cheap to copy; everything it knows is in the folder.
#[derive(Clone)]
pub(super) struct Instance {
    dir: PathBuf,
}

/// The state file.
#[derive(Default, Serialize, Deserialize)]
struct State {
    /// The process without which the servers are not needed.
    owner: Option<u32>,
    servers: Vec<Server>,
}

/// A server that was started.
#[derive(Clone, Serialize, Deserialize)]
struct Server {
    kind: Kind,
    port: u16,
    password: String,
    data: PathBuf,
    log: PathBuf,
    launches: Vec<Launch>,
    /// Of the launches, in their order.
    processes: Vec<Process>,
}

impl Instance {
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Starts those of `kinds` that do not run.
    pub(super) fn start(&self, kinds: &[Kind], owner: Option<u32>) -> Result<()> {
        create_folder(&self.dir)?;
        let _lock = self.lock()?;
        let mut state = self.read()?;
        state.owner = owner;
        let wanted: Vec<Kind> = kinds.iter().copied().filter(|kind| !state.runs(*kind)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let programs = Programs::bring(&wanted)?;
        let mut waiting = Vec::new();
        for kind in wanted {
            self.discard(&mut state, kind)?;
            waiting.push(kind);
            self.begin(&mut state, kind, &programs)?;
        }
        for kind in waiting {
            self.finish(&mut state, kind, &programs)?;
        }
        Ok(())
    }

    /// Starts a server's processes; the state file knows them before this returns.
    fn begin(&self, state: &mut State, kind: Kind, programs: &Programs) -> Result<()> {
        let server = Server::prepare(kind, &self.dir, programs)?;
        state.servers.push(server);
        self.launch(state, kind)
    }

    fn launch(&self, state: &mut State, kind: Kind) -> Result<()> {
        let server = state.server(kind)?;
        server.processes.clear();
        for index in 0..server.launches.len() {
            let server = state.server(kind)?;
            let process = server.launches[index].spawn();
            server.processes.push(process.with_context(|| format!("starting {}", kind.name()))?);
            self.write(state)?;
        }
        Ok(())
    }

    /// Waits until a server answers; one that ended is started again on other ports.
    fn finish(&self, state: &mut State, kind: Kind, programs: &Programs) -> Result<()> {
        for attempt in 1..=ATTEMPTS {
            let server = state.server(kind)?;
            match server.wait_until_ready() {
                Ok(()) => break,
                Err(error) if attempt == ATTEMPTS || server.processes.iter().all(|one| one.is_alive()) => {
                    return Err(error);
                }
                Err(_) => {
                    self.discard(state, kind)?;
                    self.begin(state, kind, programs)?;
                }
            }
        }
        Ok(())
    }

    /// Stops every server and removes the folder.
    pub(super) fn stop(&self) -> Result<()> {
        if !self.dir.exists() {
            return Ok(());
        }
        let lock = self.lock()?;
        let mut state = self.read()?;
        let mut failure = None;
        for kind in state.servers.iter().map(|server| server.kind).collect::<Vec<_>>() {
            if let Err(error) = self.discard(&mut state, kind) {
                failure = Some(error);
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        drop(lock);
        remove_folder(&self.dir)
    }

    /// Ends a server without care for its data, and removes that.
    fn discard(&self, state: &mut State, kind: Kind) -> Result<()> {
        let Some(index) = state.servers.iter().position(|server| server.kind == kind) else { return Ok(()) };
        let server = &state.servers[index];
        server.end(server.discard_signal())?;
        remove_folder(&server.data)?;
        state.servers.remove(index);
        self.write(state)
    }

    /// Stops a server in good order, if it runs, and starts it on the same port.
    pub(super) fn restart(&self, kind: Kind, wipe: bool) -> Result<()> {
        let _lock = self.lock()?;
        let mut state = self.read()?;
        let server = state.server(kind)?;
        server.end(server.stop_signal())?;
        if wipe {
            let programs = Programs::bring(&[kind])?;
            remove_folder(&server.data)?;
            server.fill(&programs)?;
        }
        self.launch(&mut state, kind)?;
        state.server(kind)?.wait_until_ready()
    }

    /// Ends a server as a crash would.
    pub(super) fn kill(&self, kind: Kind) -> Result<()> {
        let _lock = self.lock()?;
        self.read()?.server(kind)?.end(Signal::KILL)
    }

    /// The variables that name the servers which run.
    pub(super) fn environment(&self) -> Result<Vec<(String, String)>> {
        let running = self.report()?.into_iter();
        Ok(running.filter_map(|(kind, url)| Some((kind.variable().to_owned(), url?))).collect())
    }

    /// Every server with its URL, if it runs.
    pub(super) fn report(&self) -> Result<Vec<(Kind, Option<String>)>> {
        let state = self.read()?;
        let url = |kind| {
            let server = state.servers.iter().find(|server| server.kind == kind && server.is_alive())?;
            Some(server.url())
        };
        Ok(Kind::ALL.map(|kind| (kind, url(kind))).to_vec())
    }

    fn lock(&self) -> Result<File> {
        let folder = File::open(&self.dir)
            .with_context(|| format!("opening {}: no servers were started there", self.dir.display()))?;
        folder.lock().with_context(|| format!("locking {}", self.dir.display()))?;
        Ok(folder)
    }

    fn read(&self) -> Result<State> {
        let path = self.dir.join(STATE);
        match fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("reading {} as JSON", path.display()))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Replaces the state file as a whole, since `report` reads it without the lock.
    fn write(&self, state: &State) -> Result<()> {
        let path = self.dir.join(STATE);
        let text = serde_json::to_vec_pretty(state).context("writing the state as JSON")?;
        let partial = self.dir.join("state.json.partial");
        write_private(&partial, &text)?;
        fs::rename(&partial, &path).with_context(|| format!("renaming {}", partial.display()))
    }
}

impl State {
    fn runs(&self, kind: Kind) -> bool {
        self.servers.iter().any(|server| server.kind == kind && server.is_alive())
    }

    fn server(&mut self, kind: Kind) -> Result<&mut Server> {
        let server = self.servers.iter_mut().find(|server| server.kind == kind);
        server.with_context(|| format!("{} was not started there", kind.name()))
    }
}

impl Server {
    fn prepare(kind: Kind, dir: &Path, programs: &Programs) -> Result<Self> {
        let port = probe::free_port()?;
        let data = match kind {
            Kind::Postgres => postgres::data_folder(dir)?,
            Kind::Rabbitmq | Kind::Redis => dir.join(kind.name()),
        };
        let log = dir.join(format!("{}.log", kind.name()));
        let launches = match kind {
            Kind::Postgres => postgres::launches(programs, &data, &log, port)?,
            Kind::Rabbitmq => {
                let (epmd, distribution) = (probe::free_port()?, probe::free_port()?);
                let ports = rabbitmq::Ports { amqp: port, epmd, distribution };
                rabbitmq::launches(programs, &data, &log, ports)?
            }
            Kind::Redis => redis::launches(programs, &data, &log)?,
        };
        let password = password()?;
        let server = Self { kind, port, password, data, log, launches, processes: Vec::new() };
        server.fill(programs)?;
        Ok(server)
    }

    /// Lays out the data folder of a server that was never started.
    fn fill(&self, programs: &Programs) -> Result<()> {
        match self.kind {
            Kind::Postgres => postgres::prepare(programs, &self.data, &self.log, &self.password),
            Kind::Rabbitmq => rabbitmq::prepare(&self.data, self.port, &self.password),
            Kind::Redis => redis::prepare(&self.data, self.port, &self.password),
        }
    }

    fn url(&self) -> String {
        match self.kind {
            Kind::Postgres => postgres::url(self.port, &self.password),
            Kind::Rabbitmq => rabbitmq::url(self.port, &self.password),
            Kind::Redis => redis::url(self.port, &self.password),
        }
    }

    fn is_alive(&self) -> bool {
        self.processes.len() == self.launches.len() && self.processes.iter().all(|process| process.is_alive())
    }

    fn wait_until_ready(&self) -> Result<()> {
        let ready = match self.kind {
            Kind::Postgres => probe::postgres,
            Kind::Rabbitmq => probe::rabbitmq,
            Kind::Redis => probe::redis,
        };
        let start = Instant::now();
        while !ready(self.port) {
            if !self.is_alive() {
                bail!("{} ended at once; its log ends:\n{}", self.kind.name(), tail(&self.log));
            }
            if start.elapsed() > PATIENCE {
                bail!("{} does not answer; its log ends:\n{}", self.kind.name(), tail(&self.log));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// The last launch is the server; what it needs ends after it.
    fn end(&self, signal: Signal) -> Result<()> {
        self.processes.iter().rev().try_for_each(|process| process.end(signal))
    }

    fn stop_signal(&self) -> Signal {
        match self.kind {
            Kind::Postgres => Signal::INT,
            Kind::Rabbitmq | Kind::Redis => Signal::TERM,
        }
    }

    /// PostgreSQL leaves shared memory behind when it is killed.
    fn discard_signal(&self) -> Signal {
        match self.kind {
            Kind::Postgres => Signal::QUIT,
            Kind::Rabbitmq | Kind::Redis => Signal::KILL,
        }
    }
}

/// Stops the instances below `folder` whose owner is gone.
pub(super) fn sweep(folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let instance = Instance::at(entry.with_context(|| format!("reading {}", folder.display()))?.path());
        if instance.read()?.owner.is_some_and(|owner| !process::exists(owner)) {
            eprintln!("{} was left behind and is stopped", instance.dir.display());
            instance.stop()?;
        }
    }
    Ok(())
}

/// Keeps other users of the machine out.
fn password() -> Result<String> {
    Ok(random::<12>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
