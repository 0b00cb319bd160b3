//! Claims and takeovers.

use retouch_domain::{Change, Cost, Event, JobId, JobState, Loss, WorkerBootId};
use retouch_ports::store::adapter::{self, Holder, TicketRow};
use retouch_ports::store::{Claim, Claimed, Fence, LeaseTerms, Refusal, TakeOver, Ticket};
use sqlx::postgres::PgRow;

use crate::change::{Changes, fence_columns, illegal, micros, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{PostgresStore, Result, commit, release, sql};

impl PostgresStore {
    pub(crate) async fn claim_tickets(&self, terms: &LeaseTerms, tickets: &[Ticket]) -> Result<Vec<Claim>> {
        let what = "claiming jobs";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let rows = changes.tickets(tickets.iter().map(|ticket| ticket.job)).await?;
        let mut claims = Vec::with_capacity(tickets.len());
        let mut taken: Vec<TicketRow> = Vec::new();
        let mut void = Vec::new();
        for ticket in tickets {
            let row = rows.iter().find(|row| row.locked.job == ticket.job);
            let refusal = match row {
                None => Some(Refusal::Unknown),
                Some(row) if taken.iter().any(|other| other.locked.job == row.locked.job) => {
                    Some(Refusal::Running)
                }
                Some(row) => row.refusal(ticket),
            };
            match (refusal, row) {
                (None, Some(row)) => {
                    taken.push(row.clone());
                    claims.push(Claim::Claimed(Box::new(row.claimed.clone())));
                }
                (refusal, _) => {
                    let refusal = refusal.unwrap_or(Refusal::Unknown);
                    if matches!(refusal, Refusal::Paused | Refusal::Moved(_)) {
                        void.push(Fence { job: ticket.job, epoch: ticket.epoch });
                    }
                    claims.push(Claim::Refused(refusal));
                }
            }
        }
        if !void.is_empty() {
            let (jobs, epochs) = fence_columns(void);
            run(sql!("dispatch/unmark").bind(jobs).bind(epochs), changes.tx, "unmarking a refused job")
                .await?;
        }
        let mut runs = changes.start(terms, taken).await?.into_iter();
        for claim in &mut claims {
            if let Claim::Claimed(claimed) = claim {
                **claimed = runs.next().ok_or_else(|| illegal_claim(claimed.fence.job))?;
            }
        }
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(claims)
    }

    pub(crate) async fn take_over_run(
        &self,
        terms: &LeaseTerms,
        ticket: &Ticket,
        holder_dead: Option<WorkerBootId>,
        random: f64,
    ) -> Result<TakeOver> {
        let what = "taking over a run";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let ids = changes.lock_rows([ticket.job]).await?;
        run(sql!("change/lock_leases").bind(ids), changes.tx, what).await?;
        let Some(row) = changes.tickets([ticket.job]).await?.pop() else {
            release(tx, what).await?;
            return Ok(TakeOver::Refused(Refusal::Unknown));
        };
        let holder = match (row.refusal(ticket), row.holder) {
            (Some(Refusal::Running), Some(holder)) => holder,
            (refusal, _) => {
                release(tx, what).await?;
                return Ok(TakeOver::Refused(refusal.unwrap_or(Refusal::Stale)));
            }
        };
        let fence = Fence { job: ticket.job, epoch: row.locked.epoch };
        if holder.boot == terms.boot {
            let statement = sql!("work/readopt")
                .bind(fence.job.uuid())
                .bind(i64::from(fence.epoch))
                .bind(micros(terms.length));
            run(statement, &mut tx, what).await?;
            commit(tx, what).await?;
            return Ok(TakeOver::Readopted(fence));
        }
        let loss = match (holder_dead == Some(holder.boot), holder.expired) {
            (true, _) => Loss::Crash,
            (false, true) => Loss::LeaseExpired,
            (false, false) => {
                release(tx, what).await?;
                return Ok(TakeOver::Held(holder.boot));
            }
        };
        let lost = row.locked.clone().lost(loss, None, Cost::default(), random).map_err(illegal)?;
        let (state, next) = (lost.state, lost.after());
        changes.apply(vec![lost]).await?;
        let outcome = if state == JobState::Queued && row.closed(ticket.band).is_none() {
            let row = TicketRow { locked: next, holder: None, ..row };
            let claimed = changes.start(terms, vec![row]).await?.pop();
            TakeOver::Claimed(Box::new(claimed.ok_or_else(|| illegal_claim(ticket.job))?))
        } else {
            TakeOver::Ended(state)
        };
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(outcome)
    }
}

impl Changes<'_> {
    /// Everything about the jobs of tickets, in the order of the ids.
    async fn tickets(&mut self, ids: impl IntoIterator<Item = JobId>) -> Result<Vec<TicketRow>> {
        let ids = self.lock_rows(ids).await?;
        let rows =
            sql!("work/tickets").bind(ids).fetch_all(&mut **self.tx).await.map_err(failed("reading jobs"))?;
        rows.iter().map(ticket_row).collect::<std::result::Result<_, _>>().map_err(failed("reading jobs"))
    }

    /// Queued jobs become the worker's runs.
    async fn start(&mut self, terms: &LeaseTerms, rows: Vec<TicketRow>) -> Result<Vec<Claimed>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut claims: Vec<Change> = Vec::with_capacity(rows.len());
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            let change = row.locked.change(Event::Claimed).map_err(illegal)?;
            let fence = Fence { job: change.before.job, epoch: change.epoch };
            runs.push(Claimed { fence, starts: change.tally.starts, ..row.claimed });
            claims.push(change);
        }
        self.apply(claims).await?;
        let statement = sql!("work/insert_leases")
            .bind(adapter::leases(&runs).to_string())
            .bind(terms.boot.uuid())
            .bind(micros(terms.length));
        run(statement, self.tx, "storing leases").await?;
        Ok(runs)
    }
}

fn ticket_row(row: &PgRow) -> std::result::Result<TicketRow, sqlx::Error> {
    let row = Fields(row);
    let locked = row.locked()?;
    let holder = match row.id_or_none("boot")? {
        Some(boot) => Some(Holder { boot, expired: row.flag("lease_expired")? }),
        None => None,
    };
    let inputs = serde_json::from_value(row.json("inputs")?)
        .map_err(|_| crate::fields::unreadable("inputs", "is no list of references"))?;
    let claimed = Claimed {
        fence: Fence { job: locked.job, epoch: locked.epoch },
        tenant: locked.tenant,
        batch: locked.batch,
        kind: row.parsed("kind")?,
        version: row.count("version")?,
        payload: row.json("payload")?,
        inputs,
        shape: row.get("shape")?,
        timeout: row.millis("timeout_ms")?,
        starts: locked.tally.starts,
        alone: locked.tally.suspect,
        export: row.get("export")?,
    };
    Ok(TicketRow {
        holder,
        band: row.band("band")?,
        paused: row.flag("paused")?,
        batch_canceled: row.flag("batch_canceled")?,
        batch_state: row.batch_state("batch_state")?,
        past_deadline: row.flag("past_deadline")?,
        claimed,
        locked,
    })
}

fn illegal_claim(job: JobId) -> retouch_ports::PortError {
    let text = format!("the claim of job {job} has no run");
    retouch_ports::PortError::new(retouch_ports::PortErrorKind::Internal, text)
}
