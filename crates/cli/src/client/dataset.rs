//! `retouch dataset`: pairs of rendered scenes as WebDataset shards, made by the server's workers.

use std::process::ExitCode;

use clap::Args;
use retouch_cli::failure::{Failure, print};
use retouch_ports::{Ids, SystemIds};
use serde_json::json;

use super::server::{Server, ServerArgs};
use super::submit::BatchOptions;

#[derive(Args)]
pub(crate) struct DatasetArgs {
    /// How many pairs to try; the few seeds whose edit is impossible are left out
    #[arg(long)]
    pairs: u64,
    /// The seed of the first pair, pair i has seed + i: the same seeds give the same bytes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Width and height of the images in pixels
    #[arg(long, default_value_t = 256)]
    size: u32,
    /// Pairs of one shard
    #[arg(long, default_value_t = 1000)]
    shard: u64,
    #[command(flatten)]
    batch: BatchOptions,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub(super) async fn run(args: &DatasetArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let DatasetArgs { pairs, seed, size, shard, batch, .. } = args;
    let body = batch.treat(json!({"pairs": pairs, "seed": seed, "size": size, "shard": shard}));
    let once = SystemIds.uuid().simple().to_string();
    let receipt = server.post("/v1/datasets", &body, Some(&once)).await?;
    if !args.server.json {
        let text = receipt["id"].as_str().unwrap_or_default();
        print(&format_args!("batch {text}: {} jobs, {} shards", receipt["jobs"], receipt["shards"]))?;
    }
    batch.wait(&server, &receipt, 0, args.server.json).await
}
