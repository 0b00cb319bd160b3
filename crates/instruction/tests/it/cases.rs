//! The parser's own cases: `phrases/cases.tsv`.

use retouch_instruction::{normalise, parse};

fn cases() -> Vec<(&'static str, &'static str)> {
    let file = include_str!("../../phrases/cases.tsv");
    let lines = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.split_once('\t').unwrap()).collect()
}

fn short(text: &str) -> String {
    let intents: Vec<String> = parse(text).intents.iter().map(ToString::to_string).collect();
    intents.join("; ")
}

#[test]
fn every_case_is_read() {
    let cases = cases();
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(text, expected)| short(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  read     {}\n  expected {expected}", short(text)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn spelling_changes_nothing() {
    for (text, _) in cases() {
        let normal = normalise(text);
        assert_eq!(normalise(&normal), normal);
        let free = |text: &str| text.contains("free(");
        let (read, again) = (short(text), short(&normal));
        assert!(read == again || (free(&read) && free(&again)), "{text}: {read}, normalised {again}");
    }
}
