//! A shard from the pairs that are there, streamed from store to store.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use retouch_ports::blob::PutOptions;
use retouch_ports::files::run_folder;
use retouch_ports::jobs::pairs::{MAX_PACKED, Pack, PackedShard};
use retouch_ports::store::Claimed;
use retouch_ports::{BlobKey, BlobStore, ByteStream, PortError, PortErrorKind};
use serde_json::{Value, json};

use super::{PARTS, PairError, check, key, payload, report, shard};
use crate::run::RunHandle;

/// Files that are read ahead.
const READ_AHEAD: usize = 8;

pub(super) async fn run(
    blobs: &Arc<dyn BlobStore>,
    job: &Claimed,
    handle: &RunHandle,
) -> Result<Value, PairError> {
    let pack: Pack = payload(job)?;
    check(pack.first, pack.count, MAX_PACKED)?;
    let name = |number, part| key(job.tenant, job.batch, &pack.set, number, part);
    let mut members: Vec<(String, BlobKey)> = Vec::new();
    for number in pack.first..pack.first + pack.count {
        if let Some(stop) = handle.stop() {
            return Err(PairError::Stopped(stop));
        }
        if blobs.size(&name(number, PARTS[2])?).await?.is_some() {
            for part in PARTS {
                members.push((format!("{number:08}.{part}"), name(number, part)?));
            }
        }
    }
    if members.is_empty() {
        let (first, last) = (pack.first, pack.first + pack.count - 1);
        return Err(PairError::Empty { set: pack.set, first, last });
    }
    let samples = (members.len() / PARTS.len()) as u64;
    let folder = run_folder(job.tenant, job.batch, job.fence);
    let key: BlobKey = format!("{folder}{:05}.tar", pack.shard)
        .parse()
        .map_err(|_| PairError::Payload { reason: "shard".to_owned() })?;
    let options = PutOptions { content_type: Some("application/x-tar".to_owned()), ..PutOptions::default() };
    let stored = tokio::select! {
        stored = blobs.put(&key, body(blobs.clone(), members), &options) => stored?,
        stop = handle.stopped() => return Err(PairError::Stopped(stop)),
    };
    report(handle, samples, samples);
    let hash = stored.hash.to_string();
    Ok(json!(PackedShard { key: key.to_string(), samples, bytes: stored.size, hash }))
}

/// The bytes of a shard with these members, read as they are wanted.
fn body(blobs: Arc<dyn BlobStore>, members: Vec<(String, BlobKey)>) -> ByteStream {
    let read = move |(name, key): (String, BlobKey)| {
        let blobs = blobs.clone();
        async move {
            let gone = || PortError::new(PortErrorKind::NotFound, format!("{key} is not there any more"));
            let bytes = blobs.get(&key, None).await?.ok_or_else(gone)?.bytes().await?;
            let member = shard::member(&name, &bytes);
            let internal = |error| PortError::new(PortErrorKind::Internal, "a tar header").with_source(error);
            member.map(Bytes::from).map_err(internal)
        }
    };
    let end = stream::once(async { Ok(Bytes::from(shard::end())) });
    stream::iter(members).map(read).buffered(READ_AHEAD).chain(end).boxed()
}
