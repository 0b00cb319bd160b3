//! Uploads and downloads.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use retouch_api::Options;
use retouch_imaging::{EncodeOptions, OutputFormat, RgbImage};

use crate::{Answered, Server};

/// A PNG of this size.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let pixels = (0..width * height * 3).map(|place| (place % 251) as u8).collect();
    let image = RgbImage::from_raw(width, height, pixels).unwrap();
    retouch_imaging::encode(&image, &EncodeOptions::new(OutputFormat::Png), None).unwrap()
}

#[tokio::test]
async fn a_file_is_kept_once_and_comes_back() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let bytes = png(6, 4);
    let first = api.upload(&tenant.write, "text/plain", bytes.clone()).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let again = api.upload(&tenant.write, "image/png", bytes.clone()).await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, first.json()));
    let file = first.json();
    let id = file["id"].as_str().unwrap();
    assert_eq!(
        (&file["media_type"], &file["width"], &file["height"]),
        (&"image/png".into(), &6.into(), &4.into())
    );
    assert_eq!(api.get(&format!("/v1/files/{id}"), &tenant.read).await.json(), file);
    let content = api.get(&format!("/v1/files/{id}/content"), &tenant.read).await;
    assert_eq!((content.status, content.header(header::CONTENT_TYPE)), (StatusCode::OK, "image/png"));
    assert_eq!(content.body, bytes);
}

#[tokio::test]
async fn ranges_and_tags_are_honoured() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let bytes = png(6, 4);
    let file = api.upload(&tenant.write, "image/png", bytes.clone()).await.json();
    let path = format!("/v1/files/{}/content", file["id"].as_str().unwrap());
    let with = async |name: header::HeaderName, value: &str| -> Answered {
        let request = Request::get(&path)
            .header(header::AUTHORIZATION, format!("Bearer {}", tenant.read))
            .header(name, value)
            .body(Body::empty());
        api.send(request.unwrap()).await
    };
    let part = with(header::RANGE, "bytes=2-5").await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &bytes[2..6]));
    assert_eq!(part.header(header::CONTENT_RANGE), format!("bytes 2-5/{}", bytes.len()));
    let behind = with(header::RANGE, "bytes=99999-").await;
    assert_eq!(behind.header(header::CONTENT_RANGE), format!("bytes */{}", bytes.len()));
    assert_eq!(behind.problem(), (416, "range_invalid".to_owned()));
    let tag = api.get(&path, &tenant.read).await.header(header::ETAG).to_owned();
    let known = with(header::IF_NONE_MATCH, &tag).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn what_is_no_image_is_refused_by_name() {
    let options = crate::options();
    let image = retouch_imaging::Limits { bytes: 4096, pixels: 100, ..options.image };
    let api = Server::with(Options { image, file_bytes: 1000, ..options }).await;
    let tenant = api.tenant().await;
    let refused = async |kind: &str, bytes: Vec<u8>| api.upload(&tenant.write, kind, bytes).await.problem();
    let unsupported = (415, "image_format_unsupported".to_owned());
    assert_eq!(refused("image/png", b"GIF89a...".to_vec()).await, unsupported);
    assert_eq!(refused("text/plain", b"{}\n".to_vec()).await, unsupported);
    assert_eq!(refused("image/png", Vec::new()).await, (422, "image_empty".to_owned()));
    assert_eq!(refused("image/png", png(11, 10)).await, (422, "image_too_large".to_owned()));
    assert_eq!(refused("image/png", png(4, 4)[..20].to_vec()).await, (422, "image_truncated".to_owned()));
    let mut long = png(4, 4);
    long.resize(5000, 0);
    assert_eq!(refused("image/png", long).await, (413, "body_too_large".to_owned()));
    assert_eq!(refused("application/jsonl", vec![b' '; 1001]).await, (413, "body_too_large".to_owned()));
    let rows = api.upload(&tenant.write, "application/jsonl; charset=utf-8", "{}\n").await;
    assert_eq!(
        (rows.status, rows.json()["media_type"].as_str()),
        (StatusCode::CREATED, Some("application/jsonl"))
    );
}

#[tokio::test]
async fn only_ids_of_ones_own_files_lead_to_files() {
    let api = Server::start().await;
    let (tenant, other) = (api.tenant().await, api.tenant().await);
    let file = api.upload(&tenant.write, "image/png", png(3, 3)).await.json();
    let id = file["id"].as_str().unwrap();
    for (name, key) in [
        (id, &other.admin),
        (&id[1..], &tenant.admin),
        (&id.to_uppercase(), &tenant.admin),
        (&"0".repeat(64), &tenant.admin),
        ("..%2F..%2Fjobs.db", &tenant.admin),
    ] {
        for path in [format!("/v1/files/{name}"), format!("/v1/files/{name}/content")] {
            assert_eq!(api.get(&path, key).await.problem(), (404, "not_found".to_owned()), "{path}");
        }
    }
}
