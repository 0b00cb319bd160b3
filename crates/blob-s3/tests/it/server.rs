//! A server of S3's protocol on a folder.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use retouch_blob_s3::{Credentials, S3BlobStore, S3Options};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BUCKET: &str = "retouch-test";

pub(crate) struct Server {
    root: TempDir,
    address: String,
    next: AtomicU32,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(BUCKET)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("retouch", "secret"));
        let service = builder.build();
        // S3 decides about a new object at once; this server looks first and writes then.
        let new_objects = Arc::new(tokio::sync::Mutex::new(()));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, new_objects) = (service.clone(), new_objects.clone());
                let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
                    let (service, new_objects) = (service.clone(), new_objects.clone());
                    async move {
                        let _alone = match request.headers().contains_key("if-none-match") {
                            true => Some(new_objects.lock().await),
                            false => None,
                        };
                        hyper::service::Service::call(&service, request).await
                    }
                });
                tokio::spawn(async move {
                    // A client that goes away is no fault of the server.
                    let served = Builder::new(TokioExecutor::new());
                    drop(served.serve_connection(TokioIo::new(socket), service).await);
                });
            }
        });
        Self { root, address, next: AtomicU32::new(0) }
    }

    /// Of a prefix that no other store has.
    pub(crate) fn options(&self) -> S3Options {
        S3Options {
            bucket: BUCKET.to_owned(),
            prefix: format!("p{}", self.next.fetch_add(1, Ordering::Relaxed)),
            region: "us-east-1".to_owned(),
            endpoint: Some(format!("http://{}", self.address)),
            path_style: true,
            credentials: Credentials {
                access_key: "retouch".to_owned(),
                secret_key: "secret".to_owned(),
                session_token: None,
            },
        }
    }

    pub(crate) fn store(&self) -> S3BlobStore {
        S3BlobStore::new(self.options()).unwrap()
    }

    /// Puts an empty object beside the protocol, for the store that was made last.
    pub(crate) fn place(&self, _: &S3BlobStore, name: &str) {
        let prefix = format!("p{}", self.next.load(Ordering::Relaxed) - 1);
        let path = self.root.path().join(BUCKET).join(prefix).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    /// The parts of uploads that did not end.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.root.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("upload_id-") || name.contains(".tmp.")).collect()
    }

    /// A request as a client without any key makes it: the status, and the answer as text.
    pub(crate) async fn request(&self, method: &str, url: &str, body: &[u8]) -> (u16, String) {
        let path = url.strip_prefix("http://").unwrap().strip_prefix(&self.address).unwrap();
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    }
}
