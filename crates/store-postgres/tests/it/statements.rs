//! Every statement is prepared against the migrated schema, so that none is found wrong at run time only.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

use crate::database::Database;

fn statements(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            statements(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[tokio::test]
async fn every_statement_fits_the_schema() {
    let database = Database::migrated().await;
    let mut connection = database.connect().await;
    let mut found = Vec::new();
    let queries = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
    statements(&queries, &mut found);
    assert!(found.len() > 80, "{}", found.len());
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        if let Err(error) = connection.prepare(AssertSqlSafe(text).into_sql_str()).await {
            panic!("{}: {error}", path.display());
        }
    }
}

#[test]
fn every_statement_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: String = fs::read_dir(root.join("src"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let mut found = Vec::new();
    statements(&root.join("queries"), &mut found);
    for path in found {
        let name = path.strip_prefix(root.join("queries")).unwrap().with_extension("");
        let call = format!("sql!(\"{}\")", name.display());
        assert!(sources.contains(&call), "nothing calls {call}");
    }
}
