//! Claims and takeovers.

use retouch_domain::{JobId, WorkerBootId};
use retouch_ports::store::adapter::{self, Claims, Holder, TakingOver, TicketRow};
use retouch_ports::store::{Claim, Claimed, Fence, LeaseTerms, TakeOver, Ticket};
use sqlx::sqlite::SqliteRow;

use crate::change::{Changes, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{Result, SqliteStore, commit, sql};

impl SqliteStore {
    pub(crate) async fn claim_tickets(&self, terms: &LeaseTerms, tickets: &[Ticket]) -> Result<Vec<Claim>> {
        let what = "claiming jobs";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let rows = changes.tickets(tickets.iter().map(|ticket| ticket.job)).await?;
        let mut claims = Claims::judge(tickets, rows);
        if !claims.void.is_empty() {
            let rows = adapter::fences(std::mem::take(&mut claims.void)).to_string();
            run(sql!("dispatch/unmark").bind(rows), changes.tx, "unmarking a refused job").await?;
        }
        let taken = std::mem::take(&mut claims.taken);
        let runs = changes.start(terms, self, taken).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(claims.answers(runs))
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
        let mut changes = Changes::new(&mut tx, self.micros());
        let row = changes.tickets([ticket.job]).await?.pop();
        let outcome = match TakingOver::judge(terms, ticket, row, holder_dead, random)? {
            TakingOver::Done(outcome) => return Ok(outcome),
            TakingOver::Readopt(fence) => {
                let statement = sql!("work/readopt")
                    .bind(fence.job.to_string())
                    .bind(i64::from(fence.epoch))
                    .bind(self.micros_ahead(terms.length));
                run(statement, changes.tx, what).await?;
                TakeOver::Readopted(fence)
            }
            TakingOver::Lost(lost, again) => {
                let state = lost.state;
                changes.apply(vec![*lost]).await?;
                match again {
                    None => TakeOver::Ended(state),
                    Some(row) => {
                        let claimed = changes.start(terms, self, vec![*row]).await?.pop();
                        TakeOver::Claimed(Box::new(claimed.ok_or_else(|| adapter::no_run(ticket.job))?))
                    }
                }
            }
        };
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(outcome)
    }
}

impl Changes<'_> {
    /// Everything about the jobs of tickets, in the order of the ids.
    async fn tickets(&mut self, ids: impl IntoIterator<Item = JobId>) -> Result<Vec<TicketRow>> {
        let rows = sql!("work/tickets")
            .bind(adapter::ids(ids).to_string())
            .bind(self.now)
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed("reading jobs"))?;
        let row = |row| ticket_row(row, self.now);
        rows.iter().map(row).collect::<std::result::Result<_, _>>().map_err(failed("reading jobs"))
    }

    /// Queued jobs become the worker's runs.
    async fn start(
        &mut self,
        terms: &LeaseTerms,
        store: &SqliteStore,
        rows: Vec<TicketRow>,
    ) -> Result<Vec<Claimed>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (claims, runs) = adapter::start(rows)?;
        self.apply(claims).await?;
        let statement = sql!("work/insert_leases")
            .bind(adapter::leases(&runs).to_string())
            .bind(terms.boot.to_string())
            .bind(self.now)
            .bind(store.micros_ahead(terms.length));
        run(statement, self.tx, "storing leases").await?;
        Ok(runs)
    }
}

fn ticket_row(row: &SqliteRow, now: i64) -> std::result::Result<TicketRow, sqlx::Error> {
    let row = Fields(row);
    let locked = row.locked()?;
    let holder = match row.id_or_none("boot")? {
        Some(boot) => Some(Holder { boot, expired: row.int("expires_at")? <= now }),
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
        past_deadline: row.time_or_none("deadline")?.is_some_and(|deadline| deadline.micros() <= now),
        claimed,
        locked,
    })
}
