//! Blobs as files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};

use retouch_local::FileBlobStore;
use retouch_ports::PortErrorKind;
use retouch_ports::blob::{BlobStore, PutOptions, bytes_stream};
use retouch_testkit::blob::key;
use tempfile::TempDir;

async fn open(root: &Path) -> FileBlobStore {
    FileBlobStore::open(root).await.unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    let roots = Mutex::new(Vec::<TempDir>::new());
    let fresh = async || {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        roots.lock().unwrap().push(root);
        Arc::new(store) as Arc<dyn BlobStore>
    };
    retouch_testkit::blob::suite(fresh).await;
    for root in roots.into_inner().unwrap() {
        assert_eq!(names(&root.path().join(".tmp")), [""; 0], "no call leaves a partial file");
    }
}

#[tokio::test]
async fn links_are_never_followed() {
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(root.path()).await;
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), root.path().join("folder")).unwrap();
    symlink(outside.path().join("secret"), root.path().join("file")).unwrap();

    for name in ["folder/secret", "file"] {
        let error = store.get(&key(name), None).await.err().unwrap();
        assert_eq!(error.kind(), PortErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }
    for name in ["folder/new", "folder/deep/new"] {
        let put = store.put(&key(name), bytes_stream("x"), &PutOptions::default()).await;
        assert_eq!(put.unwrap_err().kind(), PortErrorKind::Corrupt);
    }
    store.delete(&key("folder/secret")).await.unwrap_err();
    assert_eq!(store.list("", None, 10).await.unwrap(), []);
    // A link in the place of a blob is replaced, and what it points to stays.
    store.put(&key("file"), bytes_stream("mine"), &PutOptions::default()).await.unwrap();
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
    assert_eq!(names(outside.path()), ["secret"]);
}

#[tokio::test]
async fn what_a_killed_writer_left_is_removed_and_what_is_being_written_is_not() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).await);
    fs::write(root.path().join(".tmp/1-0"), "left behind").unwrap();
    let writing = fs::File::create(root.path().join(".tmp/2-0")).unwrap();
    writing.lock().unwrap();
    open(root.path()).await;
    assert_eq!(names(&root.path().join(".tmp")), ["2-0"]);
}

#[tokio::test]
async fn empty_folders_go_with_their_last_blob() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    for name in ["t/1/a", "t/1/b", "t/2/c"] {
        store.put(&key(name), bytes_stream("x"), &PutOptions::default()).await.unwrap();
    }
    store.delete(&key("t/1/a")).await.unwrap();
    assert_eq!(names(&root.path().join("t")), ["1", "2"]);
    store.delete(&key("t/1/b")).await.unwrap();
    assert_eq!(names(&root.path().join("t")), ["2"]);
    store.delete(&key("t/2/c")).await.unwrap();
    assert_eq!(names(root.path()), [".tmp"]);
}

#[tokio::test]
async fn a_name_that_a_folder_has_is_a_conflict() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    store.put(&key("a/b"), bytes_stream("x"), &PutOptions::default()).await.unwrap();
    for name in ["a", "a/b/c"] {
        let put = store.put(&key(name), bytes_stream("y"), &PutOptions::default()).await;
        assert_eq!(put.unwrap_err().kind(), PortErrorKind::Conflict, "{name}");
        assert_eq!(store.size(&key(name)).await.unwrap(), None);
        assert!(store.get(&key(name), None).await.unwrap().is_none());
        store.delete(&key(name)).await.unwrap();
    }
    assert_eq!(store.size(&key("a/b")).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_root_that_is_no_folder_is_named() {
    let root = tempfile::NamedTempFile::new().unwrap();
    let error = FileBlobStore::open(root.path()).await.err().unwrap();
    assert!(error.to_string().contains(root.path().to_str().unwrap()), "{error}");
}
