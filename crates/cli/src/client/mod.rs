//! What users do through a server: `retouch edit`, `submit`, `dataset`, `watch`, `fetch`, `ls`, `get`, `webhook`, what stops or
//! repeats work, and what they ask about the server itself.

mod batches;
mod dataset;
mod download;
mod edit;
mod fleet;
mod lines;
mod server;
mod submit;
mod watch;
mod webhooks;

use std::process::ExitCode;

use clap::Subcommand;
use retouch_cli::failure::{Blame, Failure, chain};

use self::batches::{BatchArgs, CancelArgs, GetArgs, ListArgs};
use self::dataset::DatasetArgs;
use self::download::FetchArgs;
use self::edit::EditArgs;
use self::fleet::{LookArgs, Models, UsageArgs};
use self::submit::SubmitArgs;
use self::watch::WatchArgs;
use self::webhooks::Webhook;

/// Exit status: some jobs did not succeed.
const SOME_FAILED: u8 = 1;
/// Exit status: Ctrl-C, while the work goes on.
const INTERRUPTED: u8 = 130;

#[derive(Subcommand)]
pub(crate) enum Client {
    /// Edit images, or all images of folders, through a server: `retouch edit photos -p "make the sky pink" -o pink`
    ///
    /// Exit status: 0 all succeeded, 1 some did not, 2 wrong usage or a refused request, 3 the server or a file cannot be
    /// reached, 4 the key is refused, 130 Ctrl-C: the edits go on.
    Edit(EditArgs),
    /// Submit the edits of a JSONL file, one JSON object a line
    ///
    /// Exit status: as `retouch edit`.
    Submit(SubmitArgs),
    /// Generate a dataset: pairs of rendered scenes with instructions and exact ground truth, as WebDataset shards
    ///
    /// Exit status: as `retouch edit`.
    Dataset(DatasetArgs),
    /// Watch a batch until it is over
    Watch(WatchArgs),
    /// Download the results of a batch that are there, as files or as one archive
    Fetch(FetchArgs),
    /// List batches, the oldest first unless told otherwise
    Ls(ListArgs),
    /// Show a batch or a job
    Get(GetArgs),
    /// Cancel what is not over of a batch
    Cancel(CancelArgs),
    /// Run the failed, canceled and expired jobs of a batch again
    Retry(BatchArgs),
    /// Stop dispatching a batch; what runs is finished
    Pause(BatchArgs),
    /// Go on with a paused batch
    Resume(BatchArgs),
    /// The models that workers have
    #[command(subcommand)]
    Models(Models),
    /// List the workers that are there; needs an admin key
    Workers(LookArgs),
    /// List what waits and runs, of all tenants together; needs an admin key
    Queues(LookArgs),
    /// What your jobs took, day by day
    Usage(UsageArgs),
    /// Have a URL told of the ends of batches: `retouch webhook add https://example.com/hook`
    ///
    /// Exit status: as `retouch edit`.
    #[command(subcommand)]
    Webhook(Webhook),
}

/// Runs a command and reports.
pub(crate) fn run(command: &Client) -> ExitCode {
    let json = match command {
        Client::Edit(args) => args.server.json,
        Client::Submit(args) => args.server.json,
        Client::Dataset(args) => args.server.json,
        Client::Watch(args) => args.server.json,
        Client::Fetch(args) => args.server.json,
        Client::Ls(args) => args.server.json,
        Client::Get(args) => args.server.json,
        Client::Cancel(args) => args.batch.server.json,
        Client::Retry(args) | Client::Pause(args) | Client::Resume(args) => args.server.json,
        Client::Models(Models::Ls(args)) | Client::Workers(args) | Client::Queues(args) => args.server.json,
        Client::Usage(args) => args.server.json,
        Client::Webhook(command) => command.json(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .map_err(|error| Failure::new(Blame::Program, "runtime_unavailable", chain(&error)))
        .and_then(|runtime| runtime.block_on(answer(command)));
    outcome.unwrap_or_else(|failure| failure.report(json))
}

async fn answer(command: &Client) -> Result<ExitCode, Failure> {
    match command {
        Client::Edit(args) => edit::run(args).await,
        Client::Submit(args) => submit::run(args).await,
        Client::Dataset(args) => dataset::run(args).await,
        Client::Watch(args) => watch::run(args).await,
        Client::Fetch(args) => download::run(args).await,
        Client::Ls(args) => batches::list(args).await,
        Client::Get(args) => batches::get(args).await,
        Client::Cancel(args) => batches::cancel(args).await,
        Client::Retry(args) => batches::control(args, "retry").await,
        Client::Pause(args) => batches::control(args, "pause").await,
        Client::Resume(args) => batches::control(args, "resume").await,
        Client::Models(Models::Ls(args)) => fleet::models(args).await,
        Client::Workers(args) => fleet::workers(args).await,
        Client::Queues(args) => fleet::queues(args).await,
        Client::Usage(args) => fleet::usage(args).await,
        Client::Webhook(command) => webhooks::run(command).await,
    }
}
