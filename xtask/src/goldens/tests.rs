//! Folders of goldens: what counts, what is compared, what an update does. The scripts here are shell scripts.

use super::*;

/// A workspace whose one crate has the given files under `tests/goldens`.
fn workspace(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join("crates/engine/tests/goldens").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

/// Runs the scripts of the only folder; `sh` stands in for Python.
fn compare(root: &Path, filter: Option<&str>, update_too: bool) -> Vec<(String, Verdict)> {
    let folders = folders(root, filter).unwrap();
    let [folder] = &folders[..] else { panic!("{} folders", folders.len()) };
    let made = tempfile::tempdir().unwrap();
    let outputs = make(Path::new("sh"), folder, made.path()).unwrap();
    let verdicts = verdicts(folder, &outputs).unwrap();
    if update_too {
        update(folder, &outputs, &verdicts).unwrap();
    }
    verdicts.into_iter().map(|(name, verdict)| (name.display().to_string(), verdict)).collect()
}

const MAKES_A_AND_B: &str = "mkdir \"$2/deep\"; printf one > \"$2/a.txt\"; printf two > \"$2/deep/b.txt\"";

#[test]
fn equal_files_are_the_same_and_python_is_no_golden() {
    let root = workspace(&[
        ("make_x.py", MAKES_A_AND_B),
        ("common.py", "not a golden"),
        ("a.txt", "one"),
        ("deep/b.txt", "two"),
    ]);
    assert_eq!(
        compare(root.path(), None, false),
        [("a.txt".to_owned(), Verdict::Same(None)), ("deep/b.txt".to_owned(), Verdict::Same(None))]
    );
}

#[test]
fn changed_new_and_stale_files_are_told_and_an_update_settles_them() {
    let root = workspace(&[("make_x.py", MAKES_A_AND_B), ("a.txt", "older"), ("c.txt", "left over")]);
    assert_eq!(
        compare(root.path(), None, true),
        [
            ("a.txt".to_owned(), Verdict::Differs("3 bytes, 5 committed".to_owned())),
            ("c.txt".to_owned(), Verdict::Stale),
            ("deep/b.txt".to_owned(), Verdict::New),
        ]
    );
    assert_eq!(
        compare(root.path(), None, false),
        [("a.txt".to_owned(), Verdict::Same(None)), ("deep/b.txt".to_owned(), Verdict::Same(None))]
    );
}

#[test]
fn a_filtered_run_does_not_call_the_other_scripts_files_stale() {
    let root = workspace(&[
        ("make_x.py", "printf x > \"$2/x.txt\""),
        ("make_y.py", "printf y > \"$2/y.txt\""),
        ("x.txt", "x"),
        ("y.txt", "y"),
    ]);
    assert_eq!(compare(root.path(), Some("make_x"), false), [("x.txt".to_owned(), Verdict::Same(None))]);
    assert!(folders(root.path(), Some("make_z")).unwrap().is_empty());
}

#[test]
fn two_scripts_may_not_make_the_same_file() {
    let root = workspace(&[("make_x.py", MAKES_A_AND_B), ("make_y.py", MAKES_A_AND_B)]);
    let folders = folders(root.path(), None).unwrap();
    let made = tempfile::tempdir().unwrap();
    let error = make(Path::new("sh"), &folders[0], made.path()).unwrap_err().to_string();
    assert!(error.contains("make_y.py makes a.txt, which another script"), "{error}");
}

#[test]
fn a_failing_script_is_an_error() {
    let root = workspace(&[("make_x.py", "exit 3")]);
    let folders = folders(root.path(), None).unwrap();
    let made = tempfile::tempdir().unwrap();
    let error = make(Path::new("sh"), &folders[0], made.path()).unwrap_err().to_string();
    assert!(error.contains("make_x.py") && error.contains("exit status: 3"), "{error}");
}
