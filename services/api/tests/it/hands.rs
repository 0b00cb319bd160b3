//! What a worker does, through the store.

use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{Band, Cost, ErrorCode, JobError, JobId, Loss, TenantId, WorkerBootId};
use retouch_ports::blob::{PutOptions, bytes_stream};
use retouch_ports::files::run_folder;
use retouch_ports::jobs::edit::{Edited, EditedFile, Timings};
use retouch_ports::store::{Claim, Claimed, Completion, Failure, LeaseTerms, Ticket};
use retouch_ports::{BlobStore, Ids, JobStore, SystemIds};
use serde_json::Value;

/// A worker's hands.
pub struct Hands {
    pub store: Arc<dyn JobStore>,
    pub blobs: Arc<dyn BlobStore>,
}

impl Hands {
    /// Starts a job.
    pub async fn claim(&self, tenant: TenantId, job: JobId, band: Band) -> Claimed {
        let terms =
            LeaseTerms { boot: WorkerBootId::new(SystemIds.uuid()), length: Duration::from_secs(3600) };
        let epoch = self.store.job(tenant, job).await.unwrap().unwrap().epoch;
        let claims = self.store.claim(&terms, &[Ticket { job, tenant, epoch, band }]).await.unwrap();
        match claims.into_iter().next() {
            Some(Claim::Claimed(claimed)) => *claimed,
            other => panic!("{other:?}"),
        }
    }

    /// Ends a job with an image.
    pub async fn succeed(&self, claimed: &Claimed, image: &[u8]) {
        let (key, hash) = self.store_file(claimed, "0.png", image).await;
        let file = EditedFile {
            key,
            media_type: "image/png".to_owned(),
            bytes: image.len() as u64,
            hash,
            width: 6,
            height: 4,
            seed: 7,
            forwards: 20,
            truncated: None,
        };
        let edited = Edited {
            files: vec![file],
            input_hash: String::new(),
            model_hash: String::new(),
            timings: Timings::default(),
        };
        self.end(claimed, serde_json::to_value(edited).unwrap()).await;
    }

    /// Stores a file of a run; answers its key and its hash.
    pub async fn store_file(&self, claimed: &Claimed, name: &str, bytes: &[u8]) -> (String, String) {
        let key = format!("{}{name}", run_folder(claimed.tenant, claimed.batch, claimed.fence));
        let body = bytes_stream(bytes.to_vec());
        let stored = self.blobs.put(&key.parse().unwrap(), body, &PutOptions::default()).await.unwrap();
        (key, stored.hash.to_string())
    }

    /// Ends a job with this output.
    pub async fn end(&self, claimed: &Claimed, output: Value) {
        let completion =
            Completion { fence: claimed.fence, output, cost: Cost::default(), children: Vec::new() };
        self.store.commit(&[completion]).await.unwrap();
    }

    /// Ends a job for good, without a result.
    pub async fn fail(&self, claimed: &Claimed) {
        let error = JobError { code: ErrorCode::new("image_corrupt"), message: "it is broken".to_owned() };
        let failure = Failure { fence: claimed.fence, loss: Loss::Permanent, error, cost: Cost::default() };
        self.store.fail(&[failure], 0.5).await.unwrap();
    }
}
