//! Which URL leads to which backend, and what is said of those that lead nowhere.

use std::error::Error;
use std::sync::Arc;

use retouch_bootstrap::backends::{self, Process};
use retouch_bootstrap::{Settings, stores};
use retouch_ports::{SystemClock, SystemIds};

fn nothing(_: &str) -> Option<String> {
    None
}

fn process() -> Process<'static> {
    Process { clock: Arc::new(SystemClock), ids: Arc::new(SystemIds), variable: &nothing }
}

fn settings(queue: &str, blobs: &str, live: &str) -> Settings {
    with_store("sqlite:nobody-opens-this.db", queue, blobs, live)
}

fn with_store(store: &str, queue: &str, blobs: &str, live: &str) -> Settings {
    let urls = |name: &str| match name {
        "RETOUCH_STORE_URL" => Some(store.to_owned()),
        "RETOUCH_QUEUE_URL" => Some(queue.to_owned()),
        "RETOUCH_BLOBS_URL" => Some(blobs.to_owned()),
        "RETOUCH_LIVE_URL" => Some(live.to_owned()),
        _ => None,
    };
    Settings::load(None, &urls).unwrap()
}

async fn all_work(settings: &Settings, process: &Process<'_>) {
    stores::migrate(&settings.store).await.unwrap();
    let ports = backends::connect(settings, process).await.unwrap();
    ports.store.now().await.unwrap();
    ports.queue.check().await.unwrap();
    ports.blobs.check().await.unwrap();
    ports.live.check().await.unwrap();
}

#[tokio::test]
async fn the_embedded_backends_need_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}/made/jobs.db", root.path().display());
    for path in [format!("file:{}", root.path().display()), format!("file://{}/x", root.path().display())] {
        all_work(&with_store(&store, "local:", &path, "local:"), &process()).await;
    }
    assert!(root.path().join("x").is_dir());
}

#[cfg(all(feature = "rabbitmq", feature = "redis"))]
#[tokio::test(flavor = "multi_thread")]
async fn the_servers_are_reached() {
    use retouch_testkit::case::server_url;
    let root = tempfile::tempdir().unwrap();
    let (queue, live) = (server_url("RETOUCH_TEST_RABBITMQ"), server_url("RETOUCH_TEST_REDIS"));
    let (files, store) =
        (format!("file:{0}", root.path().display()), format!("sqlite:{0}/jobs.db", root.path().display()));
    all_work(&with_store(&store, &queue, &files, &live), &process()).await;
}

#[tokio::test]
async fn urls_that_lead_nowhere_are_told_without_passwords() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let told = async |queue: &str, blobs: &str, live: &str| {
        let settings = with_store(&store, queue, blobs, live);
        stores::migrate(&settings.store).await.unwrap();
        let error = backends::connect(&settings, &process()).await.err().unwrap();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
        error.to_string()
    };
    assert_eq!(
        told("kafka://me:hunter2@host", "file:x", "local:").await,
        "[queue] url = \"kafka://me:***@host\" names no backend; it can be \"local:\" or \
         \"amqp://user:password@host:5672/vhost\""
    );
    assert!(told("hunter2", "file:x", "local:").await.contains("(not a URL)"));
    assert!(told("local:", "gs://bucket", "local:").await.contains("s3://BUCKET/PREFIX"));
    assert!(told("local:", "file:", "local:").await.contains("names no folder"));
    assert!(told("local:", "file://host/x", "local:").await.contains("names a host"));
    let root = tempfile::tempdir().unwrap();
    let blobs = format!("file:{}", root.path().display());
    assert!(told("local:", &blobs, "memcached://:hunter2@host").await.contains("[live]"));
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn a_bucket_needs_a_key_from_settings_or_environment() {
    let settings = settings("local:", "s3://bucket/some/prefix", "local:");
    let error = backends::blobs(&settings.blobs, &process()).await.err().unwrap();
    assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    let variable = |name: &str| name.starts_with("AWS_").then(|| "http://127.0.0.1:1".to_owned());
    let process = Process { variable: &variable, ..process() };
    let store = backends::blobs(&settings.blobs, &process).await.unwrap();
    // Port 1 of the loopback is nobody's; so the endpoint was taken from the environment.
    assert_eq!(store.check().await.unwrap_err().kind(), retouch_ports::PortErrorKind::Unavailable);
}

#[cfg(feature = "rabbitmq")]
#[tokio::test]
async fn a_broker_that_is_not_there_is_named() {
    let settings = settings("amqp://me:hunter2@127.0.0.1:1/%2f", "file:x", "local:");
    let error = backends::queue(&settings.queue, &process()).await.err().unwrap();
    assert_eq!(error.to_string(), "[queue] url = \"amqp://me:***@127.0.0.1:1/%2f\" cannot be used");
    let source = error.source().unwrap().to_string();
    assert!(source.contains("127.0.0.1:1") && source.contains("not reached"), "{source}");
}

/// What is said of a store: the error and its causes.
async fn told_of_store(url: &str) -> String {
    let settings = with_store(url, "local:", "file:x", "local:");
    let error = stores::store(&settings.store, &process()).await.err().unwrap();
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    assert!(text.starts_with("[store] url = ") && !text.contains("hunter2"), "{text}");
    text
}

#[tokio::test]
async fn a_store_that_cannot_be_used_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("jobs.db").display());
    for (url, advice) in [
        ("mysql://me:hunter2@host/db", "\"sqlite:PATH\" or \"postgres://"),
        ("hunter2", "(not a URL)"),
        (&file, "`retouch migrate` makes it"),
        ("sqlite:", "write sqlite: and the path of a file"),
        ("postgres://me:hunter2@host:port/db", "write postgres://user:password@host"),
        ("postgres://me:hunter2@127.0.0.1:1/db", "check host and port"),
    ] {
        let told = told_of_store(url).await;
        assert!(told.contains(advice), "{told}");
    }
    std::fs::write(folder.path().join("jobs.db"), "").unwrap();
    let told = told_of_store(&file).await;
    assert!(told.contains("run `retouch migrate` first"), "{told}");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn the_database_is_reached_or_says_why_not() {
    let server = retouch_testkit::case::server_url("RETOUCH_TEST_POSTGRES");
    let (start, _) = server.rsplit_once('/').unwrap();
    let (_, host) = start.rsplit_once('@').unwrap();
    let told = told_of_store(&format!("postgres://nobody:hunter2@{host}/postgres")).await;
    assert!(told.contains("does not accept the user or password"), "{told}");
    let told = told_of_store(&format!("{start}/no_such_database")).await;
    assert!(told.contains("does not exist; create it"), "{told}");
}

#[cfg(not(all(
    feature = "postgres",
    feature = "rabbitmq",
    feature = "redis",
    feature = "s3",
    feature = "sqlite"
)))]
#[tokio::test]
async fn a_backend_that_is_compiled_out_says_so() {
    let settings = with_store("sqlite:x", "amqp://host", "s3://bucket", "redis://host");
    let postgres = with_store("postgres://host/db", "local:", "file:x", "local:");
    let errors = [
        stores::store(&settings.store, &process()).await.err(),
        stores::migrate(&postgres.store).await.err(),
        backends::queue(&settings.queue, &process()).await.err(),
        backends::blobs(&settings.blobs, &process()).await.err(),
        backends::live(&settings.live, &process()).err(),
    ];
    let compiled_out = |error: &&Option<retouch_bootstrap::BackendError>| {
        matches!(error, Some(retouch_bootstrap::BackendError::CompiledOut { .. }))
    };
    assert!(errors.iter().filter(compiled_out).count() > 0);
}
