//! `retouch up`, and its parts as processes of their own, as a user has them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use retouch_imaging::{Limits, RgbImage, decode};
use retouch_testkit::case::server_url;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::place::{INSTRUCTION, Place, RETOUCH, Run, golden};

/// A caller of an API.
pub struct Client {
    pub address: String,
    pub key: String,
}

impl Client {
    /// The status and the body of an answer. HTTP/1.0: its end is that of the connection.
    fn call(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let (key, length) = (&self.key, body.len());
        let head = format!(
            "{method} {path} HTTP/1.0\r\nauthorization: Bearer {key}\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let status = String::from_utf8_lossy(&answer[9..12]).parse().expect("a status");
        (status, answer.split_off(end))
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, "", b"");
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).expect("JSON")
    }

    fn post(&self, path: &str, headers: &str, body: &Value) -> (u16, Value) {
        let headers = format!("content-type: application/json\r\n{headers}");
        let (status, body) = self.call("POST", path, &headers, body.to_string().as_bytes());
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    /// The photo, uploaded.
    pub fn photo(&self) -> Value {
        let photo = std::fs::read(golden("photo.png")).expect("committed");
        let (status, body) = self.call("POST", "/v1/files", "content-type: image/png\r\n", &photo);
        assert!([200, 201].contains(&status), "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice::<Value>(&body).expect("JSON")["id"].clone()
    }

    /// An edit of the photo from request to image.
    fn edited(&self, more: &[(&str, Value)]) -> RgbImage {
        let mut edit = edit(&self.photo());
        for (name, value) in more {
            edit[*name] = value.clone();
        }
        let (status, job) = self.post("/v1/edits", "prefer: wait=60\r\n", &edit);
        assert_eq!((status, &job["state"]), (200, &json!("succeeded")), "{job}");
        let url = job["images"][0]["url"].as_str().expect("a URL");
        let (status, image) = self.call("GET", url, "", b"");
        assert_eq!(status, 200);
        decode(&image, &Limits::default()).expect("an image").pixels
    }

    /// Waits until a batch is over.
    fn completed(&self, batch: &str) -> Value {
        loop {
            let batch = self.get(&format!("/v1/batches/{batch}?wait=30s"));
            if batch["state"] != "open" && batch["state"] != "loading" {
                return batch;
            }
        }
    }
}

fn edit(file: &Value) -> Value {
    json!({
        "image": {"file": file}, "instruction": INSTRUCTION, "model": "ip2p-euler-a", "steps": 4, "seed": 7,
    })
}

/// A service in a process of its own; ended with its owner.
pub struct Service(Child);

impl Service {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("starts"))
    }

    fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it runs");
    }

    fn ended(mut self) -> Option<i32> {
        self.0.wait().expect("it ended").code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // One that has ended already needs nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command(RETOUCH);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RETOUCH_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("RETOUCH_WORKER_DEVICE", "cpu").env("RETOUCH_WORKER_MODELS", ".");
    command
}

/// `retouch up` in this place, and a client with the key that it prints.
pub fn up(place: &Place) -> (Service, Client) {
    up_with(place, &[])
}

/// The same with these settings.
pub fn up_with(place: &Place, settings: &[(&str, &str)]) -> (Service, Client) {
    let mut command = command(place, &["up", "--json", "--listen", "127.0.0.1:0"]);
    command.envs(settings.iter().copied());
    let mut service = Service::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut line = String::new();
    BufReader::new(service.0.stdout.take().expect("piped")).read_line(&mut line).expect("it speaks");
    let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    let text = |name: &str| said[name].as_str().expect("a text").to_owned();
    let address = text("url").strip_prefix("http://").expect("a URL").to_owned();
    (service, Client { address, key: text("key") })
}

pub fn difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn one_command_serves_and_edits_as_the_engine_does() {
    let place = Place::new();
    let (service, client) = up(&place);
    let image = client.edited(&[]);
    place.edit("--steps 4 --seed 7 --output out.png").ok();
    assert!(difference(&image, &place.pixels("out.png")) <= 1);
    let (status, job) = client.post("/v1/edits", "prefer: wait=60\r\n", &{
        let mut edit = edit(&client.photo());
        edit["model"] = json!("none");
        edit
    });
    assert_eq!(
        (status, &job["state"], &job["error"]["code"]),
        (200, &json!("failed"), &json!("model_unknown"))
    );

    let run = Run::of(&mut command(&place, &["up"]));
    assert_eq!(run.status, Some(69), "{}", run.stderr);
    assert!(run.stderr.ends_with("[already_up]\n"), "{}", run.stderr);
    service.tell(Signal::TERM);
    assert_eq!(service.ended(), Some(0));
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let place = Place::new();
    let (service, client) = up(&place);
    let file = client.photo();
    let rows: Vec<Value> = (0..8).map(|seed| json!({"key": seed.to_string(), "seed": seed})).collect();
    let submission = json!({"jobs": rows, "defaults": {
        "image": {"file": file}, "instruction": INSTRUCTION, "model": "ip2p-euler-a", "steps": 30,
    }});
    let headers = "idempotency-key: once\r\n";
    let (status, first) = client.post("/v1/batches", headers, &submission);
    assert_eq!(status, 202, "{first}");
    let batch = first["id"].as_str().expect("an id").to_owned();
    service.tell(Signal::KILL);
    assert_eq!(service.ended(), None);

    let (service, again) = up(&place);
    assert_eq!(again.key, client.key);
    let (status, replayed) = again.post("/v1/batches", headers, &submission);
    assert_eq!((status, &replayed), (202, &first));
    let over = again.completed(&batch);
    assert_eq!((&over["state"], &over["counts"]["succeeded"]), (&json!("completed"), &json!(8)), "{over}");
    service.tell(Signal::TERM);
    assert_eq!(service.ended(), Some(0));
    let audit = Run::of(&mut command(&place, &["audit", "--json"]));
    assert_eq!(audit.status, Some(0), "{}", audit.stdout);
    assert_eq!(audit.json()["findings"], json!([]));
}

#[test]
fn api_scheduler_and_worker_are_processes_of_a_cluster() {
    let place = Place::new();
    let variables = [
        ("RETOUCH_STORE_URL", server_url("RETOUCH_TEST_POSTGRES")),
        ("RETOUCH_QUEUE_URL", server_url("RETOUCH_TEST_RABBITMQ")),
        ("RETOUCH_LIVE_URL", server_url("RETOUCH_TEST_REDIS")),
        ("RETOUCH_QUEUE_PREFIX", format!("cli-{}", std::process::id())),
        ("RETOUCH_LIVE_PREFIX", format!("cli-{}", std::process::id())),
        ("RETOUCH_API_KEY_SECRET", "0123456789abcdef0123456789abcdef".to_owned()),
    ];
    let cluster = |arguments: &[&str]| {
        let mut command = command(&place, arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command
    };
    assert_eq!(Run::of(&mut cluster(&["migrate"])).status, Some(0));
    let made = Run::of(&mut cluster(&["key", "new", "--scope", "write", "--json"])).json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();

    let mut api = cluster(&["api", "--listen", "127.0.0.1:0"]);
    let mut api = Service::start(api.env("NO_COLOR", "1").stderr(Stdio::piped()));
    let mut lines = BufReader::new(api.0.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("the API listens")).expect("it listens");
    let (_, address) = line.split_once("http://").expect("a URL");
    let address = address.split_whitespace().next().expect("an address").to_owned();
    let _draining = std::thread::spawn(move || lines.for_each(drop));
    let scheduler = Service::start(cluster(&["scheduler"]).stderr(Stdio::null()));
    let worker = Service::start(cluster(&["worker", "--slots", "2"]).stderr(Stdio::null()));
    let client = Client { address, key: text("key") };
    let image = client.edited(&[]);
    place.edit("--steps 4 --seed 7 --output out.png").ok();
    assert!(difference(&image, &place.pixels("out.png")) <= 1);

    let (tenant, id) = (text("tenant"), text("id"));
    assert_eq!(Run::of(&mut cluster(&["key", "revoke", "--tenant", &tenant, &id])).status, Some(0));
    let keys = Run::of(&mut cluster(&["key", "ls", "--tenant", &tenant, "--json"])).json();
    assert_eq!(keys["keys"][0]["revoked"], true, "{keys}");
    assert_eq!(client.call("GET", "/v1/batches", "", b"").0, 401);
    for service in [worker, scheduler, api] {
        service.tell(Signal::TERM);
        assert_eq!(service.ended(), Some(0));
    }
}

#[test]
fn what_cannot_serve_says_so() {
    let place = Place::new();
    assert_eq!(Run::of(&mut command(&place, &["migrate"])).status, Some(0));
    let told = |arguments: &[&str], variables: &[(&str, &str)]| {
        let run = Run::of(command(&place, arguments).envs(variables.iter().copied()));
        let line = run.stderr.lines().last().unwrap_or_default().to_owned();
        let (start, code) = line.rsplit_once('[').unwrap_or_else(|| panic!("{line:?}"));
        assert!(start.starts_with("error: "), "{line}");
        (run.status, code.trim_end_matches(']').to_owned())
    };
    let settings = (Some(2), "settings_invalid".to_owned());
    let broker = ("RETOUCH_QUEUE_URL", "amqp://127.0.0.1:1/%2f");
    assert_eq!(told(&["api"], &[]), settings);
    assert_eq!(told(&["worker"], &[]), settings);
    assert_eq!(told(&["worker", "--pool", "cpu"], &[]), settings);
    assert_eq!(told(&["worker", "--pool", "not a pool"], &[broker]), settings);
    assert_eq!(told(&["worker", "--models", "nowhere"], &[broker]), settings);
    assert_eq!(told(&["api"], &[broker]), settings);
    assert_eq!(told(&["key", "new"], &[]), settings);
    assert_eq!(told(&["up"], &[("RETOUCH_WORKER_DEVICE", "tpu")]), settings);
    assert_eq!(told(&["up"], &[("RETOUCH_WORKER_DTYPE", "int8")]), settings);
    assert_eq!(told(&["up"], &[("RETOUCH_FETCH_ALLOW", "[\"here\"]")]), settings);
    assert_eq!(told(&["up"], &[("RETOUCH_API_KEY_SECRET", "short")]), settings);
    let address = told(&["up", "--listen", "256.0.0.1:1"], &[]);
    assert_eq!(address.1, "address_unusable");
    assert_eq!(told(&["key", "revoke", "--tenant", &"0".repeat(32), &"0".repeat(32)], &[]).1, "not_found");
}
