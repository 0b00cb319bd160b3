//! `retouch edit`: images and folders of images, with one instruction.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use retouch_cli::failure::{Blame, Failure};
use retouch_ports::{Ids, SystemIds};
use serde_json::{Value, json};

use super::server::{Server, ServerArgs};
use super::submit::{self, BatchOptions};

/// Files that are uploaded at a time.
const UPLOADS: usize = 4;
/// Rows that fit into the body of a submission.
const INLINE: usize = 1000;
/// Bytes of a job's name.
const NAME: usize = 200;

#[derive(Args)]
pub(crate) struct EditArgs {
    /// Images (PNG, JPEG, WebP), and folders whose images are meant
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// What to change, in English or Vietnamese
    #[arg(short = 'p', long = "prompt")]
    instruction: String,
    /// Name of the model; the server's own if absent
    #[arg(long)]
    model: Option<String>,
    /// Sampler steps
    #[arg(long)]
    steps: Option<u32>,
    /// Seed of every edit; each has its own if absent
    #[arg(long)]
    seed: Option<u64>,
    /// How closely the result follows the text
    #[arg(long)]
    guidance_text: Option<f64>,
    /// How closely the result follows the image
    #[arg(long)]
    guidance_image: Option<f64>,
    #[command(flatten)]
    batch: BatchOptions,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub(super) async fn run(args: &EditArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let images = images(&args.paths)?;
    let bar = submit::bar(args.server.json, images.len() as u64, "uploaded");
    let files: Vec<String> = stream::iter(&images)
        .map(|path| server.upload(path, "application/octet-stream"))
        .buffered(UPLOADS)
        .inspect_ok(|_| bar.inc(1))
        .try_collect()
        .await?;
    bar.finish_and_clear();
    // Two submissions of one file are two jobs, but a submission that is sent twice is one.
    let once = SystemIds.uuid().simple().to_string();
    let rows: Vec<Value> = images
        .iter()
        .zip(&files)
        .map(|(path, file)| json!({"key": key(&once, path), "image": {"file": file}}))
        .collect();
    let mut defaults = json!({"instruction": args.instruction});
    let given = [
        ("model", json!(args.model)),
        ("steps", json!(args.steps)),
        ("seed", json!(args.seed)),
        ("guidance_text", json!(args.guidance_text)),
        ("guidance_image", json!(args.guidance_image)),
    ];
    for (name, value) in given.into_iter().filter(|(_, value)| !value.is_null()) {
        defaults[name] = value;
    }
    let rows = if rows.len() <= INLINE {
        json!({"jobs": rows})
    } else {
        json!({"file": lines(&server, &rows).await?})
    };
    submit::submit(&server, rows, defaults, &once, &args.batch, args.server.json).await
}

/// The name of a job: what its result will be called, behind what keeps it apart from others.
fn key(once: &str, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let room = NAME - once.len() - 1;
    let start = name.ceil_char_boundary(name.len().saturating_sub(room));
    format!("{once}/{}", &name[start..])
}

/// The rows as an uploaded file.
async fn lines(server: &Server, rows: &[Value]) -> Result<String, Failure> {
    let write = || -> std::io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::NamedTempFile::new()?;
        rows.iter()
            .try_for_each(|row| std::io::Write::write_all(&mut file, format!("{row}\n").as_bytes()))?;
        Ok(file)
    };
    let file = write().map_err(|error| Failure::file("write", &std::env::temp_dir(), &error))?;
    server.upload(file.path(), "application/jsonl").await
}

/// The images that the paths mean, in the order of the paths and of names in folders.
fn images(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut images = Vec::new();
    for path in paths {
        let failed = |error| Failure::file("read", path, &error);
        if !std::fs::metadata(path).map_err(failed)?.is_dir() {
            images.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(failed)?;
        let mut found: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
        found.retain(|path| path.is_file() && is_image(path));
        found.sort();
        if found.is_empty() {
            let message = format!("{} has no PNG, JPEG or WebP files", path.display());
            return Err(Failure::new(Blame::File, "no_images", message));
        }
        images.append(&mut found);
    }
    Ok(images)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    ["png", "jpg", "jpeg", "webp"].contains(&extension.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_jobs_end_as_the_files_do_and_fit() {
        let once = "0".repeat(32);
        assert_eq!(key(&once, Path::new("a/b/vase.png")), format!("{once}/vase.png"));
        let long = format!("{}.png", "ố".repeat(100));
        let made = key(&once, Path::new(&long));
        assert!(made.len() <= NAME && made.ends_with("ố.png"), "{made}");
    }
}
