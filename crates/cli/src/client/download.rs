//! `retouch fetch`: results as files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use retouch_cli::failure::{Blame, Failure, print};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::server::{Server, broken};
use super::watch::WatchArgs;

pub(super) async fn run(args: &WatchArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let folder = args.output.as_ref().ok_or_else(|| {
        Failure::new(Blame::Parameters, "usage_invalid", "say where to: --output DIR".to_owned())
    })?;
    let mut downloads = Downloads::new(folder)?;
    downloads.take(&server, &args.batch).await?;
    if args.server.json {
        print(&json!({ "files": downloads.files().collect::<Vec<_>>() }))?;
    } else {
        print(&format_args!("{} files in {}", downloads.written.len(), folder.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Results in a folder. A file that is there under its name is whole, and not fetched again.
pub(super) struct Downloads {
    folder: PathBuf,
    /// Jobs whose files are there.
    done: BTreeSet<String>,
    /// Names of files, which no two results share.
    written: BTreeSet<String>,
}

impl Downloads {
    pub(super) fn new(folder: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
        Ok(Self { folder: folder.to_owned(), done: BTreeSet::new(), written: BTreeSet::new() })
    }

    /// How many jobs' files are there.
    pub(super) fn jobs(&self) -> u64 {
        self.done.len() as u64
    }

    /// The files, in order of their names.
    pub(super) fn files(&self) -> impl Iterator<Item = String> {
        self.written.iter().map(|name| self.folder.join(name).display().to_string())
    }

    /// Fetches what has succeeded since the last time.
    pub(super) async fn take(&mut self, server: &Server, batch: &str) -> Result<(), Failure> {
        for job in lines(server, &format!("/v1/batches/{batch}/results.jsonl")).await? {
            let id = job["id"].as_str().unwrap_or_default();
            if !self.done.contains(id) {
                for (name, file) in files_of(&job) {
                    self.fetch(server, &name, file).await?;
                }
                self.done.insert(id.to_owned());
            }
        }
        Ok(())
    }

    async fn fetch(&mut self, server: &Server, wanted: &str, file: &Value) -> Result<(), Failure> {
        let mut name = wanted.to_owned();
        let mut number = 2;
        while self.written.contains(&name) {
            let (stem, extension) = wanted.rsplit_once('.').unwrap_or((wanted, ""));
            name = format!("{stem}-{number}.{extension}");
            number += 1;
        }
        let path = self.folder.join(&name);
        if std::fs::metadata(&path).ok().map(|metadata| metadata.len()) != file["bytes"].as_u64() {
            let part = self.folder.join(format!(".{name}.part"));
            let mut body = server.download(file["url"].as_str().unwrap_or_default()).await?;
            let failed = |error| Failure::file("write", &part, &error);
            let mut written = tokio::fs::File::create(&part).await.map_err(failed)?;
            while let Some(bytes) = body.chunk().await.map_err(|error| broken(&error))? {
                written.write_all(&bytes).await.map_err(failed)?;
            }
            written.sync_all().await.map_err(failed)?;
            tokio::fs::rename(&part, &path).await.map_err(failed)?;
        }
        self.written.insert(name);
        Ok(())
    }
}

/// The files of a job under their names: images, or a shard.
fn files_of(job: &Value) -> Vec<(String, &Value)> {
    let images = job["images"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = |(index, image)| (file_name(job, image, index, images.len()), image);
    let mut files: Vec<(String, &Value)> = images.iter().enumerate().map(named).collect();
    if let Some(name) = job["shard"]["name"].as_str() {
        let inside = !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
        files.push((if inside { name } else { "shard.tar" }.to_owned(), &job["shard"]));
    }
    files
}

/// What a result is called: as its input was, or as its job is. Names come from the server: none leads out of the folder.
fn file_name(job: &Value, image: &Value, index: usize, images: usize) -> String {
    let extension = match image["media_type"].as_str() {
        Some("image/jpeg") => "jpg",
        Some("image/webp") => "webp",
        _ => "png",
    };
    let name = name(job);
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem).trim_start_matches('.');
    let stem = if stem.is_empty() { job["id"].as_str().unwrap_or("result") } else { stem };
    let number = if images > 1 { format!("-{index}") } else { String::new() };
    format!("{stem}{number}.{extension}")
}

/// Your name of a job, without what keeps it apart from others, or its id.
pub(super) fn name(job: &Value) -> String {
    let key = job["key"].as_str().or_else(|| job["id"].as_str()).unwrap_or_default();
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    name.chars().map(|c| if c.is_control() || c == '\\' { '_' } else { c }).collect()
}

/// The objects of a JSONL answer.
pub(super) async fn lines(server: &Server, path: &str) -> Result<Vec<Value>, Failure> {
    let body = server.download(path).await?.bytes().await.map_err(|error| broken(&error))?;
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| broken(&error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_called_as_their_inputs_and_stay_in_the_folder() {
        let image = json!({"media_type": "image/png"});
        let named = |key: Value, images: usize| file_name(&json!({"id": "7", "key": key}), &image, 1, images);
        assert_eq!(named(json!("token/vase.jpg"), 1), "vase.png");
        assert_eq!(named(json!("vase"), 2), "vase-1.png");
        assert_eq!(named(Value::Null, 1), "7.png");
        for hostile in ["../../etc/passwd", "x/..", "a\\..\\b", "/etc/passwd", ".bashrc", "\u{0}"] {
            let name = named(json!(hostile), 1);
            assert!(
                !name.contains('/') && !name.starts_with('.') && !name.contains('\0'),
                "{hostile}: {name}"
            );
        }
    }
}
