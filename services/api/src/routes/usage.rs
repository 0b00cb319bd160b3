//! `GET /v1/usage`: what a tenant's jobs took, day by day.

use std::time::Duration;

use axum::extract::State;
use retouch_domain::Timestamp;
use retouch_ports::store::UsageDay;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::door::Reader;
use crate::extract::Query;
use crate::moment;
use crate::problem::{Answer, Problem};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Days before today that are told where nobody says from when.
const USUAL: u32 = 29;
/// The most days of an answer.
const MOST: u32 = 366;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_usage))
}

/// Which days, in UTC.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsageQuery {
    /// The first day such as `2026-01-31`; 29 days before the last if absent.
    from: Option<String>,
    /// The last day; today if absent. At most 366 days are told at once.
    to: Option<String>,
}

/// What ended on a day.
#[derive(Debug, Serialize, ToSchema)]
struct DayObject {
    /// The day in UTC.
    day: String,
    /// Jobs that succeeded.
    jobs: u64,
    /// Files that came of them, such as images.
    images: u64,
    /// Runs that ended, also those without a result.
    runs: u64,
    /// Time on devices of all runs, in seconds.
    device_seconds: f64,
    /// Time that runs waited for a model to load, in seconds.
    load_seconds: f64,
}

impl From<UsageDay> for DayObject {
    fn from(usage: UsageDay) -> Self {
        Self {
            day: moment::day_text(usage.day),
            jobs: usage.succeeded,
            images: usage.files,
            runs: usage.runs,
            device_seconds: usage.cost.device_ms as f64 / 1000.0,
            load_seconds: usage.cost.load_ms as f64 / 1000.0,
        }
    }
}

/// What a tenant's jobs took.
#[derive(Debug, Serialize, ToSchema)]
struct Usage {
    /// The first day.
    from: String,
    /// The last day.
    to: String,
    /// The days on which something ended, the first one first.
    days: Vec<DayObject>,
}

/// What your jobs took, day by day.
///
/// A job counts on the day on which it ended, while its batch is kept.
#[utoipa::path(
    get, path = "/v1/usage", tag = "usage", security(("key" = ["read"])), params(UsageQuery),
    responses((status = OK, body = Usage), (status = "4XX", body = Problem))
)]
async fn get_usage(
    Reader(tenant): Reader,
    State(app): State<App>,
    Query(query): Query<UsageQuery>,
) -> Answer<axum::Json<Usage>> {
    let to = match day("to", query.to.as_deref())? {
        Some(to) => to,
        None => moment::day_of(app.store.now().await?),
    };
    let from = day("from", query.from.as_deref())?.unwrap_or(to - DAY * USUAL);
    if from > to || to - DAY * (MOST - 1) > from {
        let message =
            format!("the first day is not behind the last, and at most {MOST} days are told at once");
        return Err(Problem::invalid_part("from", "out_of_range", message));
    }
    let days = app.store.usage(tenant, from, to + DAY).await?;
    let days = days.into_iter().map(DayObject::from).collect();
    Ok(axum::Json(Usage { from: moment::day_text(from), to: moment::day_text(to), days }))
}

/// The day that a parameter names.
fn day(name: &str, text: Option<&str>) -> Answer<Option<Timestamp>> {
    let wrong = || Problem::invalid_part(name, "not_a_day", "use a day such as 2026-01-31");
    text.map(|text| moment::parse_day(text).ok_or_else(wrong)).transpose()
}
