//! The suite, and what is S3's alone.

use std::sync::Arc;
use std::time::Duration;

use retouch_blob_s3::S3BlobStore;
use retouch_ports::blob::{BlobStore, DownloadAs, PutOptions, bytes_stream};
use retouch_ports::{PortError, PortErrorKind};
use retouch_testkit::blob::{chunked, failing, key, pattern, suite};
use retouch_testkit::case::eventually;

use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    let server = Server::start().await;
    suite(async || Arc::new(server.store()) as Arc<dyn BlobStore>).await;
    eventually(async || server.leftovers().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_fail_or_are_given_up_leave_no_parts() {
    let server = Server::start().await;
    let store = server.store();
    let name = key("x");
    store.put(&name, failing(20_000_000), &PutOptions::default()).await.unwrap_err();
    assert_eq!(server.leftovers(), [""; 0]);
    {
        let waits = futures_util::StreamExt::chain(
            chunked(pattern(20_000_000)),
            futures_util::stream::once(std::future::pending()),
        );
        let options = PutOptions::default();
        let put = store.put(&name, Box::pin(waits), &options);
        let begun = eventually(async || !server.leftovers().is_empty());
        tokio::select! {
            _ = put => panic!("never ends"),
            () = begun => {}
        }
    }
    eventually(async || server.leftovers().is_empty()).await;
    assert_eq!(store.size(&name).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn presigned_urls_work_without_a_key() {
    let server = Server::start().await;
    let store = server.store();
    let minute = Duration::from_secs(60);
    let url = store.presign_put(&key("in"), minute, 5).await.unwrap().unwrap();
    assert_eq!(server.request("PUT", &url, b"hello").await.0, 200);
    assert_eq!(store.size(&key("in")).await.unwrap(), Some(5));
    // Another size is not what was signed.
    assert_eq!(server.request("PUT", &url, b"something longer").await.0, 403);

    let download =
        DownloadAs { file_name: Some("my image.png".to_owned()), content_type: Some("image/png".to_owned()) };
    let url = store.presign_get(&key("in"), minute, &download).await.unwrap().unwrap();
    let (status, answer) = server.request("GET", &url, b"").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.ends_with("hello"), "{answer}");
    let header = answer.to_lowercase();
    assert!(header.contains("filename=\"my image.png\"") && header.contains("image/png"), "{answer}");
    let forged = url.replace("/in?", "/other?");
    assert_eq!(server.request("GET", &forged, b"").await.0, 403);

    let week = Duration::from_secs(7 * 24 * 3600);
    assert!(store.presign_get(&key("in"), week, &DownloadAs::default()).await.unwrap().is_some());
    let error = store.presign_put(&key("in"), week + minute, 5).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_keep_stores_apart() {
    let server = Server::start().await;
    let (one, two) = (server.store(), server.store());
    one.put(&key("a"), bytes_stream("one"), &PutOptions::default()).await.unwrap();
    assert_eq!(two.size(&key("a")).await.unwrap(), None);
    assert_eq!(two.list("", None, 10).await.unwrap(), []);
    assert_eq!(one.list("", None, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_go_on_behind_a_thousand() {
    let server = Server::start().await;
    let store = server.store();
    let names: Vec<String> = (0..1100).map(|n| format!("n/{n:04}")).collect();
    for name in &names {
        server.place(&store, name);
    }
    let found = store.list("n/", None, 5000).await.unwrap();
    assert!(found.iter().map(|listed| &listed.key).eq(&names), "{} blobs", found.len());
    assert_eq!(store.list("n/", None, 1001).await.unwrap().len(), 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told() {
    let server = Server::start().await;
    let kind_of = async |change: &dyn Fn(&mut retouch_blob_s3::S3Options)| {
        let mut options = server.options();
        change(&mut options);
        let store = S3BlobStore::new(options)?;
        let check = store.check().await;
        // This server makes a bucket that is missing when something is put into it.
        if check.as_ref().is_err_and(|error| error.kind() != PortErrorKind::NotFound) {
            let put = store.put(&key("a"), bytes_stream("x"), &PutOptions::default()).await;
            assert_eq!(
                put.as_ref().err().map(PortError::kind),
                check.as_ref().err().map(PortError::kind),
                "{put:?}"
            );
        }
        check
    };
    kind_of(&|_| {}).await.unwrap();
    let secret = kind_of(&|options| options.credentials.secret_key = "hunter2".to_owned()).await.unwrap_err();
    assert_eq!(secret.kind(), PortErrorKind::Unauthorized, "{secret:?}");
    assert!(!format!("{secret} {secret:?}").contains("hunter2"));
    let user = kind_of(&|options| options.credentials.access_key = "nobody".to_owned()).await.unwrap_err();
    assert_eq!(user.kind(), PortErrorKind::Unauthorized, "{user:?}");
    let bucket = kind_of(&|options| options.bucket = "no-such-bucket".to_owned()).await.unwrap_err();
    assert_eq!(bucket.kind(), PortErrorKind::NotFound, "{bucket:?}");
    assert!(bucket.to_string().contains("no-such-bucket"), "{bucket}");
    // Port 1 of the loopback is nobody's.
    let gone =
        kind_of(&|options| options.endpoint = Some("http://127.0.0.1:1".to_owned())).await.unwrap_err();
    assert_eq!(gone.kind(), PortErrorKind::Unavailable, "{gone:?}");
    let name = kind_of(&|options| options.bucket = "a b".to_owned()).await.unwrap_err();
    assert_eq!(name.kind(), PortErrorKind::Invalid, "{name:?}");
}
