//! Choosing what gets a ticket.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;
use retouch_domain::fair::{self, BandQueue, Candidate, Rules, TenantQueue};
use retouch_domain::{Band, JobId, Pool, TenantId, Timestamp};
use retouch_ports::store::adapter::{self, illegal};
use retouch_ports::store::{Backlog, Dispatch, Dispatched, Fence, Result, Ticket};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;

use crate::change::{Changes, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{SqliteStore, Tx, commit, sql};

const WHAT: &str = "choosing jobs to dispatch";

#[async_trait]
impl Dispatch for SqliteStore {
    async fn dispatch(&self, pool: &Pool, rules: &Rules) -> Result<Dispatched> {
        let now = self.micros();
        let mut tx = self.write(WHAT).await?;
        let mut desk = Desk { tx: &mut tx, pool, now, epochs: HashMap::new() };
        let mut bands = desk.bands(rules).await?;
        let mut rooms = desk.rooms().await?;
        let picks = fair::select(&mut bands, &mut rooms, rules);
        if picks.is_empty() {
            return Ok(Dispatched::Tickets(Vec::new()));
        }
        desk.mark(&picks).await?;
        desk.keep(&bands).await?;
        let tickets = desk.tickets(&picks);
        commit(tx, WHAT).await?;
        Ok(Dispatched::Tickets(tickets))
    }

    async fn undispatch(&self, tickets: &[Ticket]) -> Result<u64> {
        let what = "unmarking returned tickets";
        let fences = tickets.iter().map(|ticket| Fence { job: ticket.job, epoch: ticket.epoch });
        let mut tx = self.write(what).await?;
        let rows = adapter::fences(fences).to_string();
        let unmarked = run(sql!("dispatch/unmark").bind(rows), &mut tx, what).await?;
        commit(tx, what).await?;
        Ok(unmarked)
    }

    async fn lost_tickets(&self, pool: &Pool, band: Band, before: Timestamp) -> Result<u64> {
        let what = "unmarking lost tickets";
        let mut tx = self.write(what).await?;
        let statement =
            sql!("dispatch/unmark_lost").bind(pool.as_str()).bind(band.code()).bind(before.micros());
        let unmarked = run(statement, &mut tx, what).await?;
        commit(tx, what).await?;
        Ok(unmarked)
    }

    async fn park(&self, ticket: &Ticket, random: f64) -> Result<bool> {
        let what = "parking a ticket";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let job = changes.lock([ticket.job]).await?.pop().filter(|job| {
            job.tenant == ticket.tenant
                && job.epoch == ticket.epoch
                && job.state == retouch_domain::JobState::Queued
        });
        let Some(job) = job else { return Ok(false) };
        let change = job.parked(random).map_err(illegal)?;
        changes.apply(vec![change]).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(true)
    }

    async fn backlog(&self) -> Result<Vec<Backlog>> {
        let what = "reading the backlog";
        let rows = sql!("dispatch/backlog").fetch_all(&self.readers).await.map_err(failed(what))?;
        let backlog = |row: &SqliteRow| {
            let row = Fields(row);
            Ok(Backlog {
                pool: row.parsed("pool")?,
                band: row.band("band")?,
                queued: row.count("queued")?,
                queued_cost_ms: row.count("queued_cost_ms")?,
                dispatched: row.count("dispatched")?,
                running: row.count("running")?,
            })
        };
        rows.iter().map(backlog).collect::<std::result::Result<_, _>>().map_err(failed(what))
    }
}

/// One call of dispatch.
struct Desk<'t> {
    tx: &'t mut Tx,
    pool: &'t Pool,
    now: i64,
    epochs: HashMap<JobId, (TenantId, u32)>,
}

impl Desk<'_> {
    /// The bands with their accounts and candidates.
    async fn bands(&mut self, rules: &Rules) -> Result<Vec<BandQueue>> {
        let lanes = self.rows(sql!("dispatch/lanes").bind(self.pool.as_str())).await?;
        let out = self.rows(sql!("dispatch/dispatched").bind(self.pool.as_str())).await?;
        let mut bands = Vec::with_capacity(Band::ALL.len());
        for band in Band::ALL {
            let of_band = |row: &&SqliteRow| Fields(row).band("band").is_ok_and(|other| other == band);
            let dispatched: i64 =
                out.iter().filter(of_band).filter_map(|row| Fields(row).int("jobs").ok()).sum();
            let lane = lanes.iter().find(of_band).map(Fields);
            let (owed, turn) = match lane {
                Some(lane) => (lane.count("owed"), lane.id_or_none("turn")),
                None => (Ok(0), Ok(None)),
            };
            bands.push(BandQueue {
                band,
                dispatched: u32::try_from(dispatched).unwrap_or(u32::MAX),
                owed: owed.map_err(failed(WHAT))?,
                turn: turn.map_err(failed(WHAT))?,
                tenants: self.tenants(band, rules).await?,
            });
        }
        Ok(bands)
    }

    /// How many jobs more each tenant with a limit may have dispatched or running, in all pools together.
    async fn rooms(&mut self) -> Result<HashMap<TenantId, u32>> {
        let rows = self.rows(sql!("dispatch/in_use")).await?;
        let room = |row| {
            let row = Fields(row);
            let (limit, used): (u32, u32) = (row.count("max_running")?, row.count("jobs")?);
            Ok((row.id("tenant")?, limit.saturating_sub(used)))
        };
        rows.iter().map(room).collect::<std::result::Result<_, _>>().map_err(failed(WHAT))
    }

    async fn tenants(&mut self, band: Band, rules: &Rules) -> Result<Vec<TenantQueue>> {
        let rows = self.rows(sql!("dispatch/tenants").bind(self.pool.as_str()).bind(band.code())).await?;
        let mut tenants = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut queue = tenant_queue(&Fields(row)).map_err(failed(WHAT))?;
            let statement = sql!("dispatch/candidates")
                .bind(self.pool.as_str())
                .bind(band.code())
                .bind(queue.tenant.to_string())
                .bind(self.now)
                // One more than can go: who has no more jobs loses its deficit, and that must not be for want of rows.
                .bind(i64::from(rules.window) + 1);
            for row in &self.rows(statement).await? {
                let (candidate, epoch) = candidate(&Fields(row)).map_err(failed(WHAT))?;
                self.epochs.insert(candidate.job, (queue.tenant, epoch));
                queue.jobs.push_back(candidate);
            }
            if !queue.jobs.is_empty() {
                tenants.push(queue);
            }
        }
        Ok(tenants)
    }

    async fn mark(&mut self, picks: &[(Band, JobId)]) -> Result<()> {
        let jobs = adapter::ids(picks.iter().map(|(_, job)| job)).to_string();
        run(sql!("dispatch/mark").bind(jobs).bind(self.now), self.tx, WHAT).await?;
        Ok(())
    }

    /// Keeps the accounts of the bands and tenants that had work.
    async fn keep(&mut self, bands: &[BandQueue]) -> Result<()> {
        for band in bands {
            let statement = sql!("dispatch/keep_lane")
                .bind(self.pool.as_str())
                .bind(band.band.code())
                .bind(i64::from(band.owed))
                .bind(band.turn.map(|turn| turn.to_string()));
            run(statement, self.tx, WHAT).await?;
            let share =
                |queue: &TenantQueue| json!({"tenant": queue.tenant.to_string(), "deficit": queue.deficit});
            let shares: Value = band.tenants.iter().map(share).collect();
            let statement = sql!("dispatch/keep_shares")
                .bind(self.pool.as_str())
                .bind(band.band.code())
                .bind(shares.to_string());
            run(statement, self.tx, WHAT).await?;
        }
        Ok(())
    }

    fn tickets(&self, picks: &[(Band, JobId)]) -> Vec<Ticket> {
        let ticket = |(band, job): &(Band, JobId)| {
            let (tenant, epoch) = self.epochs.get(job)?;
            Some(Ticket { job: *job, tenant: *tenant, epoch: *epoch, band: *band })
        };
        picks.iter().filter_map(ticket).collect()
    }

    async fn rows(
        &mut self,
        statement: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Vec<SqliteRow>> {
        statement.fetch_all(&mut **self.tx).await.map_err(failed(WHAT))
    }
}

fn tenant_queue(row: &Fields<'_>) -> std::result::Result<TenantQueue, sqlx::Error> {
    Ok(TenantQueue {
        tenant: row.id("tenant")?,
        weight: row.count("weight")?,
        deficit: row.int("deficit")?,
        jobs: VecDeque::new(),
    })
}

fn candidate(row: &Fields<'_>) -> std::result::Result<(Candidate, u32), sqlx::Error> {
    let candidate =
        Candidate { job: row.id("id")?, shape: row.get("shape")?, cost_ms: row.count("cost_ms")? };
    Ok((candidate, row.count("epoch")?))
}
