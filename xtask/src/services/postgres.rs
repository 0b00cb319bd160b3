//! A private PostgreSQL with its defaults for durability (`fsync` on), reached over TCP alone.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::files::{create_folder, write_private};
use super::host::{self, Programs};
use super::process::{Launch, User};

/// The URL of a server on `port`; its user may create databases.
pub(super) fn url(port: u16, password: &str) -> String {
    format!("postgres://retouch:{password}@127.0.0.1:{port}/postgres")
}

/// Where the data goes: below `dir`, or where the user that PostgreSQL runs as can reach it.
pub(super) fn data_folder(dir: &Path) -> Result<PathBuf> {
    if !host::is_root() || is_open_to_all(dir) {
        return Ok(dir.join("postgres"));
    }
    // A target folder below /root is the usual case.
    let folder = tempfile::Builder::new().prefix("retouch-postgres-").tempdir_in("/var/tmp");
    Ok(folder.context("creating a folder in /var/tmp")?.keep())
}

fn is_open_to_all(dir: &Path) -> bool {
    let open = |folder: &Path| folder.metadata().is_ok_and(|data| data.permissions().mode() & 0o001 != 0);
    dir.ancestors().all(open)
}

/// Makes an empty cluster in `data`.
pub(super) fn prepare(programs: &Programs, data: &Path, log: &Path, password: &str) -> Result<()> {
    create_folder(data)?;
    let user = if host::is_root() { Some(host::unprivileged_user()?) } else { None };
    let pwfile = data.with_extension("password");
    write_private(&pwfile, password.as_bytes())?;
    for path in [data, &pwfile] {
        give(path, user)?;
    }
    let cluster = data.join("data");
    let args =
        ["--username=retouch", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"];
    let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
    args.push(format!("--pgdata={}", cluster.display()));
    args.push(format!("--pwfile={}", pwfile.display()));
    let initdb = Launch {
        program: programs.postgres("initdb")?,
        args,
        env: Vec::new(),
        dir: data.to_owned(),
        log: log.to_owned(),
        user,
    };
    let output = initdb.command().output().context("starting initdb")?;
    fs::remove_file(&pwfile).with_context(|| format!("removing {}", pwfile.display()))?;
    if !output.status.success() {
        bail!(
            "initdb failed with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(())
}

fn give(path: &Path, user: Option<User>) -> Result<()> {
    let Some(user) = user else { return Ok(()) };
    chown(path, Some(user.uid), Some(user.gid)).with_context(|| format!("giving away {}", path.display()))
}

pub(super) fn launches(programs: &Programs, data: &Path, log: &Path, port: u16) -> Result<Vec<Launch>> {
    let settings = [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "unix_socket_directories=".to_owned(),
        "max_connections=300".to_owned(),
        // Each test has a database of its own, which autovacuum would walk through.
        "autovacuum_naptime=10min".to_owned(),
    ];
    let mut args = vec!["-D".to_owned(), data.join("data").display().to_string()];
    args.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
    let user = if host::is_root() { Some(host::unprivileged_user()?) } else { None };
    let program = programs.postgres("postgres")?;
    let (dir, log) = (data.to_owned(), log.to_owned());
    Ok(vec![Launch { program, args, env: Vec::new(), dir, log, user }])
}
