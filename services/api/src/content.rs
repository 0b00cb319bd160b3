//! The bytes of a blob as an answer: whole, a range, or the address where they are.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use retouch_ports::BlobKey;
use retouch_ports::blob::DownloadAs;

use crate::app::App;
use crate::problem::{Answer, Problem};

/// How long an address of a blob leads to it.
const ADDRESS_VALID: Duration = Duration::from_secs(15 * 60);

/// What an answer says of the bytes.
pub(crate) struct Described<'a> {
    /// Their media type.
    pub(crate) media_type: &'a str,
    /// Their SHA-256 in hexadecimal: the entity tag.
    pub(crate) hash: &'a str,
    /// The name that they are saved under.
    pub(crate) file_name: String,
}

/// Answers with the bytes of a blob; with the address of a store that has one to give; with nothing where the caller has
/// them already.
pub(crate) async fn answer(
    app: &App,
    key: &BlobKey,
    described: &Described<'_>,
    headers: &HeaderMap,
) -> Answer<Response> {
    let tag = format!("\"{}\"", described.hash);
    if matches_tag(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let download = DownloadAs {
        file_name: Some(described.file_name.clone()),
        content_type: Some(described.media_type.to_owned()),
    };
    let Some(size) = app.blobs.size(key).await? else { return Err(Problem::not_found("file")) };
    if let Some(url) = app.blobs.presign_get(key, ADDRESS_VALID, &download).await? {
        let headers = [(header::LOCATION, url), (header::CACHE_CONTROL, "no-store".to_owned())];
        return Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response());
    }
    let range = match requested(headers, size) {
        Asked::Whole => None,
        Asked::Part(range) => Some(range),
        Asked::Behind => return Ok(behind(size)),
    };
    let Some(blob) = app.blobs.get(key, range.clone()).await? else { return Err(Problem::not_found("file")) };
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let part = range.unwrap_or(0..size);
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, described.media_type)
        .header(header::CONTENT_LENGTH, part.end - part.start)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::ETAG, tag)
        .header(header::CONTENT_DISPOSITION, format!("inline; filename=\"{}\"", described.file_name));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        response = response.header(header::CONTENT_RANGE, range);
    }
    response.body(Body::from_stream(blob.body.fuse())).map_err(|_| Problem::not_found("file"))
}

/// Whether the caller has what this tag names.
pub(crate) fn matches_tag(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known
        .flat_map(|list| list.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known == tag.trim_start_matches("W/"))
}

fn behind(size: u64) -> Response {
    let problem = Problem::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range_invalid",
        "the range begins behind the file's end",
    );
    let mut response = problem.into_response();
    if let Ok(value) = format!("bytes */{size}").parse() {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

/// Which bytes are asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    /// A part that begins behind the end.
    Behind,
}

/// One range of bytes is honoured. What is none, or are several, is answered whole, as RFC 9110 allows.
fn requested(headers: &HeaderMap, size: u64) -> Asked {
    let text = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    // Whoever makes the range depend on a tag or date knows an older file; files never change.
    let Some(text) = text.and_then(|text| text.strip_prefix("bytes=")) else { return Asked::Whole };
    let Some((first, last)) = text.split_once('-') else { return Asked::Whole };
    let range = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.trim().is_empty() => first..size,
        (Err(_), Ok(count)) if first.trim().is_empty() => size.saturating_sub(count)..size,
        _ => return Asked::Whole,
    };
    if range.start >= range.end { Asked::Behind } else { Asked::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_honoured() {
        for (text, expected) in [
            ("bytes=0-3", Asked::Part(0..4)),
            ("bytes=4-", Asked::Part(4..10)),
            ("bytes=-3", Asked::Part(7..10)),
            ("bytes=-99", Asked::Part(0..10)),
            ("bytes=8-99", Asked::Part(8..10)),
            ("bytes=10-", Asked::Behind),
            ("bytes=-0", Asked::Behind),
            ("bytes=3-1", Asked::Whole),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=18446744073709551615-18446744073709551615", Asked::Behind),
            ("lines=0-1", Asked::Whole),
        ] {
            let headers = HeaderMap::from_iter([(header::RANGE, text.parse().unwrap())]);
            assert_eq!(requested(&headers, 10), expected, "{text}");
        }
        assert_eq!(requested(&HeaderMap::new(), 10), Asked::Whole);
    }

    #[test]
    fn a_tag_among_several_matches() {
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, "\"a\", W/\"b\"".parse().unwrap())]);
        assert!(
            matches_tag(&headers, "\"b\"")
                && matches_tag(&headers, "W/\"a\"")
                && !matches_tag(&headers, "\"c\"")
        );
    }
}
