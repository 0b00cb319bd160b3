//! The audit of a store, through its port.

use retouch_domain::audit::{audit_batch, audit_job};
use retouch_ports::store::Page;
use retouch_ports::{JobStore, PortError};

/// How many rows are looked at together.
const PAGE: u32 = 1000;

/// Every contradiction in the store, as text.
///
/// # Errors
/// As the store's.
pub async fn findings(store: &dyn JobStore) -> Result<Vec<String>, PortError> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let batches = store.batch_facts(Page { after, limit: PAGE }).await?;
        for batch in &batches {
            found.extend(audit_batch(batch).into_iter().map(|finding| finding.to_string()));
            let mut after = None;
            loop {
                let jobs = store.job_facts(batch.batch, Page { after, limit: PAGE }).await?;
                let judged = jobs.iter().flat_map(audit_job);
                found.extend(judged.map(|finding| finding.to_string()));
                match jobs.last() {
                    Some(last) if jobs.len() == PAGE as usize => after = Some(last.job),
                    _ => break,
                }
            }
        }
        match batches.last() {
            Some(last) if batches.len() == PAGE as usize => after = Some(last.batch),
            _ => break,
        }
    }
    found.extend(store.strays(100).await?);
    Ok(found)
}
