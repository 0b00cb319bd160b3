//! `retouch migrate`, `audit` and `doctor` as an operator uses them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use retouch_bootstrap::backends::Process;
use retouch_bootstrap::{Settings, stores};
use retouch_ports::{JobStore, SystemClock, SystemIds};
use retouch_testkit::job_store::desk::Desk;
use serde_json::Value;

/// A command on an installation that keeps everything in `folder`.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retouch"));
    command.args(arguments).current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RETOUCH_")) {
        command.env_remove(name);
    }
    command
}

fn retouch(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(folder, arguments).envs(variables.iter().copied()).output().expect("starts")
}

fn code(run: &Output) -> Option<i32> {
    run.status.code()
}

fn stdout(run: &Output) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned()
}

fn stderr(run: &Output) -> String {
    String::from_utf8_lossy(&run.stderr).into_owned()
}

async fn open(folder: &Path) -> Arc<dyn JobStore> {
    let url = format!("sqlite:{}", folder.join("retouch-data/jobs.db").display());
    let settings = Settings::load(None, &|name| (name == "RETOUCH_STORE_URL").then(|| url.clone()));
    let none = |_: &str| None;
    let process = Process { clock: Arc::new(SystemClock), ids: Arc::new(SystemIds), variable: &none };
    stores::store(&settings.expect("settings").store, &process).await.expect("a store")
}

#[tokio::test]
async fn the_account_is_drawn_up_and_a_contradiction_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = retouch(folder.path(), &["audit"], &[]);
    assert_eq!(code(&run), Some(69), "{}", stderr(&run));
    assert!(stderr(&run).contains("`retouch migrate`"), "{}", stderr(&run));
    for _ in 0..2 {
        assert_eq!(code(&retouch(folder.path(), &["migrate"], &[])), Some(0));
    }
    let desk = Desk::new(open(folder.path()).await);
    let (batch, _) = desk.submit(3).await;
    let runs = desk.start().await;
    desk.commit(&[runs[0].fence]).await;
    let run = retouch(folder.path(), &["audit", "--batches"], &[]);
    let equation = "accepted 3 = succeeded 1 + failed 0 + canceled 0 + expired 0 + live 2";
    let tenant = desk.tenant;
    let expected = format!(
        "tenant {tenant}: 1 batches, {equation}\nbatch {batch} of tenant {tenant} is open: {equation}\n\
         1 batches and 3 jobs compared, 0 contradictions\n"
    );
    assert_eq!((code(&run), stdout(&run)), (Some(0), expected), "{}", stderr(&run));

    drop(desk);
    let damage = "import sqlite3; db = sqlite3.connect('retouch-data/jobs.db'); \
                  db.execute(\"update jobs set output = null where state = 'succeeded'\"); db.commit()";
    let damaged = Command::new("python3").args(["-c", damage]).current_dir(folder.path()).output();
    assert!(damaged.expect("python3 starts").status.success());
    let run = retouch(folder.path(), &["audit", "--json"], &[]);
    assert_eq!(code(&run), Some(4), "{}", stderr(&run));
    let report: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(report["findings"][0]["code"], "output_wrong", "{report}");
    assert_eq!(report["tenants"][0]["jobs"]["accepted"], 3, "{report}");
}

#[test]
fn the_doctor_says_what_is_wrong_with_which_backend() {
    let folder = tempfile::tempdir().expect("a folder");
    retouch(folder.path(), &["migrate"], &[]);
    let run = retouch(folder.path(), &["doctor"], &[]);
    assert_eq!(code(&run), Some(0), "{}", stdout(&run));
    assert_eq!(stdout(&run).lines().filter(|line| line.ends_with(" can be used")).count(), 4);
    let wrong = [
        ("RETOUCH_STORE_URL", "postgres://me:hunter2@127.0.0.1:1/db"),
        ("RETOUCH_QUEUE_URL", "kafka://me:hunter2@host"),
        ("RETOUCH_LIVE_URL", "redis://:hunter2@127.0.0.1:1/0"),
    ];
    let run = retouch(folder.path(), &["doctor", "--json"], &wrong);
    assert_eq!(code(&run), Some(69), "{}", stdout(&run));
    assert!(!stdout(&run).contains("hunter2"), "{}", stdout(&run));
    let report: Value = serde_json::from_slice(&run.stdout).expect("JSON");
    let backends = report["backends"].as_array().expect("a list");
    let codes: Vec<&str> =
        backends.iter().map(|backend| backend["error"]["code"].as_str().unwrap_or("usable")).collect();
    assert_eq!(codes, ["unavailable", "unknown_backend", "usable", "unavailable"], "{report}");
}

#[test]
fn a_scheduler_runs_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = retouch(folder.path(), &["scheduler"], &[]);
    assert_eq!(code(&run), Some(69), "{}", stderr(&run));
    assert!(stderr(&run).contains("`retouch migrate`"), "{}", stderr(&run));
    let run = retouch(folder.path(), &["scheduler"], &[("RETOUCH_SCHEDULER_SHARE_OF", "2")]);
    assert_eq!(code(&run), Some(2), "{}", stderr(&run));

    retouch(folder.path(), &["migrate"], &[]);
    let mut scheduler =
        command(folder.path(), &["scheduler"]).stderr(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(scheduler.stderr.take().expect("piped")).lines();
    let running = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("the scheduler runs")));
    assert!(running.is_some());
    let pid = rustix::process::Pid::from_child(&scheduler);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(scheduler.wait().expect("it ended").success(), "{rest:?}");
}

#[test]
fn settings_that_cannot_be_used_are_the_callers_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    for (variables, code_of) in [
        ([("RETOUCH_STORE_CONNECTIONS", "many")], "settings_invalid"),
        ([("RETOUCH_CONFIG", "/nonexistent.toml")], "settings_invalid"),
        ([("RETOUCH_STORE_URL", "mysql://host/db")], "unknown_backend"),
        ([("RETOUCH_STORE_URL", "sqlite:")], "invalid"),
    ] {
        let run = retouch(folder.path(), &["migrate"], &variables);
        assert_eq!(code(&run), Some(2), "{}", stderr(&run));
        assert!(stderr(&run).ends_with(&format!("[{code_of}]\n")), "{}", stderr(&run));
    }
}
