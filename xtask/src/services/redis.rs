//! A private Redis that keeps nothing on disk.

use std::path::Path;

use anyhow::{Context, Result};

use super::files::{create_folder, write_private};
use super::host::Programs;
use super::process::Launch;

pub(super) fn url(port: u16, password: &str) -> String {
    format!("redis://:{password}@127.0.0.1:{port}/")
}

/// Writes its configuration, which only its owner can read, for it holds the password.
pub(super) fn prepare(data: &Path, port: u16, password: &str) -> Result<()> {
    create_folder(data)?;
    let path = data.join("redis.conf");
    let text = format!(
        "bind 127.0.0.1\nport {port}\ndir {}\nrequirepass {password}\nsave \"\"\nappendonly no\ndaemonize no\n",
        data.display()
    );
    write_private(&path, text.as_bytes())
}

pub(super) fn launches(programs: &Programs, data: &Path, log: &Path) -> Result<Vec<Launch>> {
    let program = programs.redis_server.clone().context("Redis was not looked for")?;
    let args = vec![data.join("redis.conf").display().to_string()];
    let (dir, log) = (data.to_owned(), log.to_owned());
    Ok(vec![Launch { program, args, env: Vec::new(), dir, log, user: None }])
}
