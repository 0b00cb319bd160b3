//! The guard against real sockets on loopback.

mod server;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use retouch_fetch::{Client, Policy, Resolve, Roots, SystemResolver};
use retouch_ports::Post;
use retouch_ports::fetch::{Fetch, FetchError};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use server::{Server, Then};

const CORPUS: &str = include_str!("refused.tsv");
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and what may follow";

/// The names of the tests; all others are the machine's.
#[derive(Default)]
struct Names {
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let addresses: &[&str] = match name.trim_end_matches('.') {
            "loopback.test" | "images.test" | "other.test" => &["127.0.0.1"],
            "six.test" => &["::1"],
            "mapped.test" => &["::ffff:127.0.0.1"],
            "mixed.test" => &["93.184.216.34", "127.0.0.1"],
            "metadata.test" => &["169.254.169.254"],
            "private.test" => &["10.0.0.1"],
            "empty.test" => &[],
            // Whoever asks twice gets another answer.
            "rebinding.test" if asked == 0 => &["127.0.0.1"],
            "rebinding.test" => &["127.0.0.2"],
            // Not every machine knows the absolute name.
            "localhost" => return SystemResolver.resolve("localhost").await,
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(addresses.iter().map(|address| address.parse().expect("an address")).collect())
    }
}

/// A policy for a server of the tests.
fn policy(server: SocketAddr) -> Policy {
    Policy { ports: vec![80, 443, server.port()], allow: vec![server], ..Policy::default() }
}

fn client(policy: Policy) -> Client {
    Client::with(policy, Names::default(), Roots::of_machine())
}

async fn code_of(client: &Client, url: &str) -> String {
    match client.image(url).await {
        Ok(bytes) => format!("{} bytes", bytes.len()),
        Err(error) => error.code().to_owned(),
    }
}

fn error_of<T>(outcome: &Result<T, FetchError>) -> &'static str {
    outcome.as_ref().err().map_or("none", FetchError::code)
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes(), body].concat()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn what_must_be_refused_is_refused_before_a_byte_is_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Where the machine has IPv6 at all.
    let six = std::net::TcpListener::bind(("::1", port)).ok();
    let cases: Vec<(&str, String)> = CORPUS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').expect("a code and a URL"))
        .map(|(code, url)| (code, url.replace("{port}", &port.to_string())))
        .collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    let guarded = client(Policy { ports: vec![80, 443, port], ..Policy::default() });
    let mut wrong = Vec::new();
    for (code, url) in &cases {
        let found = code_of(&guarded, url).await;
        let posted = guarded.post(url, &[], Bytes::new()).await;
        let checked = guarded.check(url).await;
        for found in [found.as_str(), error_of(&posted), error_of(&checked)] {
            if found != *code {
                wrong.push(format!("{url}: {found} instead of {code}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for listener in [Some(listener), six].into_iter().flatten() {
        listener.set_nonblocking(true).unwrap();
        let nobody = listener.accept().map(|(_, peer)| peer);
        assert_eq!(nobody.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn an_image_is_fetched_whatever_it_is_called() {
    let answer = ok(&format!("Content-Type: text/html\r\nContent-Length: {}\r\n", PNG.len()), PNG);
    let server = Server::start(vec![("/a.txt?signed=1", answer, Then::Close)]).await;
    let fetched = client(policy(server.address)).image(&server.url("/a.txt?signed=1#part")).await;
    assert_eq!(fetched.unwrap(), PNG);
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    let request = requests[0].to_lowercase();
    assert!(request.contains(&format!("host: {}\r\n", server.address)), "{request}");
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
    for absent in ["cookie", "authorization", "referer"] {
        assert!(!request.contains(absent), "{request}");
    }
}

#[tokio::test]
async fn a_message_is_posted_and_the_answer_taken_as_it_is() {
    let moved = Server::start(vec![("/", ok("", PNG), Then::Close)]).await;
    let server = Server::start(vec![
        ("/hook?a=b", b"HTTP/1.1 202 Accepted\r\n\r\n".to_vec(), Then::Pour),
        ("/redirect", redirect(&moved.url("/")), Then::Close),
        ("/gone", b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n".to_vec(), Then::Close),
        ("/silent", Vec::new(), Then::Wait),
        ("/drips", b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec(), Then::Drip),
        ("/noise", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Then::Close),
    ])
    .await;
    let mut policy = Policy { total: Duration::from_millis(500), ..policy(server.address) };
    policy.ports.push(moved.address.port());
    policy.allow.push(moved.address);
    let posting = client(policy);
    let post = async |path: &str| {
        let headers = [("webhook-id", "test_1".to_owned())];
        posting.post(&server.url(path), &headers, Bytes::from_static(b"{}")).await
    };
    assert_eq!(posting.check(&server.url("/hook")).await, Ok(()));
    assert_eq!(post("/hook?a=b#part").await, Ok(202));
    let request = server.requests()[0].to_lowercase();
    assert!(request.starts_with("post /hook?a=b http/1.1\r\n"), "{request}");
    for header in ["webhook-id: test_1", "content-type: application/json", "content-length: 2"] {
        assert!(request.contains(&format!("{header}\r\n")), "{request}");
    }
    assert_eq!(post("/redirect").await, Ok(302));
    assert_eq!(moved.requests().len(), 0);
    assert_eq!(post("/gone").await, Ok(410));
    for (path, code) in [("/silent", "url_slow"), ("/drips", "url_slow"), ("/noise", "url_unreachable")] {
        assert_eq!(error_of(&post(path).await), code, "{path}");
    }
}

#[tokio::test]
async fn a_name_is_resolved_once_for_a_connection() {
    let server = Server::start(vec![("/", ok("", PNG), Then::Close)]).await;
    let names = Names::default();
    let asked = names.asked.clone();
    let fetching = Client::with(policy(server.address), names, Roots::of_machine());
    let url = format!("http://rebinding.test:{}/", server.address.port());
    assert_eq!(fetching.image(&url).await.unwrap(), PNG);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // The second answer is checked like the first.
    assert_eq!(code_of(&fetching, &url).await, "url_address");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn each_redirect_is_checked_as_the_first_url() {
    let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let private = inside.local_addr().unwrap();
    let server = Server::start(vec![
        ("/relative", redirect("../image"), Then::Close),
        ("/image", ok("", PNG), Then::Close),
        ("/private", redirect(&format!("http://{private}/")), Then::Close),
        ("/name", redirect(&format!("http://loopback.test:{}/", private.port())), Then::Close),
        ("/same-scheme", redirect(&format!("//0x7f000001:{}/", private.port())), Then::Close),
        ("/metadata", redirect("http://169.254.169.254/"), Then::Close),
        ("/file", redirect("file:///etc/passwd"), Then::Close),
        ("/port", redirect("http://93.184.216.34:22/"), Then::Close),
        ("/user", redirect("http://user@loopback.test/"), Then::Close),
        ("/circle", redirect("/circle"), Then::Close),
        ("/unreadable", redirect("http://[::1"), Then::Close),
        ("/nowhere", b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".to_vec(), Then::Close),
    ])
    .await;
    let mut policy = policy(server.address);
    policy.ports.push(private.port());
    let fetching = client(policy);
    for (path, code) in [
        ("/relative", format!("{} bytes", PNG.len()).as_str()),
        ("/private", "url_address"),
        ("/name", "url_address"),
        ("/same-scheme", "url_address"),
        ("/metadata", "url_address"),
        ("/file", "url_scheme"),
        ("/port", "url_port"),
        ("/user", "url_credentials"),
        ("/circle", "url_redirects"),
        ("/unreadable", "url_redirects"),
        ("/nowhere", "url_redirects"),
    ] {
        assert_eq!(code_of(&fetching, &server.url(path)).await, code, "{path}");
    }
    let circles = server.requests().iter().filter(|request| request.starts_with("GET /circle ")).count();
    assert_eq!(circles, 4, "the first and three redirects");
    inside.set_nonblocking(true).unwrap();
    assert_eq!(inside.accept().map(|(_, peer)| peer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn size_and_time_are_bounded() {
    let announced = ok("Content-Length: 1000000\r\n", PNG);
    let server = Server::start(vec![
        ("/announced", announced.clone(), Then::Wait),
        ("/endless", ok("", PNG), Then::Pour),
        ("/chunked", ok("Transfer-Encoding: chunked\r\n", b"ffffff\r\n\x89PNG\r\n\x1a\n"), Then::Pour),
        ("/silent", Vec::new(), Then::Wait),
        ("/header", b"HTTP/1.1 200 OK\r\nX-Slow: ".to_vec(), Then::Drip),
        ("/headers", b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec(), Then::Pour),
        ("/stops", ok("Content-Length: 1000\r\n", PNG), Then::Wait),
        ("/drips", ok("Content-Length: 60000\r\n", PNG), Then::Drip),
        ("/breaks", ok("Content-Length: 1000\r\n", PNG), Then::Close),
    ])
    .await;
    let limits = Policy {
        max_bytes: 65536,
        header: Duration::from_millis(300),
        idle: Duration::from_millis(300),
        total: Duration::from_millis(900),
        ..policy(server.address)
    };
    let fetching = client(limits);
    for (path, code) in [
        ("/announced", "url_too_large"),
        ("/endless", "url_too_large"),
        ("/chunked", "url_too_large"),
        ("/silent", "url_slow"),
        ("/header", "url_slow"),
        ("/headers", "url_unreachable"),
        ("/stops", "url_slow"),
        ("/drips", "url_slow"),
        ("/breaks", "url_truncated"),
    ] {
        assert_eq!(code_of(&fetching, &server.url(path)).await, code, "{path}");
    }
    let told = |error: FetchError| error.to_string();
    let drips = fetching.image(&server.url("/drips")).await.map_err(told).unwrap_err();
    assert!(drips.contains("no whole image"), "{drips}");
    let stops = fetching.image(&server.url("/stops")).await.map_err(told).unwrap_err();
    assert!(stops.contains("no further byte"), "{stops}");
}

#[tokio::test]
async fn only_images_and_only_plain_ones_are_fetched() {
    let html = ok("Content-Type: image/png\r\n", b"<!doctype html><html>");
    let server = Server::start(vec![
        // The body never ends: it is refused by its first bytes.
        ("/html", html, Then::Wait),
        ("/empty", ok("Content-Type: image/png\r\nContent-Length: 0\r\n", b""), Then::Close),
        ("/short", ok("Content-Length: 3\r\n", b"\x89PN"), Then::Close),
        ("/gzip", ok("Content-Encoding: gzip\r\n", b"\x1f\x8b"), Then::Close),
        ("/identity", ok("Content-Encoding: Identity\r\n", PNG), Then::Close),
        ("/missing", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), Then::Close),
        ("/busy", b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n".to_vec(), Then::Close),
        ("/part", b"HTTP/1.1 206 Part\r\nContent-Length: 0\r\n\r\n".to_vec(), Then::Close),
        ("/noise", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Then::Close),
    ])
    .await;
    let fetching = client(policy(server.address));
    for (path, code) in [
        ("/html", "url_not_an_image"),
        ("/empty", "url_not_an_image"),
        ("/short", "url_not_an_image"),
        ("/gzip", "url_encoding"),
        ("/identity", format!("{} bytes", PNG.len()).as_str()),
        ("/missing", "url_status"),
        ("/busy", "url_status"),
        ("/part", "url_status"),
        ("/noise", "url_unreachable"),
    ] {
        assert_eq!(code_of(&fetching, &server.url(path)).await, code, "{path}");
    }
    assert!(fetching.image(&server.url("/busy")).await.unwrap_err().is_transient());
    assert!(!fetching.image(&server.url("/missing")).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(policy(address)).image(&format!("http://{address}/")).await.unwrap_err();
    assert_eq!(error.code(), "url_unreachable");
    assert!(error.is_transient());
}

#[tokio::test]
async fn https_needs_a_certificate_of_the_name() {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(&include_bytes!("tls/server.der")[..])],
            PrivateKeyDer::try_from(&include_bytes!("tls/server.key.der")[..]).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Server::start_tls(vec![("/", ok("", PNG), Then::Close)], acceptor).await;
    let roots = || Roots::only(include_bytes!("tls/ca.der").to_vec()).unwrap();
    let trusting = Client::with(policy(server.address), Names::default(), roots());
    let url = |name: &str| format!("https://{name}:{}/", server.address.port());
    let length = format!("{} bytes", PNG.len());
    // The absolute name, with its dot, is the same name.
    for (name, code) in
        [("images.test", length.as_str()), ("images.test.", &length), ("other.test", "url_unreachable")]
    {
        assert_eq!(code_of(&trusting, &url(name)).await, code, "{name}");
    }
    let strict = client(policy(server.address));
    assert_eq!(code_of(&strict, &url("images.test")).await, "url_unreachable");
    assert_eq!(server.requests().iter().filter(|request| request.starts_with("GET ")).count(), 2);
}
