//! Choosing what gets a ticket.

use std::collections::{HashMap, HashSet, VecDeque};

use async_trait::async_trait;
use retouch_domain::fair::{self, BandQueue, Candidate, Rules, TenantQueue};
use retouch_domain::{Band, JobId, JobState, Pool, TenantId, Timestamp};
use retouch_ports::store::adapter::illegal;
use retouch_ports::store::{Backlog, Dispatch, Dispatched, Fence, Result, Ticket};
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::change::{Changes, fence_columns, jobs_of, run, uuids};
use crate::error::failed;
use crate::fields::Fields;
use crate::{PostgresStore, Tx, again, commit, release, sql};

const WHAT: &str = "choosing jobs to dispatch";

#[async_trait]
impl Dispatch for PostgresStore {
    async fn dispatch(&self, pool: &Pool, rules: &Rules) -> Result<Dispatched> {
        again(|| self.fill(pool, rules)).await
    }

    async fn undispatch(&self, tickets: &[Ticket]) -> Result<u64> {
        let what = "unmarking returned tickets";
        let fences = tickets.iter().map(|ticket| Fence { job: ticket.job, epoch: ticket.epoch });
        let (jobs, epochs) = fence_columns(fences);
        again(|| async {
            let mut tx = self.write(what).await?;
            run(sql!("change/lock").bind(&jobs), &mut tx, what).await?;
            let unmarked = run(sql!("dispatch/unmark").bind(&jobs).bind(&epochs), &mut tx, what).await?;
            commit(tx, what).await?;
            Ok(unmarked)
        })
        .await
    }

    async fn lost_tickets(&self, pool: &Pool, band: Band, before: Timestamp) -> Result<u64> {
        let what = "unmarking lost tickets";
        again(|| async {
            let mut tx = self.write(what).await?;
            let statement =
                sql!("dispatch/unmark_lost").bind(pool.as_str()).bind(band.code()).bind(before.micros());
            let unmarked = run(statement, &mut tx, what).await?;
            commit(tx, what).await?;
            Ok(unmarked)
        })
        .await
    }

    async fn park(&self, ticket: &Ticket, random: f64) -> Result<bool> {
        again(|| self.park_one(ticket, random)).await
    }

    async fn backlog(&self) -> Result<Vec<Backlog>> {
        let what = "reading the backlog";
        let rows = sql!("dispatch/backlog").fetch_all(&self.pool).await.map_err(failed(what))?;
        let backlog = |row: &PgRow| {
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

impl PostgresStore {
    async fn fill(&self, pool: &Pool, rules: &Rules) -> Result<Dispatched> {
        let mut tx = self.write(WHAT).await?;
        let mut desk = Desk { tx: &mut tx, pool, epochs: HashMap::new() };
        if !desk.try_lock().await? {
            release(tx, WHAT).await?;
            return Ok(Dispatched::Busy);
        }
        let mut bands = desk.bands(rules).await?;
        let mut rooms = desk.rooms(&bands).await?;
        let picks = fair::select(&mut bands, &mut rooms, rules);
        if picks.is_empty() {
            release(tx, WHAT).await?;
            return Ok(Dispatched::Tickets(Vec::new()));
        }
        let marked = desk.mark(&picks).await?;
        desk.keep(&bands).await?;
        let tickets = desk.tickets(&picks, &marked);
        commit(tx, WHAT).await?;
        Ok(Dispatched::Tickets(tickets))
    }

    async fn park_one(&self, ticket: &Ticket, random: f64) -> Result<bool> {
        let what = "parking a ticket";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let job = changes.lock([ticket.job]).await?.pop().filter(|job| {
            job.tenant == ticket.tenant && job.epoch == ticket.epoch && job.state == JobState::Queued
        });
        let Some(job) = job else {
            release(tx, what).await?;
            return Ok(false);
        };
        let change = job.parked(random).map_err(illegal)?;
        changes.apply(vec![change]).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(true)
    }
}

/// One call of dispatch.
struct Desk<'t> {
    tx: &'t mut Tx,
    pool: &'t Pool,
    epochs: HashMap<JobId, (TenantId, u32)>,
}

impl Desk<'_> {
    async fn try_lock(&mut self) -> Result<bool> {
        let rows = self.rows(sql!("dispatch/try_lock").bind(self.pool.as_str())).await?;
        rows.first().map_or(Ok(false), |row| Fields(row).flag("locked")).map_err(failed(WHAT))
    }

    /// The bands with their accounts and candidates.
    async fn bands(&mut self, rules: &Rules) -> Result<Vec<BandQueue>> {
        let lanes = self.rows(sql!("dispatch/lanes").bind(self.pool.as_str())).await?;
        let out = self.rows(sql!("dispatch/dispatched").bind(self.pool.as_str())).await?;
        let mut bands = Vec::with_capacity(Band::ALL.len());
        for band in Band::ALL {
            let of_band = |row: &&PgRow| Fields(row).band("band").is_ok_and(|other| other == band);
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
    async fn rooms(&mut self, bands: &[BandQueue]) -> Result<HashMap<TenantId, u32>> {
        let tenants = bands.iter().flat_map(|band| band.tenants.iter().map(|queue| queue.tenant.uuid()));
        let limited = self.rows(sql!("dispatch/limited").bind(tenants.collect::<Vec<_>>())).await?;
        if limited.is_empty() {
            return Ok(HashMap::new());
        }
        let limit = |row| Ok((Fields(row).id("id")?, Fields(row).count("max_running")?));
        let mut rooms: HashMap<TenantId, u32> =
            limited.iter().map(limit).collect::<std::result::Result<_, _>>().map_err(failed(WHAT))?;
        let ids: Vec<Uuid> = rooms.keys().map(|tenant| tenant.uuid()).collect();
        for row in &self.rows(sql!("dispatch/in_use").bind(ids)).await? {
            let used: u32 = Fields(row).count("jobs").map_err(failed(WHAT))?;
            if let Some(room) = rooms.get_mut(&Fields(row).id("tenant").map_err(failed(WHAT))?) {
                *room = room.saturating_sub(used);
            }
        }
        Ok(rooms)
    }

    async fn tenants(&mut self, band: Band, rules: &Rules) -> Result<Vec<TenantQueue>> {
        let statement = sql!("dispatch/candidates")
            .bind(self.pool.as_str())
            .bind(band.code())
            // One more than can go: who has no more jobs loses its deficit, and that must not be for want of rows.
            .bind(i64::from(rules.window) + 1);
        let mut tenants: Vec<TenantQueue> = Vec::new();
        for row in &self.rows(statement).await? {
            let row = Fields(row);
            let (candidate, epoch) = candidate(&row).map_err(failed(WHAT))?;
            let tenant = row.id("tenant").map_err(failed(WHAT))?;
            if tenants.last().is_none_or(|last| last.tenant != tenant) {
                tenants.push(tenant_queue(&row).map_err(failed(WHAT))?);
            }
            self.epochs.insert(candidate.job, (tenant, epoch));
            if let Some(queue) = tenants.last_mut() {
                queue.jobs.push_back(candidate);
            }
        }
        Ok(tenants)
    }

    /// Marks what is still as it was seen, and answers which.
    async fn mark(&mut self, picks: &[(Band, JobId)]) -> Result<HashSet<JobId>> {
        let jobs = uuids(picks.iter().map(|(_, job)| *job));
        let rows = self.rows(sql!("dispatch/mark").bind(jobs)).await?;
        Ok(jobs_of(&rows, "id")?.into_iter().collect())
    }

    /// Keeps the accounts of the bands and tenants that had work.
    async fn keep(&mut self, bands: &[BandQueue]) -> Result<()> {
        for band in bands.iter().filter(|band| !band.tenants.is_empty()) {
            let statement = sql!("dispatch/keep_lane")
                .bind(self.pool.as_str())
                .bind(band.band.code())
                .bind(i64::from(band.owed))
                .bind(band.turn.map(TenantId::uuid));
            run(statement, self.tx, WHAT).await?;
            let (tenants, deficits): (Vec<Uuid>, Vec<i64>) =
                band.tenants.iter().map(|queue| (queue.tenant.uuid(), queue.deficit)).unzip();
            let statement = sql!("dispatch/keep_shares")
                .bind(self.pool.as_str())
                .bind(band.band.code())
                .bind(tenants)
                .bind(deficits);
            run(statement, self.tx, WHAT).await?;
        }
        Ok(())
    }

    fn tickets(&self, picks: &[(Band, JobId)], marked: &HashSet<JobId>) -> Vec<Ticket> {
        let ticket = |(band, job): &(Band, JobId)| {
            let (tenant, epoch) = self.epochs.get(job)?;
            marked.contains(job).then_some(Ticket { job: *job, tenant: *tenant, epoch: *epoch, band: *band })
        };
        picks.iter().filter_map(ticket).collect()
    }

    async fn rows(
        &mut self,
        statement: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<PgRow>> {
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
