//! Lists in parts.

use std::str::FromStr;

use retouch_ports::store::Page;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::{Answer, Problem};

const DEFAULT: u32 = 50;
const MOST: u32 = 200;

/// Which part of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Part {
    /// What the answer before called `next`; the first part if absent.
    pub(crate) after: Option<String>,
    /// The most items; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
}

impl Part {
    /// The page that the store is asked for.
    pub(crate) fn page<Id: FromStr>(&self) -> Answer<Page<Id>> {
        page(self.after.as_deref(), self.limit)
    }
}

/// The page of these two parameters.
pub(crate) fn page<Id: FromStr>(after: Option<&str>, limit: Option<u32>) -> Answer<Page<Id>> {
    let limit = limit.unwrap_or(DEFAULT);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid_part("limit", "out_of_range", format!("use 1 to {MOST}")));
    }
    let after = after.map(|text| {
        let message = "use what an earlier answer called `next`";
        text.parse().map_err(|_| Problem::invalid_part("after", "not_a_cursor", message))
    });
    Ok(Page { after: after.transpose()?, limit })
}

/// What `after` says for the next part: the last id, if the part was full.
pub(crate) fn next<Id: ToString>(count: usize, limit: u32, last: Option<Id>) -> Option<String> {
    last.filter(|_| count >= limit as usize).map(|id| id.to_string())
}
