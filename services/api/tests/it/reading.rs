//! What came of a batch: by cursor, and as one archive.

use std::io::{Cursor, Read};

use axum::http::{StatusCode, header};
use retouch_domain::{Band, JobId};
use serde_json::{Value, json};
use zip::ZipArchive;

use crate::batches::{id_of, lines, submit};
use crate::edits::edit;
use crate::files::png;
use crate::{Server, Tenant};

/// A batch of good edits with these keys.
async fn batch(api: &Server, tenant: &Tenant, keys: &[Option<&str>]) -> (String, Vec<JobId>) {
    let one = edit(api, tenant).await;
    let row = |key: &Option<&str>| {
        let mut row = one.clone();
        if let Some(key) = key {
            row["key"] = json!(key);
        }
        row
    };
    let rows: Vec<Value> = keys.iter().map(row).collect();
    let id = id_of(&submit(api, tenant, json!({"jobs": rows})).await);
    let jobs = api.get(&format!("/v1/batches/{id}/jobs"), &tenant.read).await.json();
    let jobs =
        jobs["jobs"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().parse().unwrap());
    (id, jobs.collect())
}

async fn archive(api: &Server, tenant: &Tenant, id: &str) -> ZipArchive<Cursor<Vec<u8>>> {
    let answer = api.get(&format!("/v1/batches/{id}/archive.zip"), &tenant.read).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/zip");
    assert_eq!(answer.header(header::CONTENT_DISPOSITION), format!("attachment; filename=\"{id}.zip\""));
    ZipArchive::new(Cursor::new(answer.body.to_vec())).unwrap()
}

fn read(archive: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn all_results_come_in_one_archive() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let keys = [Some("a/vase.jpg"), Some("b/vase.png"), None, Some("../../etc/passwd"), Some("bad"), None];
    let (id, jobs) = batch(&api, &tenant, &keys).await;
    let names = |archive: &ZipArchive<Cursor<Vec<u8>>>| -> Vec<String> {
        archive.file_names().map(|name| name.unwrap().into_owned()).collect()
    };
    assert_eq!(names(&archive(&api, &tenant, &id).await), ["results.jsonl", "errors.jsonl"]);
    let hands = api.hands();
    for (place, job) in jobs[..4].iter().enumerate() {
        let run = hands.claim(tenant.id, *job, Band::Bulk).await;
        hands.succeed(&run, &png(2, 2 + place as u32)).await;
    }
    hands.fail(&hands.claim(tenant.id, jobs[4], Band::Bulk).await).await;

    let mut found = archive(&api, &tenant, &id).await;
    let images = ["vase.png", "vase-000002.png", "000003.png", "passwd.png"];
    assert_eq!(names(&found), [&images[..], &["results.jsonl", "errors.jsonl"]].concat());
    for (place, name) in images.iter().enumerate() {
        assert_eq!(read(&mut found, name), png(2, 2 + place as u32), "{name}");
    }
    let objects = |bytes: Vec<u8>| -> Vec<Value> {
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
    };
    let results = objects(read(&mut found, "results.jsonl"));
    let told: Vec<_> = results.iter().map(|job| (job["id"].clone(), job["files"].clone())).collect();
    let expected: Vec<_> =
        jobs.iter().zip(images).map(|(job, name)| (json!(job.to_string()), json!([name]))).collect();
    assert_eq!(told, expected);
    let errors = objects(read(&mut found, "errors.jsonl"));
    assert_eq!((errors.len(), &errors[0]["error"]["code"]), (1, &json!("image_corrupt")));
}

/// A file that vanished is no archive with a hole: the answer breaks off.
#[tokio::test]
async fn an_archive_that_cannot_be_whole_breaks_off() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let (id, jobs) = batch(&api, &tenant, &[Some("a")]).await;
    let hands = api.hands();
    hands.succeed(&hands.claim(tenant.id, jobs[0], Band::Bulk).await, &png(2, 2)).await;
    let output = api.store.job(tenant.id, jobs[0]).await.unwrap().unwrap().output.unwrap();
    let key = output["files"][0]["key"].as_str().unwrap().parse().unwrap();
    api.blobs.delete(&key).await.unwrap();
    assert!(api.broken_off(&format!("/v1/batches/{id}/archive.zip"), &tenant.read).await);
}

#[tokio::test]
async fn a_reader_goes_on_where_it_was() {
    let api = Server::start().await;
    let tenant = api.tenant().await;
    let (id, jobs) = batch(&api, &tenant, &[Some("a"), Some("b"), Some("c")]).await;
    let hands = api.hands();
    let read = async |name: &str, after: &str| {
        lines(&api.get(&format!("/v1/batches/{id}/{name}?after={after}"), &tenant.read).await)
    };
    assert_eq!(read("results.jsonl", "0-0").await, Vec::<Value>::new());
    for job in [jobs[2], jobs[0]] {
        hands.succeed(&hands.claim(tenant.id, job, Band::Bulk).await, &png(2, 2)).await;
    }
    // In the order in which they ended.
    let both = read("results.jsonl", "0-0").await;
    let keys: Vec<_> = both.iter().map(|job| job["key"].clone()).collect();
    assert_eq!(keys, ["c", "a"]);
    let place = |job: &Value| job["cursor"].as_str().unwrap().to_owned();
    assert_eq!(read("results.jsonl", &place(&both[0])).await, both[1..]);
    assert_eq!(read("results.jsonl", &place(&both[1])).await, Vec::<Value>::new());

    hands.fail(&hands.claim(tenant.id, jobs[1], Band::Bulk).await).await;
    let failed = read("errors.jsonl", &place(&both[1])).await;
    assert_eq!((failed.len(), &failed[0]["key"]), (1, &json!("b")));
    assert_eq!(read("results.jsonl", &place(&both[1])).await, Vec::<Value>::new());
    api.post(&format!("/v1/jobs/{}/retry", jobs[1]), &tenant.write, json!({})).await;
    assert_eq!(read("errors.jsonl", "0-0").await, Vec::<Value>::new());
    hands.fail(&hands.claim(tenant.id, jobs[1], Band::Bulk).await).await;
    let again = read("errors.jsonl", &place(&failed[0])).await;
    assert_eq!((again.len(), &again[0]["key"]), (1, &json!("b")));

    for wrong in ["x", "1", "1-", "-1", "1-x"] {
        let answer = api.get(&format!("/v1/batches/{id}/results.jsonl?after={wrong}"), &tenant.read).await;
        assert_eq!(answer.problem(), (422, "invalid_request".to_owned()), "{wrong}");
    }
    let far = read("results.jsonl", &format!("{}-{}", u64::MAX, u64::MAX)).await;
    assert_eq!(far, Vec::<Value>::new());
}
