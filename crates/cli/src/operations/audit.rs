//! `retouch audit`: the double-entry account.

use std::process::ExitCode;

use retouch_bootstrap::stores;
use retouch_domain::Counts;
use retouch_domain::audit::BatchFacts;
use retouch_ports::store::{Account, Seen};
use serde_json::{Value, json};

use retouch_cli::settings::{process, unusable};

use super::{AuditArgs, failed};
use retouch_cli::failure::{Failure, print};

/// Exit status for a store that contradicts itself.
const CONTRADICTIONS: u8 = 4;

pub(super) async fn run(args: &AuditArgs) -> Result<ExitCode, Failure> {
    let settings = args.settings.load()?;
    let store = stores::store(&settings.store, &process()).await.map_err(|error| unusable(&error))?;
    let (mut batches, mut findings) = (Vec::new(), Vec::new());
    let mut see = |seen: Seen<'_>| match seen {
        Seen::Batch(batch) if args.batches => batches.push(batch.clone()),
        Seen::Batch(_) => {}
        Seen::Finding(finding) => findings.push(finding.clone()),
    };
    let account = Account::audit(&*store, &mut see).await.map_err(|error| failed(&error))?;
    if args.settings.json {
        let findings: Vec<Value> =
            findings.iter().map(|finding| json!({ "code": finding.code, "text": finding.text })).collect();
        let mut report = json!({
            "batches": account.batches, "jobs": account.jobs, "findings": findings,
            "tenants": account.tenants.iter().map(|(tenant, of)| {
                json!({ "tenant": tenant.to_string(), "batches": of.batches, "jobs": entries(&of.jobs) })
            }).collect::<Vec<_>>(),
        });
        if args.batches {
            report["by_batch"] = batches.iter().map(batch_report).collect();
        }
        print(&report)?;
    } else {
        for (tenant, of) in &account.tenants {
            print(&format_args!("tenant {tenant}: {} batches, {}", of.batches, equation(&of.jobs)))?;
        }
        for batch in &batches {
            let (state, equation) = (batch.state.code(), equation(&batch.actual));
            print(&format_args!("batch {} of tenant {} is {state}: {equation}", batch.batch, batch.tenant))?;
        }
        for finding in &findings {
            print(finding)?;
        }
        let (batches, jobs, findings) = (account.batches, account.jobs, account.findings);
        print(&format_args!("{batches} batches and {jobs} jobs compared, {findings} contradictions"))?;
    }
    Ok(if account.findings == 0 { ExitCode::SUCCESS } else { ExitCode::from(CONTRADICTIONS) })
}

/// Both sides of the account.
fn equation(counts: &Counts) -> String {
    let Counts { total, succeeded, failed, canceled, expired } = counts;
    let live = counts.live();
    format!(
        "accepted {total} = succeeded {succeeded} + failed {failed} + canceled {canceled} + expired {expired} + live {live}"
    )
}

fn entries(counts: &Counts) -> Value {
    json!({
        "accepted": counts.total, "succeeded": counts.succeeded, "failed": counts.failed, "canceled": counts.canceled,
        "expired": counts.expired, "live": counts.live(),
    })
}

fn batch_report(batch: &BatchFacts) -> Value {
    json!({
        "batch": batch.batch.to_string(), "tenant": batch.tenant.to_string(), "state": batch.state.code(),
        "jobs": entries(&batch.actual),
    })
}
