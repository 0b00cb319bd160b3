//! An endpoint that answers what it is told, and remembers what it was sent.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A message as it arrived.
#[derive(Debug, Clone)]
pub struct Message {
    head: String,
    pub body: Vec<u8>,
}

impl Message {
    /// The first line.
    pub fn request(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        let header =
            |line: &'_ str| line.split_once(": ").is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        let line = self.head.lines().find(|line| header(line)).unwrap_or_else(|| panic!("no {name}"));
        line.split_once(": ").unwrap().1
    }
}

/// A server for one test.
pub struct Endpoint {
    pub address: SocketAddr,
    messages: Arc<Mutex<Vec<Message>>>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    task: JoinHandle<()>,
}

/// Says nothing until the other side goes.
pub const SILENCE: &str = "";

impl Endpoint {
    /// Answers with these, one for each message, and then with 204.
    pub async fn start(answers: impl IntoIterator<Item = &'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let messages = Arc::<Mutex<Vec<Message>>>::default();
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<VecDeque<_>>()));
        let (seen, given) = (messages.clone(), answers.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, given) = (seen.clone(), given.clone());
                tokio::spawn(async move { answer(stream, &seen, &given).await });
            }
        });
        Self { address, messages, answers, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?a=b", self.address)
    }

    /// What is answered next, before what was to be.
    pub fn will_answer(&self, answer: &'static str) {
        self.answers.lock().unwrap().push_front(answer);
    }

    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, seen: &Mutex<Vec<Message>>, answers: &Mutex<VecDeque<&'static str>>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    };
    let mut message = Message {
        head: String::from_utf8(bytes[..head_end].to_vec()).unwrap(),
        body: bytes[head_end + 4..].to_vec(),
    };
    let length: usize = message.header("content-length").parse().unwrap();
    while message.body.len() < length {
        let count = stream.read(&mut buffer).await.unwrap();
        message.body.extend_from_slice(&buffer[..count]);
    }
    seen.lock().unwrap().push(message);
    let answer = answers.lock().unwrap().pop_front().unwrap_or("204 No Content\r\n");
    if answer == SILENCE {
        while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
        return;
    }
    let answer = format!("HTTP/1.1 {answer}content-length: 0\r\n\r\n");
    // The client may be gone already.
    let _ = stream.write_all(answer.as_bytes()).await;
}
