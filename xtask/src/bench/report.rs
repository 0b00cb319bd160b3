//! Results as a table for people and as JSON for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::cases::Work;
use super::measured::{Measured, Pairs, median};

/// More of a core than this in the waiting side disturbs the other.
const MOST_IDLE_LOAD: f64 = 0.02;
const HEADER: [&str; 10] = [
    "case",
    "what",
    "ours",
    "diffusers",
    "ratio",
    "lowest-highest",
    "aim",
    "verdict",
    "max|Δ|",
    "rows·steps/s",
];

/// One quantity of one case.
struct Line<'a> {
    result: &'a Measured,
    what: &'static str,
    pairs: &'a Pairs,
    aim: Option<f64>,
    show: fn(f64) -> String,
}

/// Ours divided by theirs, over the pairs.
#[derive(Debug, PartialEq)]
struct Ratio {
    median: f64,
    lowest: f64,
    highest: f64,
}

/// The table, with what it was measured on above it.
pub(super) fn table(machine: &Value, libraries: &Value, results: &[Measured]) -> String {
    let mut text = String::new();
    for (name, value) in [("machine", machine), ("libraries", libraries)] {
        let fields = value.as_object().into_iter().flatten().map(|(key, value)| format!("{key} {value}"));
        let fields: Vec<String> = fields.collect();
        if !fields.is_empty() {
            text += &format!("{name}: {}\n", fields.join(", "));
        }
    }
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(lines(results).iter().map(Line::cells));
    let mut widths = [0; HEADER.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (index, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text += &format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
        if index == 0 {
            text += &format!("|{}|\n", widths.map(|width| "-".repeat(width + 2)).join("|"));
        }
    }
    for result in results.iter().filter(|result| result.idle_load > MOST_IDLE_LOAD) {
        let (name, percent) = (result.case.name(), 100.0 * result.idle_load);
        writeln!(text, "warning: in {name} the waiting side used {percent:.0} % of a core")
            .expect("a string takes everything");
    }
    text
}

/// Everything that was measured.
pub(super) fn json(machine: &Value, libraries: &Value, results: &[Measured]) -> Value {
    let pairs = |pairs: &Pairs| json!({ "ours": pairs.ours, "theirs": pairs.theirs });
    let cases = results.iter().map(|result| {
        let aims = result.case.aims();
        json!({
            "case": result.case.name(), "seconds": pairs(&result.time), "peak_bytes": pairs(&result.memory),
            "aim_time": aims.time, "aim_memory": aims.memory, "difference": result.difference,
            "tolerance": result.case.tolerance(), "idle_load": result.idle_load,
        })
    });
    json!({ "machine": machine, "libraries": libraries, "cases": cases.collect::<Vec<_>>() })
}

fn lines(results: &[Measured]) -> Vec<Line<'_>> {
    results.iter().flat_map(lines_of).collect()
}

/// The time, and the memory where it was measured.
fn lines_of(result: &Measured) -> impl Iterator<Item = Line<'_>> {
    let aims = result.case.aims();
    let time = Line { result, what: "time", pairs: &result.time, aim: aims.time, show: seconds };
    let memory = Line { result, what: "peak memory", pairs: &result.memory, aim: aims.memory, show: bytes };
    std::iter::once(time).chain((!memory.pairs.ours.is_empty()).then_some(memory))
}

impl Line<'_> {
    fn cells(&self) -> [String; HEADER.len()] {
        let middle = |values: &[f64]| median(values.to_vec()).unwrap_or(f64::NAN);
        let (ours, theirs) = (middle(&self.pairs.ours), middle(&self.pairs.theirs));
        let ratio = ratio(self.pairs);
        let verdict = match self.aim {
            _ if !self.result.is_same_work() => "OTHER WORK",
            None => "",
            Some(aim) if ratio.median <= aim => "met",
            Some(_) => "FALLS SHORT",
        };
        let rate = match self.result.case.work {
            Work::Step { rows, .. } => {
                let rows = f64::from(rows);
                format!("{:.3} : {:.3}", rows / ours, rows / theirs)
            }
            _ => String::new(),
        };
        [
            self.result.case.name(),
            self.what.to_owned(),
            (self.show)(ours),
            (self.show)(theirs),
            format!("{:.3}", ratio.median),
            format!("{:.3}-{:.3}", ratio.lowest, ratio.highest),
            self.aim.map_or_else(String::new, |aim| format!("{aim:.2}")),
            verdict.to_owned(),
            format!("{:.1e}", self.result.difference),
            rate,
        ]
    }
}

fn ratio(pairs: &Pairs) -> Ratio {
    let ratios: Vec<f64> = pairs.ours.iter().zip(&pairs.theirs).map(|(ours, theirs)| ours / theirs).collect();
    Ratio {
        lowest: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        highest: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        median: median(ratios).unwrap_or(f64::NAN),
    }
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{:.2} ms", value * 1e3) } else { format!("{value:.2} s") }
}

fn bytes(value: f64) -> String {
    format!("{:.0} MiB", value / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cases;

    fn measured(name: &str, ours: &[f64], theirs: &[f64], difference: f64) -> Measured {
        let case = cases::all().into_iter().find(|case| case.name() == name).unwrap();
        let time = Pairs { ours: ours.to_vec(), theirs: theirs.to_vec() };
        Measured { case, time, memory: Pairs::default(), difference, idle_load: 0.0 }
    }

    fn verdict(name: &str, ours: f64, difference: f64) -> String {
        lines(&[measured(name, &[ours], &[1.0], difference)])[0].cells()[7].clone()
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let pairs = Pairs { ours: vec![1.0, 4.0, 3.0], theirs: vec![2.0, 4.0, 4.0] };
        assert_eq!(ratio(&pairs), Ratio { median: 0.75, lowest: 0.5, highest: 1.0 });
    }

    #[test]
    fn verdicts_follow_aims_and_other_work_has_none() {
        assert_eq!(verdict("full/edit-f32-256", 0.92, 0.0), "met");
        assert_eq!(verdict("full/edit-f32-256", 0.93, 0.0), "FALLS SHORT");
        assert_eq!(verdict("full/edit-f32-256", 0.5, 0.1), "OTHER WORK");
        assert_eq!(verdict("full/edit-f32-256", 0.5, f64::INFINITY), "OTHER WORK");
        assert_eq!(verdict("full/text-f32", 0.5, 0.0), "");
    }

    #[test]
    fn the_table_has_rates_and_warns_of_a_busy_wait() {
        let mut result = measured("full/step-f32-256x4", &[2.0, 2.0], &[4.0, 4.0], 1e-5);
        result.idle_load = 0.5;
        let table = table(&json!({ "threads": 2 }), &Value::Null, &[result]);
        assert!(table.starts_with("machine: threads 2\n| case "), "{table}");
        assert!(table.contains("| 2.000 : 1.000 |"), "{table}");
        assert!(table.contains("the waiting side used 50 % of a core"), "{table}");
    }
}
