//! Reading the columns of a row as what they mean.

use std::time::Duration;

use retouch_domain::{
    Band, BatchState, Counts, ErrorCode, JobError, JobState, LockedJob, RetryPolicy, Run, RunPlace, Tally,
    Timestamp,
};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Error, Postgres, Row, Type, TypeInfo, ValueRef};
use uuid::Uuid;

type Result<T> = std::result::Result<T, Error>;

/// The columns of a row.
pub(crate) struct Fields<'r>(pub(crate) &'r PgRow);

impl<'r> Fields<'r> {
    pub(crate) fn get<T: Decode<'r, Postgres> + Type<Postgres>>(&self, column: &str) -> Result<T> {
        self.0.try_get(column)
    }

    pub(crate) fn text(&self, column: &str) -> Result<&'r str> {
        self.get(column)
    }

    /// An integer of any width.
    pub(crate) fn int(&self, column: &str) -> Result<i64> {
        match self.0.try_get_raw(column)?.type_info().name() {
            "INT2" => self.get::<i16>(column).map(i64::from),
            "INT4" => self.get::<i32>(column).map(i64::from),
            _ => self.get(column),
        }
    }

    pub(crate) fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.get::<Option<bool>>(column)?.unwrap_or(false))
    }

    /// A number of any type that is never negative.
    pub(crate) fn count<T: TryFrom<i64>>(&self, column: &str) -> Result<T> {
        T::try_from(self.int(column)?).map_err(|_| unreadable(column, "is out of range"))
    }

    pub(crate) fn id<T: From<Uuid>>(&self, column: &str) -> Result<T> {
        self.get::<Uuid>(column).map(T::from)
    }

    pub(crate) fn id_or_none<T: From<Uuid>>(&self, column: &str) -> Result<Option<T>> {
        Ok(self.get::<Option<Uuid>>(column)?.map(T::from))
    }

    pub(crate) fn time(&self, column: &str) -> Result<Timestamp> {
        self.int(column).map(Timestamp::from_micros)
    }

    pub(crate) fn time_or_none(&self, column: &str) -> Result<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }

    pub(crate) fn millis(&self, column: &str) -> Result<Duration> {
        self.count(column).map(Duration::from_millis)
    }

    pub(crate) fn json(&self, column: &str) -> Result<Value> {
        self.get(column)
    }

    pub(crate) fn json_or_none(&self, column: &str) -> Result<Option<Value>> {
        self.get(column)
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&self, column: &str) -> Result<T> {
        self.text(column)?.parse().map_err(|_| unreadable(column, "is not what this build expects"))
    }

    pub(crate) fn state(&self, column: &str) -> Result<JobState> {
        JobState::from_code(self.text(column)?).ok_or_else(|| unreadable(column, "is no state of a job"))
    }

    pub(crate) fn batch_state(&self, column: &str) -> Result<BatchState> {
        BatchState::from_code(self.text(column)?).ok_or_else(|| unreadable(column, "is no state of a batch"))
    }

    pub(crate) fn band(&self, column: &str) -> Result<Band> {
        Band::from_code(self.text(column)?).ok_or_else(|| unreadable(column, "is no band"))
    }

    pub(crate) fn error(&self) -> Result<Option<JobError>> {
        let code: Option<String> = self.get("error_code")?;
        let message: Option<String> = self.get("error_message")?;
        Ok(code.map(|code| JobError { code: ErrorCode::new(code), message: message.unwrap_or_default() }))
    }

    /// The five counts whose columns begin with `prefix`.
    pub(crate) fn counts(&self, prefix: &str) -> Result<Counts> {
        let count = |name: &str| self.int(&format!("{prefix}{name}"));
        Ok(Counts {
            total: count("total")?,
            succeeded: count("succeeded")?,
            failed: count("failed")?,
            canceled: count("canceled")?,
            expired: count("expired")?,
        })
    }

    pub(crate) fn tally(&self) -> Result<Tally> {
        Ok(Tally {
            starts: self.count("starts")?,
            failures: self.count("failures")?,
            crashes: self.count("crashes")?,
            out_of_memory: self.count("out_of_memory")?,
            parkings: self.count("parkings")?,
            suspect: self.flag("suspect")?,
        })
    }

    pub(crate) fn retry(&self) -> Result<RetryPolicy> {
        Ok(RetryPolicy {
            max_attempts: self.count("max_attempts")?,
            base: self.millis("backoff_base_ms")?,
            cap: self.millis("backoff_cap_ms")?,
        })
    }

    pub(crate) fn locked(&self) -> Result<LockedJob> {
        let place = match (self.flag("on_device")?, self.flag("alone")?) {
            (false, _) => RunPlace::Waiting,
            (true, false) => RunPlace::Shared,
            (true, true) => RunPlace::Alone,
        };
        let cancel_requested = self.get::<Option<i16>>("signal")? == Some(2);
        Ok(LockedJob {
            job: self.id("id")?,
            batch: self.id("batch")?,
            tenant: self.id("tenant")?,
            state: self.state("state")?,
            epoch: self.count("epoch")?,
            tally: self.tally()?,
            retry: self.retry()?,
            later: self.flag("later")?,
            run: self.flag("runs")?.then_some(Run { place, cancel_requested }),
        })
    }
}

/// A stored value that this build cannot read.
pub(crate) fn unreadable(column: &str, why: &str) -> Error {
    Error::ColumnDecode { index: column.to_owned(), source: format!("the stored value {why}").into() }
}

pub(crate) fn uuid(column: &str, text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| unreadable(column, "is no id"))
}
