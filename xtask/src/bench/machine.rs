//! Where and on what a measurement was made, as results name it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// Commit, processor and settings.
pub(super) fn describe(root: &Path, threads: u16, device: &str) -> Value {
    json!({
        "commit": commit(root), "processor": processor(), "memory_bytes": memory(), "threads": threads,
        "device": device,
    })
}

/// The commit that is checked out, marked if the checkout differs from it.
fn commit(root: &Path) -> Option<String> {
    let git = |words: &[&str]| {
        let output = Command::new("git").current_dir(root).args(words).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = !git(&["status", "--porcelain"])?.is_empty();
    Some(if changed { format!("{commit} with changes") } else { commit })
}

fn processor() -> Option<String> {
    field(&fs::read_to_string("/proc/cpuinfo").ok()?, "model name")
}

fn memory() -> Option<u64> {
    let total = field(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal")?;
    Some(total.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The first `name : value` of a text.
fn field(text: &str, name: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "model\t\t: 85\nmodel name\t: Some CPU: fast\n";
        assert_eq!(field(text, "model name").as_deref(), Some("Some CPU: fast"));
        assert_eq!(field(text, "stepping"), None);
    }
}
