//! A private RabbitMQ: a node name, a cookie, an Erlang port mapper and data of its own, and no plugins.

use std::path::Path;

use anyhow::{Context, Result};

use super::files::{create_folder, write_private};
use super::host::Programs;
use super::process::Launch;

/// The ports of one broker.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) amqp: u16,
    /// Of the Erlang port mapper.
    pub(super) epmd: u16,
    /// Of Erlang's distribution.
    pub(super) distribution: u16,
}

pub(super) fn url(port: u16, password: &str) -> String {
    format!("amqp://retouch:{password}@127.0.0.1:{port}/%2f")
}

/// Writes its configuration into a folder that only its owner can read, for it holds the password.
pub(super) fn prepare(data: &Path, port: u16, password: &str) -> Result<()> {
    create_folder(data)?;
    let write = |name: &str, text: &str| write_private(&data.join(name), text.as_bytes());
    write("enabled_plugins", "[].\n")?;
    write("rabbitmq-env.conf", "")?;
    write(
        "rabbitmq.conf",
        &format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\ndefault_user = retouch\ndefault_pass = {password}\n\
             log.console = true\nlog.console.level = warning\nlog.file = false\n"
        ),
    )
}

pub(super) fn launches(programs: &Programs, data: &Path, log: &Path, ports: Ports) -> Result<Vec<Launch>> {
    let server = programs.rabbitmq_server.clone().context("RabbitMQ was not looked for")?;
    let epmd = programs.epmd.clone().context("Erlang's port mapper was not looked for")?;
    let path = |name: &str| data.join(name).display().to_string();
    let env = [
        ("HOME", data.display().to_string()),
        ("LANG", "C.UTF-8".to_owned()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("ERL_EPMD_PORT", ports.epmd.to_string()),
        ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
        ("RABBITMQ_CONF_ENV_FILE", path("rabbitmq-env.conf")),
        ("RABBITMQ_DIST_PORT", ports.distribution.to_string()),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", path("config")),
        ("RABBITMQ_LOG_BASE", path("log")),
        ("RABBITMQ_MNESIA_BASE", path("mnesia")),
        ("RABBITMQ_NODENAME", format!("retouch-{}@localhost", ports.amqp)),
        ("RABBITMQ_PID_FILE", path("pid")),
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "+S 2:2 -kernel inet_dist_use_interface {127,0,0,1}".to_owned(),
        ),
        // The start script then becomes the server, instead of waiting for it.
        ("RUNNING_UNDER_SYSTEMD", "1".to_owned()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let mapper = ["-port", &ports.epmd.to_string(), "-address", "127.0.0.1"].map(str::to_owned).to_vec();
    let launch = |program, args, env| Launch {
        program,
        args,
        env,
        dir: data.to_owned(),
        log: log.to_owned(),
        user: None,
    };
    // First, or the server would start one that outlives it.
    Ok(vec![launch(epmd, mapper, Vec::new()), launch(server, Vec::new(), env)])
}
