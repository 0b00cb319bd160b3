//! The verdicts on rows that are to be stored, from what the database knows of their keys and dependencies.

use std::collections::{HashMap, HashSet};

use retouch_domain::{BatchId, BatchState, Counts, Dependency, InvalidJob, JobId, JobState, NewJob};

use crate::store::{Verdict, VerdictTotals};

/// What has to be looked up before a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Keys.
    pub keys: Vec<String>,
    /// Jobs that are waited for.
    pub jobs: Vec<JobId>,
    /// Batches that are waited for.
    pub batches: Vec<BatchId>,
}

/// What was found, of the same tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Jobs by key.
    pub keys: HashMap<String, JobId>,
    /// Those of them whose batch is another one that is still loading.
    pub loading: HashSet<JobId>,
    /// Ids of rows that other jobs have, whosever they are; looked up when a row could not be stored.
    pub in_use: HashSet<JobId>,
    /// States of jobs.
    pub jobs: HashMap<JobId, JobState>,
    /// States of batches.
    pub batches: HashMap<BatchId, BatchState>,
}

/// A row to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted<'a> {
    /// Its place in the call.
    pub index: usize,
    /// The job.
    pub job: &'a NewJob,
    /// The state that it is stored in.
    pub state: JobState,
    /// What it still waits for.
    pub unmet: Vec<Dependency>,
}

/// The verdicts on the rows of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Intake<'a> {
    /// A verdict for each row.
    pub verdicts: Vec<Verdict>,
    /// Those to be stored.
    pub accepted: Vec<Accepted<'a>>,
}

impl Wanted {
    /// What has to be looked up for these rows.
    pub fn of(jobs: &[NewJob]) -> Self {
        let mut wanted = Self::default();
        for job in jobs {
            wanted.keys.extend(job.key.clone());
            for dependency in &job.after {
                match dependency {
                    Dependency::Job(job) => wanted.jobs.push(*job),
                    Dependency::Batch(batch) => wanted.batches.push(*batch),
                }
            }
        }
        wanted
    }
}

impl<'a> Intake<'a> {
    /// Judges the rows in order: a row may wait for earlier rows of the same call, if they are accepted.
    pub fn judge(jobs: &'a [NewJob], mut known: Known) -> Self {
        let mut intake = Self { verdicts: Vec::with_capacity(jobs.len()), accepted: Vec::new() };
        let mut ids = HashSet::new();
        for (index, job) in jobs.iter().enumerate() {
            let verdict = match judge(job, &known) {
                Ok(_) if known.in_use.contains(&job.id) || !ids.insert(job.id) => {
                    Verdict::Invalid(InvalidJob::IdInUse { id: job.id })
                }
                Ok((state, unmet)) => {
                    known.jobs.insert(job.id, state);
                    known.keys.extend(job.key.clone().map(|key| (key, job.id)));
                    intake.accepted.push(Accepted { index, job, state, unmet });
                    Verdict::New
                }
                Err(verdict) => verdict,
            };
            intake.verdicts.push(verdict);
        }
        intake
    }

    /// Those of the rows to be stored that the database did not store: their key or id is in use since it was looked up.
    /// The others are to be taken back and all judged again, for rows may wait for those.
    pub fn missing(&self, stored: &HashSet<JobId>) -> Vec<JobId> {
        self.accepted.iter().map(|row| row.job.id).filter(|id| !stored.contains(id)).collect()
    }

    /// What the rows add to the batch's counts.
    pub fn counts(&self) -> Counts {
        Counts::accepted(i64::try_from(self.accepted.len()).unwrap_or(i64::MAX))
    }
}

/// How many rows got which verdict.
pub fn totals(verdicts: &[Verdict]) -> VerdictTotals {
    let mut totals = VerdictTotals::default();
    for verdict in verdicts {
        *match verdict {
            Verdict::New => &mut totals.new,
            Verdict::Duplicate(_) => &mut totals.duplicate,
            Verdict::Invalid(_) => &mut totals.invalid,
        } += 1;
    }
    totals
}

fn judge(job: &NewJob, known: &Known) -> Result<(JobState, Vec<Dependency>), Verdict> {
    job.check().map_err(Verdict::Invalid)?;
    if let Some(of) = job.key.as_ref().and_then(|key| known.keys.get(key)) {
        let of = *of;
        return Err(match known.loading.contains(&of) {
            true => Verdict::Invalid(InvalidJob::KeyLoading { of }),
            false => Verdict::Duplicate(of),
        });
    }
    let mut unmet = Vec::new();
    for dependency in &job.after {
        let (met, over) = match dependency {
            Dependency::Job(on) => known.jobs.get(on).map(|s| (*s == JobState::Succeeded, s.is_terminal())),
            Dependency::Batch(on) => known.batches.get(on).map(|s| {
                let over = matches!(s, BatchState::Canceled | BatchState::Failed);
                (*s == BatchState::Completed, over)
            }),
        }
        .ok_or(Verdict::Invalid(InvalidJob::UnknownDependency { dependency: *dependency }))?;
        if !met && over {
            return Err(Verdict::Invalid(InvalidJob::FailedDependency { dependency: *dependency }));
        }
        if !met {
            unmet.push(*dependency);
        }
    }
    Ok((job.first_state(!unmet.is_empty()), unmet))
}
