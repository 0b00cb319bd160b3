//! `cargo xtask services`: private PostgreSQL, RabbitMQ and Redis servers for tests, on free ports of the loopback.
//!
//! An [`Instance`] is a folder with a state file that says how each server was started and which process it is, so
//! that another process can restart, kill or stop it, and so that what a killed run left behind is ended by the next.

mod files;
mod host;
mod instance;
mod postgres;
mod probe;
mod process;
mod rabbitmq;
mod redis;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::{Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use self::instance::Instance;
use crate::command;
use crate::workspace::Workspace;

/// Tells tests which program restarts and kills servers: this one.
const TOOL: &str = "RETOUCH_TEST_SERVICES_TOOL";
/// Tells tests below which folder they may start servers of their own.
const FOLDER: &str = "RETOUCH_TEST_SERVICES_DIR";

/// What to do with the servers.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start the servers, and print their addresses as lines for a shell to evaluate
    Start {
        #[command(flatten)]
        place: Place,
        /// Start only this server (may be given several times)
        #[arg(long, value_name = "SERVER")]
        only: Vec<Kind>,
        /// Let the servers be ended with the next run of this command after this process is gone
        #[arg(long, value_name = "PID")]
        owner: Option<u32>,
    },
    /// Stop what `start` started and remove its data
    Stop(Place),
    /// Say which servers run and where
    Status(Place),
    /// Stop one server in good order and start it again on the same port with the same data
    Restart {
        server: Kind,
        #[command(flatten)]
        place: Place,
        /// Start it without its data
        #[arg(long)]
        wipe: bool,
    },
    /// End one server as a crash would (SIGKILL); `restart` brings it back
    Kill {
        server: Kind,
        #[command(flatten)]
        place: Place,
    },
    /// Run a command with the servers' addresses in its environment, and stop them after it
    Run {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true, value_name = "CMD")]
        line: Vec<OsString>,
    },
}

#[derive(clap::Args)]
struct Place {
    /// The folder of the servers' data [default: services/shared in the target folder]
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Place {
    fn instance(&self, workspace: &Workspace) -> Result<Instance> {
        let dir = match &self.dir {
            Some(dir) => std::path::absolute(dir).with_context(|| format!("resolving {}", dir.display()))?,
            None => folder(workspace)?.join("shared"),
        };
        Ok(Instance::at(dir))
    }
}

/// A server that tests need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Postgres,
    Rabbitmq,
    Redis,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Postgres, Self::Rabbitmq, Self::Redis];

    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Rabbitmq => "rabbitmq",
            Self::Redis => "redis",
        }
    }

    /// The environment variable that holds the server's URL.
    fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "RETOUCH_TEST_POSTGRES",
            Self::Rabbitmq => "RETOUCH_TEST_RABBITMQ",
            Self::Redis => "RETOUCH_TEST_REDIS",
        }
    }
}

/// Carries out one of the subcommands.
pub(crate) fn run(args: &Args, workspace: &Workspace) -> Result<ExitCode> {
    match &args.action {
        Action::Start { place, only, owner } => {
            let instance = place.instance(workspace)?;
            let kinds = if only.is_empty() { &Kind::ALL[..] } else { only };
            instance.start(kinds, *owner)?;
            let mut environment = instance.environment()?;
            if place.dir.is_none() {
                environment.extend(tool_environment(&folder(workspace)?)?);
            }
            for (name, value) in environment {
                println!("export {name}='{value}'");
            }
        }
        Action::Stop(place) => place.instance(workspace)?.stop()?,
        Action::Status(place) => return status(&place.instance(workspace)?),
        Action::Restart { server, place, wipe } => place.instance(workspace)?.restart(*server, *wipe)?,
        Action::Kill { server, place } => place.instance(workspace)?.kill(*server)?,
        Action::Run { line } => return run_with_services(line, workspace),
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails unless every server runs, for scripts.
fn status(instance: &Instance) -> Result<ExitCode> {
    let report = instance.report()?;
    for (kind, address) in &report {
        println!("{:<8}  {}", kind.name(), address.as_deref().unwrap_or("not running"));
    }
    let complete = report.iter().all(|(_, address)| address.is_some());
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_with_services(line: &[OsString], workspace: &Workspace) -> Result<ExitCode> {
    let services = Services::for_run(workspace)?;
    let [program, args @ ..] = line else { bail!("name a command to run") };
    let mut call = Command::new(program);
    call.args(args).envs(services.environment().iter().cloned());
    let status = command::status(&mut call)?;
    drop(services);
    Ok(match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => bail!("`{}` ended with {status}", command::line(&call)),
    })
}

fn folder(workspace: &Workspace) -> Result<PathBuf> {
    Ok(workspace.target_dir()?.join("services"))
}

/// Servers for the time of one run; they end when this is dropped, on Ctrl-C and on SIGTERM.
pub(crate) struct Services {
    environment: Vec<(String, String)>,
    own: Option<Arc<Own>>,
}

/// What this run started itself.
struct Own {
    folder: PathBuf,
    instance: Mutex<Option<Instance>>,
}

impl Own {
    /// Whoever comes second, the end of the run or a signal, waits for the first.
    fn stop(&self) {
        let mut instance = self.instance.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(instance) = instance.take()
            && let Err(error) = instance.stop()
        {
            eprintln!("stopping the test services: {error:#}");
        }
        // Tests that were killed may have left servers of their own behind.
        if let Err(error) = instance::sweep(&self.folder) {
            eprintln!("stopping what tests left running: {error:#}");
        }
    }
}

impl Services {
    /// The servers that the environment names or `start` started; private ones for those that are missing.
    pub(crate) fn for_run(workspace: &Workspace) -> Result<Self> {
        let folder = folder(workspace)?;
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        instance::sweep(&folder)?;
        let mut environment = tool_environment(&folder)?;
        let shared: Vec<_> = Instance::at(folder.join("shared")).environment()?;
        let mut missing = Vec::new();
        for kind in Kind::ALL {
            let name = kind.variable();
            match shared.iter().find(|(known, _)| known == name) {
                _ if env::var_os(name).is_some_and(|value| !value.is_empty()) => {
                    eprintln!("{}: {name} is set and used", kind.name());
                }
                Some(entry) => environment.push(entry.clone()),
                None => missing.push(kind),
            }
        }
        if missing.is_empty() {
            return Ok(Self { environment, own: None });
        }
        let instance = Instance::at(folder.join(format!("run-{}", std::process::id())));
        let own = Arc::new(Own { folder, instance: Mutex::new(Some(instance.clone())) });
        let mut services = Self { environment, own: Some(own.clone()) };
        // Before the start, which takes seconds: what it has begun must end too.
        ctrlc::set_handler(move || {
            command::terminate_running();
            own.stop();
            std::process::exit(130);
        })
        .context("listening for Ctrl-C")?;
        instance.start(&missing, Some(std::process::id()))?;
        services.environment.extend(instance.environment()?);
        Ok(services)
    }

    /// What tests find the servers by.
    pub(crate) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            own.stop();
        }
    }
}

fn tool_environment(folder: &Path) -> Result<Vec<(String, String)>> {
    let tool = env::current_exe().context("finding the path of xtask itself")?;
    let text =
        |path: &Path| path.to_str().map(str::to_owned).with_context(|| format!("{path:?} is not UTF-8"));
    Ok(vec![(TOOL.to_owned(), text(&tool)?), (FOLDER.to_owned(), text(folder)?)])
}
