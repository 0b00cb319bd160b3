//! The rules of each `Cargo.toml`: versions and lints come from the workspace.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// A package's manifest, with the place of everything that a rule may complain about.
pub(super) struct Manifest {
    /// Relative to the root of the workspace.
    file: PathBuf,
    package_line: usize,
    inherits_lints: bool,
    dependencies: Vec<Entry>,
}

/// One line of a dependency table.
struct Entry {
    key: String,
    line: usize,
    inherited: bool,
}

impl Manifest {
    pub(super) fn read(root: &Path, path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let file = path.strip_prefix(root).unwrap_or(path);
        Self::parse(file, &text).with_context(|| format!("reading {} as TOML", path.display()))
    }

    fn parse(file: &Path, text: &str) -> Result<Self, toml::de::Error> {
        let parsed = DeTable::parse(text)?;
        let manifest = parsed.get_ref();
        let line = |span: Range<usize>| text[..span.start].matches('\n').count() + 1;
        let package_line = table(manifest, "package")
            .and_then(|package| package.keys().find(|key| key.get_ref() == "name"))
            .map_or(1, |key| line(key.span()));
        let dependencies = dependency_tables(manifest)
            .into_iter()
            .flat_map(|entries| entries.iter())
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                line: line(key.span()),
                inherited: is_inherited(value.get_ref()),
            })
            .collect();
        let inherits_lints = table(manifest, "lints").is_some_and(says_workspace);
        Ok(Self { file: file.to_owned(), package_line, inherits_lints, dependencies })
    }

    pub(super) fn problem(&self, line: usize, text: impl Into<String>) -> Problem {
        Problem::new(&self.file, line, text)
    }

    /// Where the package gets its name.
    pub(super) fn package_line(&self) -> usize {
        self.package_line
    }

    /// Where a dependency is asked for.
    pub(super) fn dependency_line(&self, key: &str) -> usize {
        self.dependencies.iter().find(|entry| entry.key == key).map_or(1, |entry| entry.line)
    }

    /// The breaches that the manifest alone shows.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let own_version = self.dependencies.iter().filter(|entry| !entry.inherited).map(|entry| {
            let key = &entry.key;
            let text = format!("write `{key}.workspace = true` and put {key} into [workspace.dependencies]");
            self.problem(entry.line, text)
        });
        let lints = (!self.inherits_lints)
            .then(|| self.problem(self.package_line, "add `[lints]` with `workspace = true`"));
        own_version.chain(lints).collect()
    }
}

/// The tables of the package itself and those under `[target.'…']`.
fn dependency_tables<'t, 'i>(manifest: &'t DeTable<'i>) -> Vec<&'t DeTable<'i>> {
    let targets = table(manifest, "target").into_iter().flat_map(|targets| targets.values());
    std::iter::once(manifest)
        .chain(targets.filter_map(|target| target.get_ref().as_table()))
        .flat_map(|holder| DEPENDENCY_TABLES.iter().filter_map(|name| table(holder, name)))
        .collect()
}

fn table<'t, 'i>(holder: &'t DeTable<'i>, name: &str) -> Option<&'t DeTable<'i>> {
    get(holder, name)?.as_table()
}

fn get<'t, 'i>(holder: &'t DeTable<'i>, name: &str) -> Option<&'t DeValue<'i>> {
    holder.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| Spanned::get_ref(value))
}

fn is_inherited(value: &DeValue<'_>) -> bool {
    value.as_table().is_some_and(says_workspace)
}

fn says_workspace(table: &DeTable<'_>) -> bool {
    matches!(get(table, "workspace"), Some(DeValue::Boolean(true)))
}
