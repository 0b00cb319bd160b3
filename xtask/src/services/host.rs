//! The server programs of this machine: found where they usually lie, or installed where that is possible.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Kind;
use super::process::User;
use crate::command;

/// Asked by package scripts whether a service may be started.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Where the programs of the wanted servers are.
pub(super) struct Programs {
    postgres: Option<PathBuf>,
    pub(super) rabbitmq_server: Option<PathBuf>,
    pub(super) epmd: Option<PathBuf>,
    pub(super) redis_server: Option<PathBuf>,
}

impl Programs {
    /// Finds the programs that `kinds` need, after installing what is missing.
    pub(super) fn bring(kinds: &[Kind]) -> Result<Self> {
        let missing = Self::find().missing(kinds);
        if !missing.is_empty() {
            install(&missing)?;
        }
        let found = Self::find();
        match &found.missing(kinds)[..] {
            [] => Ok(found),
            missing => bail!(advice(missing)),
        }
    }

    fn find() -> Self {
        Self {
            postgres: postgres_folders().into_iter().find(|folder| {
                ["initdb", "postgres"].iter().all(|program| is_program(&folder.join(program)))
            }),
            // Debian's wrapper in PATH switches users; the script itself does not.
            rabbitmq_server: first_program(
                "rabbitmq-server",
                &["/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin"],
            ),
            epmd: first_program("epmd", &["/usr/bin", "/usr/lib/erlang/bin"]),
            redis_server: first_program("redis-server", &["/usr/bin"]),
        }
    }

    fn missing(&self, kinds: &[Kind]) -> Vec<Kind> {
        let there = |kind: Kind| match kind {
            Kind::Postgres => self.postgres.is_some(),
            Kind::Rabbitmq => self.rabbitmq_server.is_some() && self.epmd.is_some(),
            Kind::Redis => self.redis_server.is_some(),
        };
        kinds.iter().copied().filter(|kind| !there(*kind)).collect()
    }

    /// A program of PostgreSQL, all of which lie in one folder.
    pub(super) fn postgres(&self, program: &str) -> Result<PathBuf> {
        let folder = self.postgres.as_ref().context("PostgreSQL was not looked for")?;
        Ok(folder.join(program))
    }
}

/// Newest version first; Debian keeps PostgreSQL's server programs out of `PATH`.
fn postgres_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path()).collect();
    folders.sort_by_key(|path| std::cmp::Reverse(number(path)));
    folders.iter_mut().for_each(|path| path.push("bin"));
    folders.extend(path_folders());
    folders
}

fn first_program(name: &str, folders: &[&str]) -> Option<PathBuf> {
    let folders = folders.iter().map(PathBuf::from).chain(path_folders());
    folders.map(|folder| folder.join(name)).find(|path| is_program(path))
}

fn path_folders() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn install(missing: &[Kind]) -> Result<()> {
    let apt = || Command::new("apt-get");
    if !is_root() || !command::succeeds(apt().arg("--version")) {
        bail!(advice(missing));
    }
    let _policy = NoServiceStarts::set()?;
    let quiet = |call: &mut Command| {
        call.env("DEBIAN_FRONTEND", "noninteractive");
        command::run(call)
    };
    quiet(apt().args(["update", "--quiet"])).with_context(|| advice(missing))?;
    let options = ["install", "--yes", "--quiet", "--no-install-recommends"];
    quiet(apt().args(options).args(packages(missing))).with_context(|| advice(missing))
}

/// While it lives, a package's scripts do not start its service on the standard port.
struct NoServiceStarts {
    set_here: bool,
}

impl NoServiceStarts {
    fn set() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { set_here: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("writing {POLICY}"))?;
        let policy = Self { set_here: true };
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("making {POLICY} executable"))?;
        Ok(policy)
    }
}

impl Drop for NoServiceStarts {
    fn drop(&mut self) {
        if self.set_here
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("{POLICY} stays and keeps services from being started by packages: {error}");
        }
    }
}

fn packages(kinds: &[Kind]) -> BTreeSet<&'static str> {
    let package = |kind: &Kind| match kind {
        Kind::Postgres => "postgresql",
        Kind::Rabbitmq => "rabbitmq-server",
        Kind::Redis => "redis-server",
    };
    kinds.iter().map(package).collect()
}

fn advice(missing: &[Kind]) -> String {
    let names: Vec<&str> = missing.iter().map(|kind| kind.name()).collect();
    let variables: Vec<&str> = missing.iter().map(|kind| kind.variable()).collect();
    let packages: Vec<&str> = packages(missing).into_iter().collect();
    format!(
        "no {} on this machine; install the packages ({} on Debian), as root let `cargo xtask services` install them, \
         or start infra/compose.yaml and set {}",
        names.join(", "),
        packages.join(" "),
        variables.join(", ")
    )
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whom PostgreSQL runs as where root asks, since it refuses to run as root.
pub(super) fn unprivileged_user() -> Result<User> {
    let accounts = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| user_in(&accounts, name))
        .context("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`")
}

fn user_in(accounts: &str, name: &str) -> Option<User> {
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2).map(str::parse);
    Some(User { uid: fields.next()?.ok()?, gid: fields.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_what_to_do() {
        let text = advice(&[Kind::Rabbitmq, Kind::Redis]);
        for part in
            ["no rabbitmq, redis", "rabbitmq-server redis-server", "compose.yaml", "RETOUCH_TEST_REDIS"]
        {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn users_are_read_by_name() {
        let accounts =
            "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:admin,,,:/var/lib/postgresql:/bin/bash\n";
        let user = user_in(accounts, "postgres").unwrap();
        assert_eq!((user.uid, user.gid), (101, 104));
        assert!(user_in(accounts, "post").is_none());
    }
}
