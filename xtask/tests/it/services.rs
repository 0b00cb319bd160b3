//! `cargo xtask services` with a real Redis, the quickest of the servers.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::machine::Run;

struct Services {
    dir: TempDir,
}

impl Services {
    fn call(&self, words: &[&str]) -> Run {
        let mut call = Command::new(env!("CARGO_BIN_EXE_xtask"));
        call.arg("services").args(words).arg("--dir").arg(self.dir.path().join("servers"));
        Run::from(call.output().unwrap())
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        drop(self.call(&["stop"]));
    }
}

fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.rsplit_once('@').unwrap().1.trim_end_matches('/')).unwrap()
}

/// The server's answer to one line.
fn ask(url: &str, line: &str) -> String {
    let mut stream = connect(url);
    let password = url.strip_prefix("redis://:").unwrap().split_once('@').unwrap().0;
    write!(stream, "AUTH {password}\r\n{line}\r\n").unwrap();
    BufReader::new(stream).lines().nth(1).unwrap().unwrap()
}

#[test]
fn a_server_is_started_restarted_killed_and_stopped() {
    let services = Services { dir: tempfile::tempdir().unwrap() };
    let started = services.call(&["start", "--only", "redis"]);
    started.succeeds_saying("export RETOUCH_TEST_REDIS='redis://:");
    let url = started.said.split('\'').nth(1).unwrap().to_owned();
    assert_eq!(ask(&url, "PING"), "+PONG");

    // A second start takes what runs.
    services.call(&["start", "--only", "redis"]).succeeds_saying(&url);
    // Not all three servers run.
    services.call(&["status"]).fails_saying(&url);

    services.call(&["kill", "redis"]).succeeds_saying("");
    services.call(&["status"]).fails_saying("redis     not running");
    services.call(&["restart", "redis"]).succeeds_saying("");
    assert_eq!(ask(&url, "PING"), "+PONG");

    let mut connected = connect(&url);
    connected.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    services.call(&["stop"]).succeeds_saying("");
    assert!(!services.dir.path().join("servers").exists());
    // Another process may listen on the port by now: what ended is the server that answered.
    match connected.read(&mut [0]) {
        Ok(read) => assert_eq!(read, 0),
        // It had not even been accepted.
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn a_server_that_was_never_started_is_named() {
    let services = Services { dir: tempfile::tempdir().unwrap() };
    services.call(&["restart", "redis"]).fails_saying("no servers were started there");
    services.call(&["kill", "mysql"]).fails_saying("invalid value 'mysql'");
}
