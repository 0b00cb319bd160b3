//! A server that says what it is told, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What happens after the answer.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    /// The connection ends.
    Close,
    /// Nothing, until the client goes.
    Wait,
    /// A byte every few milliseconds, until the client goes.
    Drip,
    /// Bytes without end.
    Pour,
}

type Answers = Vec<(&'static str, Vec<u8>, Then)>;

pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Answers by path; `{port}` in an answer is its own port.
    pub async fn start(answers: Answers) -> Self {
        Self::serve(answers, None).await
    }

    pub async fn start_tls(answers: Answers, acceptor: TlsAcceptor) -> Self {
        Self::serve(answers, Some(acceptor)).await
    }

    async fn serve(answers: Answers, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("loopback");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let answers = Arc::new(answers);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, seen, tls) = (answers.clone(), seen.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, &answers, &seen).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => answer(stream, &answers, &seen).await,
                            Err(_) => {
                                seen.lock().expect("no panic while locked").push("no handshake".to_owned())
                            }
                        },
                    }
                });
            }
        });
        Self { address, requests, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic while locked").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answers: &Answers,
    seen: &Mutex<Vec<String>>,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    seen.lock().expect("no panic while locked").push(request);
    let Some((_, bytes, then)) = answers.iter().find(|(known, ..)| *known == path) else { return };
    // The client may be gone in the middle: that is what some of the tests are about.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    match then {
        Then::Close => drop(stream.shutdown().await),
        Then::Wait => while matches!(stream.read(&mut buffer).await, Ok(1..)) {},
        Then::Drip => {
            let mut interval = tokio::time::interval(Duration::from_millis(5));
            while stream.write_all(b"x").await.is_ok() {
                interval.tick().await;
            }
        }
        Then::Pour => while stream.write_all(&[0; 16384]).await.is_ok() {},
    }
}
