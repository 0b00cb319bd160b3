//! Reading blobs as their bytes come.

use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use futures_util::{StreamExt, stream};
use retouch_ports::blob::{Blob, BlobKey, Result};
use retouch_ports::{PortError, PortErrorKind};

use crate::S3BlobStore;
use crate::error::{failed, is_missing, is_out_of_range};

pub(crate) async fn get(
    store: &S3BlobStore,
    key: &BlobKey,
    range: Option<Range<u64>>,
) -> Result<Option<Blob>> {
    let invalid = |range: &Range<u64>| {
        let text = format!("bytes {} to {} of blob {key} cannot be read", range.start, range.end);
        PortError::new(PortErrorKind::Invalid, text)
    };
    let mut get = store.client.get_object().bucket(&store.bucket).key(store.object(key));
    if let Some(range) = &range {
        if range.is_empty() {
            return Err(invalid(range));
        }
        get = get.range(format!("bytes={}-{}", range.start, range.end - 1));
    }
    let answer = match (get.send().await, &range) {
        (Ok(answer), _) => answer,
        (Err(error), _) if is_missing(&error) => return Ok(None),
        (Err(error), Some(range)) if is_out_of_range(&error) => {
            return Err(invalid(range).with_source(error));
        }
        (Err(error), _) => return Err(failed(store.what("reading", key), error)),
    };
    let what = store.what("reading", key);
    let Some(size) = whole_size(&answer) else {
        let text = format!("{what} failed: the answer does not say how many bytes it has");
        return Err(PortError::new(PortErrorKind::Incompatible, text));
    };
    // The client compares the bytes with the length that was announced.
    let body = stream::try_unfold(answer.body, move |mut body| {
        let what = what.clone();
        async move {
            match body.try_next().await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, body))),
                Err(error) => {
                    let text = format!("{what} broke off: the store is not reached");
                    Err(PortError::new(PortErrorKind::Unavailable, text).with_source(error))
                }
            }
        }
    });
    Ok(Some(Blob { size, body: body.boxed() }))
}

/// Bytes of the whole blob: of a part, `Content-Range: bytes 0-9/100` says it.
fn whole_size(answer: &GetObjectOutput) -> Option<u64> {
    match answer.content_range() {
        Some(range) => range.rsplit_once('/')?.1.parse().ok(),
        None => answer.content_length()?.try_into().ok(),
    }
}
