//! The whole of `tidy` on made-up workspaces.

use std::fs;

use super::*;

const LINTS: &str = "\n[lints]\nworkspace = true\n";

/// A workspace of packages given as (folder, manifest after `[package] name`, …).
fn workspace(packages: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let members: Vec<String> = packages.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let paths: String =
        packages.iter().map(|(name, _)| format!("{name} = {{ path = \"{name}\" }}\n")).collect();
    write(
        "Cargo.toml",
        &format!(
            "[workspace]\nresolver = \"3\"\nmembers = [{}]\n[workspace.lints.rust]\n\
             [workspace.dependencies]\nsqlx = \"0.8\"\ntch = \"0.24\"\nserde = \"1\"\n{paths}",
            members.join(", ")
        ),
    );
    for (name, rest) in packages {
        let manifest =
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{rest}");
        write(&format!("{name}/Cargo.toml"), &manifest);
        write(&format!("{name}/src/lib.rs"), "//! Made up.\n");
    }
    root
}

fn lines(root: &tempfile::TempDir) -> Vec<String> {
    problems(root.path()).unwrap().iter().map(Problem::to_string).collect()
}

#[test]
fn allowed_arrows_pass() {
    let root = workspace(&[
        ("retouch-domain", LINTS),
        ("retouch-ports", &format!("[dependencies]\nretouch-domain.workspace = true\n{LINTS}")),
        ("retouch-testkit", &format!("[dependencies]\nretouch-ports.workspace = true\n{LINTS}")),
        (
            "retouch-store-sqlite",
            &format!(
                "[dependencies]\nretouch-ports.workspace = true\nsqlx.workspace = true\n\
                 serde = {{ workspace = true, optional = true }}\n\
                 [dev-dependencies]\nretouch-testkit.workspace = true\n{LINTS}"
            ),
        ),
    ]);
    assert_eq!(lines(&root), Vec::<String>::new());
}

#[test]
fn a_forbidden_arrow_is_told_with_its_line() {
    let root = workspace(&[
        ("retouch-domain", &format!("[dependencies]\nretouch-ports.workspace = true\n{LINTS}")),
        ("retouch-ports", LINTS),
        ("retouch-local", &format!("[build-dependencies]\nretouch-blob-s3.workspace = true\n{LINTS}")),
        ("retouch-blob-s3", LINTS),
    ]);
    assert_eq!(
        lines(&root),
        [
            "retouch-domain/Cargo.toml:6: retouch-domain may not depend on retouch-ports: it depends on nothing of ours",
            "retouch-local/Cargo.toml:6: retouch-local may not depend on retouch-blob-s3: of ours only on \
             retouch-domain, retouch-ports",
        ]
    );
}

#[test]
fn third_parties_stay_with_their_owner_also_under_another_name() {
    let root = workspace(&[
        (
            "retouch-ports",
            &format!(
                "[target.'cfg(unix)'.dependencies]\ntch.workspace = true\n\
                 [dev-dependencies]\nsqlx.workspace = true\n{LINTS}"
            ),
        ),
        (
            "retouch",
            &format!("[dependencies]\ntensors = {{ package = \"tch\", version = \"0.24\" }}\n{LINTS}"),
        ),
    ]);
    assert_eq!(
        lines(&root),
        [
            "retouch/Cargo.toml:6: retouch may not depend on tch: only retouch-diffusion may",
            "retouch/Cargo.toml:6: write `tensors.workspace = true` and put tensors into [workspace.dependencies]",
            "retouch-ports/Cargo.toml:6: retouch-ports may not depend on tch: only retouch-diffusion may",
            "retouch-ports/Cargo.toml:8: retouch-ports may not depend on sqlx: only retouch-store-postgres and \
             retouch-store-sqlite may",
        ]
    );
}

#[test]
fn the_testkit_is_for_tests() {
    let root = workspace(&[
        ("retouch-testkit", LINTS),
        ("retouch", &format!("[dependencies]\nretouch-testkit.workspace = true\n{LINTS}")),
        ("retouch-tests", &format!("[dependencies]\nretouch-testkit.workspace = true\n{LINTS}")),
    ]);
    assert_eq!(
        lines(&root),
        ["retouch/Cargo.toml:6: retouch may depend on retouch-testkit only under [dev-dependencies]"]
    );
}

#[test]
fn an_unknown_package_is_told_where_to_add_it() {
    let root = workspace(&[("retouch-novelty", LINTS)]);
    assert_eq!(
        lines(&root),
        ["retouch-novelty/Cargo.toml:2: package retouch-novelty is not in the table ARROWS of \
          xtask/src/tidy/arrows.rs; add it there"]
    );
}

#[test]
fn a_version_or_lints_of_its_own_is_a_problem() {
    let root = workspace(&[("retouch-domain", "[dependencies]\nserde = \"1\"\n")]);
    assert_eq!(
        lines(&root),
        [
            "retouch-domain/Cargo.toml:2: add `[lints]` with `workspace = true`",
            "retouch-domain/Cargo.toml:6: write `serde.workspace = true` and put serde into [workspace.dependencies]",
        ]
    );
}

#[test]
fn ignored_folders_are_not_walked_and_others_are() {
    let root = workspace(&[("retouch-domain", LINTS)]);
    fs::write(root.path().join(".gitignore"), "/target\n").unwrap();
    for folder in ["target", "retouch-domain/examples"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
        fs::write(root.path().join(folder).join("made.rs"), "fn main() {}\n").unwrap();
    }
    assert_eq!(lines(&root), ["retouch-domain/examples/made.rs:1: open the file with `//!`: what is here"]);
}
