//! What every [`BlobStore`] does.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use retouch_ports::blob::{BlobKey, BlobStore, ByteStream, ContentHash, Listed, PutOptions, bytes_stream};
use retouch_ports::{PortError, PortErrorKind};

use crate::case::case;

/// A key that must be one.
pub fn key(text: &str) -> BlobKey {
    text.parse().expect("a key")
}

/// `size` bytes that no shift leaves equal.
pub fn pattern(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Bytes in chunks that fit no part size.
pub fn chunked(bytes: Vec<u8>) -> ByteStream {
    let bytes = Bytes::from(bytes);
    let starts = (0..bytes.len()).step_by(77_777);
    let chunks: Vec<_> = starts.map(|at| Ok(bytes.slice(at..bytes.len().min(at + 77_777)))).collect();
    stream::iter(chunks).boxed()
}

/// A body that breaks off after `size` bytes.
pub fn failing(size: usize) -> ByteStream {
    let broken = async { Err(PortError::new(PortErrorKind::Unavailable, "the sender went away")) };
    chunked(pattern(size)).chain(stream::once(broken)).boxed()
}

async fn write(store: &dyn BlobStore, name: &str, bytes: &[u8]) {
    let body = bytes_stream(bytes.to_vec());
    let stored = store.put(&key(name), body, &PutOptions::default()).await.expect("writing");
    assert_eq!(stored.size, bytes.len() as u64);
}

async fn read(store: &dyn BlobStore, name: &str) -> Option<Vec<u8>> {
    let blob = store.get(&key(name), None).await.expect("reading")?;
    Some(blob.bytes().await.expect("the bytes"))
}

/// Runs every case, each on a store of its own that `fresh` gives.
pub async fn suite(fresh: impl AsyncFn() -> Arc<dyn BlobStore>) {
    case("blobs of every size come back", sizes(fresh().await)).await;
    case("a blob of many parts comes back", many_parts(fresh().await)).await;
    case("the hash is that of the bytes", hashes(fresh().await)).await;
    case("ranges are cut to the blob", ranges(fresh().await)).await;
    case("what is not there is told", missing(fresh().await)).await;
    case("a blob is replaced as a whole", replaced(fresh().await)).await;
    case("one of many writers makes a blob that must be new", if_absent(fresh().await)).await;
    case("a large blob that must be new is not replaced", large_if_absent(fresh().await)).await;
    case("bytes that are not the expected ones leave nothing", unexpected(fresh().await)).await;
    case("a body that breaks off leaves nothing", broken_off(fresh().await)).await;
    case("a call that is given up leaves nothing", given_up(fresh().await)).await;
    case("listings are ordered and come in pages", listings(fresh().await)).await;
    case("a healthy store says so", async { fresh().await.check().await.expect("healthy") }).await;
}

async fn sizes(store: Arc<dyn BlobStore>) {
    for size in [0, 1, 4095, 1 << 20] {
        let (name, bytes) = (format!("sizes/{size}.bin"), pattern(size));
        write(&*store, &name, &bytes).await;
        assert_eq!(store.size(&key(&name)).await.expect("a size"), Some(size as u64));
        let blob = store.get(&key(&name), None).await.expect("reading").expect("a blob");
        assert_eq!(blob.size, size as u64);
        assert!(blob.bytes().await.expect("the bytes") == bytes, "{size} bytes came back changed");
    }
}

async fn many_parts(store: Arc<dyn BlobStore>) {
    let bytes = pattern(20_000_001);
    let stored =
        store.put(&key("large"), chunked(bytes.clone()), &PutOptions::default()).await.expect("writing");
    assert_eq!(stored.size, bytes.len() as u64);
    assert!(read(&*store, "large").await.expect("a blob") == bytes);
    let options = PutOptions { expect: Some(stored.hash), ..PutOptions::default() };
    let again = store.put(&key("large"), chunked(bytes), &options).await.expect("writing again");
    assert_eq!(again, stored);
}

async fn hashes(store: Arc<dyn BlobStore>) {
    let stored = store.put(&key("abc"), bytes_stream("abc"), &PutOptions::default()).await.expect("writing");
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(stored.hash.to_string(), known);
}

async fn ranges(store: Arc<dyn BlobStore>) {
    write(&*store, "r", b"0123456789").await;
    let get = async |range| match store.get(&key("r"), Some(range)).await {
        Ok(blob) => {
            let blob = blob.expect("a blob");
            assert_eq!(blob.size, 10);
            Ok(String::from_utf8(blob.bytes().await.expect("the bytes")).expect("digits"))
        }
        Err(error) => Err(error.kind()),
    };
    assert_eq!(get(0..1).await.as_deref(), Ok("0"));
    assert_eq!(get(3..7).await.as_deref(), Ok("3456"));
    assert_eq!(get(8..99).await.as_deref(), Ok("89"));
    assert_eq!(get(10..11).await, Err(PortErrorKind::Invalid));
    assert_eq!(get(5..5).await, Err(PortErrorKind::Invalid));
    assert!(store.get(&key("none"), Some(0..1)).await.expect("reading").is_none());
}

async fn missing(store: Arc<dyn BlobStore>) {
    assert!(store.get(&key("no/such"), None).await.expect("reading").is_none());
    assert_eq!(store.size(&key("no/such")).await.expect("a size"), None);
    store.delete(&key("no/such")).await.expect("deleting nothing");
    write(&*store, "a/b", b"x").await;
    assert_eq!(store.size(&key("a/b/c")).await.expect("a size"), None);
    store.delete(&key("a/b")).await.expect("deleting");
    assert_eq!(store.size(&key("a/b")).await.expect("a size"), None);
}

async fn replaced(store: Arc<dyn BlobStore>) {
    write(&*store, "x", &[0; 100_000]).await;
    let old = store.get(&key("x"), None).await.expect("reading").expect("a blob");
    let writers = (1..=8_u8).map(|n| {
        let store = store.clone();
        async move { write(&*store, "x", &vec![n; 100_000 + usize::from(n)]).await }
    });
    join_all(writers).await;
    let bytes = read(&*store, "x").await.expect("a blob");
    assert!(bytes.len() == 100_000 + usize::from(bytes[0]) && bytes.iter().all(|byte| *byte == bytes[0]));
    drop(old);
}

async fn if_absent(store: Arc<dyn BlobStore>) {
    let options = PutOptions { if_absent: true, ..PutOptions::default() };
    let writers = (0..8_u8).map(|n| {
        let (store, options) = (store.clone(), options.clone());
        async move { store.put(&key("once"), bytes_stream(vec![n; 10]), &options).await.map(|_| n) }
    });
    let outcomes = join_all(writers).await;
    let winners: Vec<u8> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(error.kind(), PortErrorKind::Conflict);
    }
    assert_eq!(read(&*store, "once").await, Some(vec![winners[0]; 10]));
}

async fn large_if_absent(store: Arc<dyn BlobStore>) {
    write(&*store, "once", b"first").await;
    let options = PutOptions { if_absent: true, ..PutOptions::default() };
    let error = store.put(&key("once"), chunked(pattern(12_000_000)), &options).await.expect_err("a refusal");
    assert_eq!(error.kind(), PortErrorKind::Conflict);
    assert_eq!(read(&*store, "once").await.as_deref(), Some(&b"first"[..]));
}

async fn unexpected(store: Arc<dyn BlobStore>) {
    let options = PutOptions { expect: Some(ContentHash([7; 32])), ..PutOptions::default() };
    for size in [10, 12_000_000] {
        let error = store.put(&key("u"), chunked(pattern(size)), &options).await.expect_err("a refusal");
        assert_eq!(error.kind(), PortErrorKind::Corrupt);
        assert_eq!(store.size(&key("u")).await.expect("a size"), None);
    }
}

async fn broken_off(store: Arc<dyn BlobStore>) {
    write(&*store, "kept", b"old").await;
    for size in [0, 10, 12_000_000] {
        for name in ["new", "kept"] {
            let error =
                store.put(&key(name), failing(size), &PutOptions::default()).await.expect_err("a refusal");
            assert_eq!(error.to_string(), "the sender went away");
        }
    }
    assert_eq!(store.size(&key("new")).await.expect("a size"), None);
    assert_eq!(read(&*store, "kept").await.as_deref(), Some(&b"old"[..]));
    assert_eq!(store.list("", None, 10).await.expect("a listing").len(), 1);
}

async fn given_up(store: Arc<dyn BlobStore>) {
    let (reached, sent) = tokio::sync::oneshot::channel();
    let waits = stream::once(async move {
        reached.send(()).expect("the test waits");
        std::future::pending().await
    });
    let options = PutOptions::default();
    let name = key("g");
    tokio::select! {
        _ = store.put(&name, chunked(pattern(12_000_000)).chain(waits).boxed(), &options) => panic!("never ends"),
        reached = sent => reached.expect("the body was read"),
    }
    assert_eq!(store.size(&name).await.expect("a size"), None);
    assert_eq!(store.list("", None, 10).await.expect("a listing"), []);
}

async fn listings(store: Arc<dyn BlobStore>) {
    let names = ["a", "b-1", "b/1", "b/2/x", "b/2/y", "b0", "c"];
    for name in names {
        write(&*store, name, name.as_bytes()).await;
    }
    let list = async |prefix: &str, after: Option<&str>, limit| {
        let found = store.list(prefix, after, limit).await.expect("a listing");
        found.into_iter().map(|listed| listed.key).collect::<Vec<_>>()
    };
    assert_eq!(list("", None, 100).await, names);
    assert_eq!(list("b/", None, 100).await, ["b/1", "b/2/x", "b/2/y"]);
    assert_eq!(list("b", None, 2).await, ["b-1", "b/1"]);
    assert_eq!(list("b", Some("b/1"), 2).await, ["b/2/x", "b/2/y"]);
    assert_eq!(list("b/2/", Some("b/2/x"), 9).await, ["b/2/y"]);
    assert_eq!(list("nothing", None, 9).await, [""; 0]);
    assert_eq!(list("../", None, 9).await, [""; 0]);
    let sizes = store.list("b/2", None, 1).await.expect("a listing");
    assert_eq!(sizes, [Listed { key: "b/2/x".to_owned(), size: 5 }]);
}
