//! `retouch fetch`: results as files, or as one archive.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use reqwest::Response;
use retouch_api::names::{Image, Names, Owner};
use retouch_cli::failure::{Failure, print};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::lines::Lines;
use super::server::{Server, ServerArgs, broken};

#[derive(Args)]
#[command(group = clap::ArgGroup::new("place").required(true))]
pub(crate) struct FetchArgs {
    /// The id of the batch
    batch: String,
    /// Put each result into a file of this folder
    #[arg(short, long, value_name = "DIR", group = "place")]
    output: Option<PathBuf>,
    /// Put all results, and what the server tells of them, into this zip archive
    #[arg(long, value_name = "FILE", group = "place")]
    zip: Option<PathBuf>,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub(super) async fn run(args: &FetchArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let (files, told) = match (&args.zip, &args.output) {
        (Some(file), _) => {
            let body = server.download(&format!("/v1/batches/{}/archive.zip", args.batch)).await?;
            let bytes = save(body, file).await?;
            (vec![file.display().to_string()], format!("{}: {bytes} bytes", file.display()))
        }
        (None, folder) => {
            let folder = folder.as_deref().unwrap_or(Path::new("."));
            let mut downloads = Downloads::new(folder)?;
            downloads.take_all(&server, &args.batch).await?;
            let told = format!("{} files in {}", downloads.written.len(), folder.display());
            (downloads.files().collect(), told)
        }
    };
    if args.server.json {
        print(&json!({ "files": files }))?;
    } else {
        print(&told)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a body to a file, which is there whole or not at all. Answers its size.
async fn save(mut body: Response, path: &Path) -> Result<u64, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let part = path.with_file_name(format!(".{name}.part"));
    let failed = |error| Failure::file("write", &part, &error);
    let mut file = tokio::fs::File::create(&part).await.map_err(failed)?;
    let mut size = 0;
    while let Some(bytes) = body.chunk().await.map_err(|error| broken(&error))? {
        file.write_all(&bytes).await.map_err(failed)?;
        size += bytes.len() as u64;
    }
    file.sync_all().await.map_err(failed)?;
    tokio::fs::rename(&part, path).await.map_err(failed)?;
    Ok(size)
}

/// Results in a folder. A file that is there under its name with the bytes of the result is not fetched again.
pub(super) struct Downloads {
    folder: PathBuf,
    names: Names,
    /// Jobs whose files are there.
    done: HashSet<String>,
    written: BTreeSet<String>,
    /// Up to where results were read in the order in which they came.
    place: String,
}

impl Downloads {
    pub(super) fn new(folder: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
        Ok(Self {
            folder: folder.to_owned(),
            names: Names::default(),
            done: HashSet::new(),
            written: BTreeSet::new(),
            place: "0-0".to_owned(),
        })
    }

    /// How many jobs' files are there.
    pub(super) fn jobs(&self) -> u64 {
        self.done.len() as u64
    }

    /// The files, in order of their names.
    pub(super) fn files(&self) -> impl Iterator<Item = String> {
        self.written.iter().map(|name| self.folder.join(name).display().to_string())
    }

    /// Fetches what came since the last time. What came just now may be left out until the next time.
    pub(super) async fn take(&mut self, server: &Server, batch: &str) -> Result<(), Failure> {
        let mut lines =
            Lines::of(server, &format!("/v1/batches/{batch}/results.jsonl?after={}", self.place)).await?;
        while let Some(job) = lines.next().await? {
            self.job(server, &job).await?;
            self.place = job["cursor"].as_str().unwrap_or("0-0").to_owned();
        }
        Ok(())
    }

    /// Fetches everything that is there.
    pub(super) async fn take_all(&mut self, server: &Server, batch: &str) -> Result<(), Failure> {
        let mut lines = Lines::of(server, &format!("/v1/batches/{batch}/results.jsonl")).await?;
        while let Some(job) = lines.next().await? {
            self.job(server, &job).await?;
        }
        Ok(())
    }

    async fn job(&mut self, server: &Server, job: &Value) -> Result<(), Failure> {
        let id = job["id"].as_str().unwrap_or_default();
        if self.done.contains(id) {
            return Ok(());
        }
        let images = job["images"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (index, image) in images.iter().enumerate() {
            let name = self.name(job, index, images)?;
            self.fetch(server, &name, image).await?;
            self.written.insert(name);
        }
        if let Some(name) = job["shard"]["name"].as_str() {
            // Names come from the server: none leads out of the folder.
            let inside = !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
            let name = if inside { name } else { "shard.tar" };
            self.fetch(server, name, &job["shard"]).await?;
            self.written.insert(name.to_owned());
        }
        self.done.insert(id.to_owned());
        Ok(())
    }

    /// What a result is called. The name leads out of no folder, whatever the server says.
    fn name(&mut self, job: &Value, index: usize, images: &[Value]) -> Result<String, Failure> {
        let text = |name: &str| job[name].as_str().unwrap_or_default();
        let owner = Owner {
            batch: text("batch").parse().map_err(|error| broken(&error))?,
            job: text("id").parse().map_err(|error| broken(&error))?,
            key: job["key"].as_str(),
        };
        let media_type = images[index]["media_type"].as_str().unwrap_or_default();
        Ok(self.names.give(owner, Image { index, of: images.len(), media_type }))
    }

    async fn fetch(&self, server: &Server, name: &str, image: &Value) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let size = std::fs::metadata(&path).ok().map(|metadata| metadata.len());
        if size.is_some() && size == image["bytes"].as_u64() {
            let bytes = std::fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
            let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            if image["sha256"] == hash {
                return Ok(());
            }
        }
        let body = server.download(image["url"].as_str().unwrap_or_default()).await?;
        save(body, &path).await.map(drop)
    }
}

/// Your name of a job, without what keeps it apart from others, or its id.
pub(super) fn name(job: &Value) -> String {
    let key = job["key"].as_str().or_else(|| job["id"].as_str()).unwrap_or_default();
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    name.chars().map(|c| if c.is_control() || c == '\\' { '_' } else { c }).collect()
}
