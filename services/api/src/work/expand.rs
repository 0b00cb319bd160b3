//! Rows from lists: one after the other (`zip`), or each with each (`matrix`); and defaults under rows.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::problem::{Answer, Problem};

/// A row: the fields of a job that it names.
pub(crate) type Row = Map<String, Value>;

/// How lists become rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expand {
    /// Row i has the i-th value of each list; the lists have one length.
    Zip,
    /// A row for each combination; the last list turns fastest.
    Matrix,
}

/// The rows of these lists.
///
/// # Errors
/// Lists of different length, an empty one, or more than `most` rows.
pub(crate) fn expand(how: Expand, lists: &Map<String, Value>, most: usize) -> Answer<Vec<Row>> {
    let lists = lists.iter().map(|(field, values)| values_of(field, values)).collect::<Answer<Vec<_>>>()?;
    let lengths = lists.iter().map(|(_, values)| values.len());
    let count = match how {
        Expand::Matrix => lengths.fold(1_usize, usize::saturating_mul),
        Expand::Zip => lengths.clone().max().unwrap_or(0),
    };
    if let (Expand::Zip, Some((field, values))) =
        (how, lists.iter().find(|(_, values)| values.len() != count))
    {
        let message = format!("it has {} values, another list has {count}: give each as many", values.len());
        return Err(Problem::invalid_part(format!("lists.{field}"), "lengths_differ", message));
    }
    if lists.is_empty() || count == 0 || count > most {
        let message = format!("the lists make {count} rows: 1 to {most} are accepted");
        return Err(Problem::invalid_part("lists", "out_of_range", message));
    }
    Ok((0..count).map(|index| row(how, &lists, index)).collect())
}

fn values_of<'a>(field: &'a str, values: &'a Value) -> Answer<(&'a str, &'a [Value])> {
    let Value::Array(values) = values else {
        return Err(Problem::invalid_part(format!("lists.{field}"), "not_a_list", "give a list of values"));
    };
    Ok((field, values))
}

fn row(how: Expand, lists: &[(&str, &[Value])], index: usize) -> Row {
    let mut rest = index;
    let pick = |(field, values): &(&str, &[Value])| {
        let place = match how {
            Expand::Zip => index,
            Expand::Matrix => {
                let place = rest % values.len();
                rest /= values.len();
                place
            }
        };
        ((*field).to_owned(), values[place].clone())
    };
    let mut fields: Vec<_> = lists.iter().rev().map(pick).collect();
    fields.reverse();
    fields.into_iter().collect()
}

/// The row with the fields of `defaults` that it does not name.
pub(crate) fn over(defaults: &Row, mut row: Row) -> Row {
    for (field, value) in defaults {
        if !row.contains_key(field) {
            row.insert(field.clone(), value.clone());
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(how: Expand, lists: Value) -> Answer<Vec<String>> {
        let rows = expand(how, lists.as_object().unwrap(), 6)?;
        Ok(rows.into_iter().map(|row| Value::Object(row).to_string()).collect())
    }

    #[test]
    fn lists_become_rows() {
        let lists = json!({"seed": [1, 2], "steps": [5, 6]});
        assert_eq!(
            rows(Expand::Zip, lists.clone()).unwrap(),
            [r#"{"seed":1,"steps":5}"#, r#"{"seed":2,"steps":6}"#]
        );
        let matrix = rows(Expand::Matrix, lists).unwrap();
        assert_eq!((matrix.len(), matrix[1].as_str()), (4, r#"{"seed":1,"steps":6}"#));
    }

    #[test]
    fn lists_that_make_no_rows_are_refused() {
        for (how, lists) in [
            (Expand::Zip, json!({"seed": [1, 2], "steps": [5]})),
            (Expand::Zip, json!({})),
            (Expand::Matrix, json!({"seed": [1, 2], "steps": []})),
            (Expand::Matrix, json!({"seed": [1, 2, 3], "steps": [1, 2, 3]})),
            (Expand::Zip, json!({"seed": 1})),
        ] {
            assert_eq!(rows(how, lists.clone()).unwrap_err().code(), "invalid_request", "{lists}");
        }
    }

    #[test]
    fn a_row_wins_over_defaults() {
        let object = |value: Value| value.as_object().unwrap().clone();
        let row = over(&object(json!({"seed": 1, "steps": 2})), object(json!({"seed": null})));
        assert_eq!(Value::Object(row), json!({"seed": null, "steps": 2}));
    }
}
