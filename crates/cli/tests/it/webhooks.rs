//! `retouch webhook`, to a listener of the test's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use crate::place::{INSTRUCTION, Place, Run, golden};
use crate::services::{command, up_with};

/// Answers every message with 204; what came is received with its `webhook-id`.
fn endpoint() -> (u16, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("loopback").port();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if sender.send(answer(stream)).is_err() {
                return;
            }
        }
    });
    (port, receiver)
}

fn answer(mut stream: TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        match line.trim_end().split_once(": ") {
            Some(("webhook-id", value)) => value.clone_into(&mut id),
            Some(("content-length", value)) => length = value.parse().expect("a number"),
            _ if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("it reads");
    (id, serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn a_webhook_is_added_tested_told_and_removed() {
    let place = Place::with_models(&[]);
    let (port, messages) = endpoint();
    let (allow, ports) = (format!("[\"127.0.0.1:{port}\"]"), format!("[443, {port}]"));
    let (_service, client) =
        up_with(&place, &[("RETOUCH_FETCH_ALLOW", &allow), ("RETOUCH_FETCH_PORTS", &ports)]);
    let retouch = |arguments: &[&str]| Run::of(&mut command(&place, arguments));
    let url = format!("http://127.0.0.1:{port}/hook");
    let added = retouch(&["webhook", "add", &url, "--events", "batch.completed,batch.failed", "--json"]).ok();
    let webhook = added.json();
    let id = webhook["id"].as_str().expect("an id");
    assert!(webhook["secret"].as_str().expect("a secret").starts_with("whsec_"));
    let tested = retouch(&["webhook", "test", id]).ok();
    assert!(tested.stdout.ends_with("it arrived; the answer was 204\n"), "{}", tested.stdout);
    let (event, message) = messages.recv().expect("the test");
    assert!(event.starts_with("test_") && message["type"] == "webhook.test", "{event} {message}");

    std::fs::copy(golden("photo.png"), place.path("photo.png")).expect("copied");
    let edited = retouch(&["edit", "photo.png", "-p", INSTRUCTION, "--model", "none"]);
    assert_eq!(edited.status, Some(1), "{}", edited.stderr);
    let (event, message) = messages.recv().expect("the end of the batch");
    assert!(event.starts_with("batch_") && message["type"] == "batch.completed", "{event} {message}");
    assert_eq!(message["data"]["counts"]["failed"], 1);

    let listed = retouch(&["webhook", "ls"]).ok().stdout;
    assert!(
        listed.starts_with(id) && listed.contains("  enabled  ") && !listed.contains("whsec_"),
        "{listed}"
    );
    let rotated = retouch(&["webhook", "rotate", id]).ok().stdout;
    assert!(rotated.contains("\nsecret whsec_"), "{rotated}");
    retouch(&["webhook", "enable", id, "--json"]).ok();
    let removed = retouch(&["webhook", "rm", id, "--json"]).ok().json();
    assert_eq!(removed["deleted"], true);
    assert_eq!(retouch(&["webhook", "ls", "--json"]).ok().json()["webhooks"], serde_json::json!([]));

    let private = retouch(&["webhook", "add", "https://127.0.0.1/"]);
    assert_eq!(private.status, Some(2), "{}", private.stderr);
    assert!(private.stderr.contains("is not on the public Internet"), "{}", private.stderr);
    let gone = retouch(&["webhook", "test", id]);
    assert_eq!((gone.status, gone.stderr.ends_with("[not_found]\n")), (Some(2), true), "{}", gone.stderr);
    let at = format!("http://{}", client.address);
    let wrong = retouch(&["webhook", "ls", "--url", &at, "--key", "rtk_wrong"]);
    assert_eq!(wrong.status, Some(4), "{}", wrong.stderr);
}
