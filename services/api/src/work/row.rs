//! One line of a list of jobs.

use retouch_domain::{BatchId, JobId, NewJob, TenantId};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::expand::{Row, over};
use super::lines::{Line, MAX_LINE_BYTES};
use super::spec::JobSpec;
use crate::options::Options;
use crate::problem::FieldError;

/// The id of a batch's row: the batch's moment, bits of its id, and the row's number. So a submission that is resumed makes
/// the same jobs, and the jobs of a batch are in the order of its rows.
pub(crate) fn job_id(batch: BatchId, row: u64) -> JobId {
    let batch = batch.uuid();
    let digest = Sha256::digest(batch.as_bytes());
    // 74 bits are free: 12 and 20 of the digest stand around the upper and before the lower half of 42 bits of row.
    let mixed = u128::from(row) & ((1 << 42) - 1);
    let upper =
        u128::from_be_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, digest[0], digest[1], digest[2], digest[3]]);
    let free = upper << 42 | mixed;
    let mut bytes = [0; 10];
    // The builder overwrites version and variant, so the free bits go where it leaves them.
    bytes[0] = (free >> 70) as u8 & 0x0f;
    bytes[1] = (free >> 62) as u8;
    let low = (free & ((1 << 62) - 1)) as u64;
    bytes[2..].copy_from_slice(&low.to_be_bytes());
    let millis = batch.as_u128() >> 80;
    JobId::new(Builder::from_unix_timestamp_millis(millis as u64, &bytes).into_uuid())
}

/// The number of the row, from 0, that a batch's job came of; `None` if it came of none.
pub(crate) fn row_of(batch: BatchId, job: JobId) -> Option<u64> {
    let row = (job.uuid().as_u128() & ((1 << 42) - 1)) as u64;
    (job_id(batch, row) == job).then_some(row)
}

/// What a line says.
pub(crate) enum Read {
    /// Nothing: it is blank, and counts for nothing.
    Blank,
    /// A job.
    Job(Box<NewJob>),
    /// Something that cannot be a job.
    Wrong(FieldError),
}

/// Reads a line as the job of this id.
pub(crate) fn read(line: &Line, id: JobId, tenant: TenantId, defaults: &Row, options: &Options) -> Read {
    let Some(text) = &line.text else {
        return wrong("line_too_long", format!("a line has at most {MAX_LINE_BYTES} bytes"));
    };
    if text.trim_ascii().is_empty() {
        return Read::Blank;
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(row)) => job(row, id, tenant, defaults, options),
        Ok(_) => wrong("not_an_object", "a line is a JSON object such as {\"instruction\": …}".to_owned()),
        Err(error) => wrong("json_malformed", error.to_string()),
    }
}

fn job(row: Row, id: JobId, tenant: TenantId, defaults: &Row, options: &Options) -> Read {
    let spec = JobSpec::read(Value::Object(over(defaults, row)));
    match spec.and_then(|spec| spec.into_job(id, tenant, options)) {
        Ok(job) => Read::Job(Box::new(job)),
        Err(error) => Read::Wrong(error),
    }
}

fn wrong(code: &str, message: String) -> Read {
    Read::Wrong(FieldError { pointer: String::new(), code: code.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn ids_of_rows_follow_each_other_and_depend_on_the_batch() {
        let batch = |random: u8| {
            BatchId::new(Builder::from_unix_timestamp_millis(1_767_225_600_000, &[random; 10]).into_uuid())
        };
        let ids: Vec<Uuid> = (0..5000).map(|row| job_id(batch(1), row).uuid()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[7].get_version_num(), 7);
        assert_eq!(ids[7].as_u128() >> 80, 1_767_225_600_000);
        assert_eq!(job_id(batch(1), 7).uuid(), ids[7]);
        assert_ne!(job_id(batch(2), 7).uuid(), ids[7]);
        assert!(job_id(batch(1), u64::from(u32::MAX)) < job_id(batch(1), 1 << 33));
        for row in [0, 7, u64::from(u32::MAX) + 1, (1 << 42) - 1] {
            assert_eq!(row_of(batch(1), job_id(batch(1), row)), Some(row));
            assert_eq!(row_of(batch(2), job_id(batch(1), row)), None);
        }
        assert_eq!(row_of(batch(1), JobId::new(Uuid::from_u128(7))), None);
    }
}
