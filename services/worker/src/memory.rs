//! A blob store in memory, for tests of what reads and writes blobs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use retouch_ports::blob::{
    Blob, ContentHash, DownloadAs, Listed, PutOptions, Result as BlobResult, Stored, bytes_stream,
};
use retouch_ports::{BlobKey, BlobStore, ByteStream};
use sha2::{Digest, Sha256};

/// Blobs by key.
#[derive(Default)]
pub(crate) struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

impl Memory {
    pub(crate) fn write(&self, key: String, bytes: Vec<u8>) {
        self.0.lock().expect("no panic").insert(key, bytes);
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.0.lock().expect("no panic").keys().cloned().collect()
    }

    pub(crate) fn read(&self, key: &str) -> Vec<u8> {
        self.0.lock().expect("no panic").get(key).expect("a file").clone()
    }
}

#[async_trait]
impl BlobStore for Memory {
    async fn put(&self, key: &BlobKey, body: ByteStream, _: &PutOptions) -> BlobResult<Stored> {
        let bytes = Blob { size: 0, body }.bytes().await?;
        let stored = Stored { size: bytes.len() as u64, hash: ContentHash(Sha256::digest(&bytes).into()) };
        self.0.lock().expect("no panic").insert(key.to_string(), bytes);
        Ok(stored)
    }

    async fn get(&self, key: &BlobKey, _: Option<Range<u64>>) -> BlobResult<Option<Blob>> {
        let found = self.0.lock().expect("no panic").get(key.as_str()).cloned();
        Ok(found.map(|bytes| Blob { size: bytes.len() as u64, body: bytes_stream(bytes) }))
    }

    async fn size(&self, key: &BlobKey) -> BlobResult<Option<u64>> {
        Ok(self.0.lock().expect("no panic").get(key.as_str()).map(|bytes| bytes.len() as u64))
    }

    async fn delete(&self, _: &BlobKey) -> BlobResult<()> {
        Ok(())
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> BlobResult<Vec<Listed>> {
        Ok(Vec::new())
    }

    async fn presign_get(&self, _: &BlobKey, _: Duration, _: &DownloadAs) -> BlobResult<Option<String>> {
        Ok(None)
    }

    async fn presign_put(&self, _: &BlobKey, _: Duration, _: u64) -> BlobResult<Option<String>> {
        Ok(None)
    }

    async fn check(&self) -> BlobResult<()> {
        Ok(())
    }
}
