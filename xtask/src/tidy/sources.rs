//! The rules of each `.rs` file, read as tokens so that comments and strings do not count.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ignore::WalkBuilder;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::Problem;

const MOST_LINES: usize = 500;

/// Checks every Rust file that git would take into a commit.
pub(super) fn check(root: &Path) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for entry in WalkBuilder::new(root).require_git(false).build() {
        let path = entry.with_context(|| format!("walking {}", root.display()))?.into_path();
        if path.extension().is_some_and(|extension| extension == "rs") && path.is_file() {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            problems.extend(check_file(path.strip_prefix(root).unwrap_or(&path), &text));
        }
    }
    Ok(problems)
}

fn check_file(file: &Path, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !text.starts_with("//!") {
        problems.push(Problem::new(file, 1, "open the file with `//!`: what is here"));
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        let text = format!("{lines} lines; split the file, {MOST_LINES} is the limit");
        problems.push(Problem::new(file, MOST_LINES + 1, text));
    }
    match text.parse::<TokenStream>() {
        Ok(tokens) => {
            let mut complain = |line, text: &str| problems.push(Problem::new(file, line, text));
            check_tokens(tokens, &mut complain);
        }
        Err(error) => {
            problems.push(Problem::new(file, error.span().start().line, format!("not Rust: {error}")));
        }
    }
    problems
}

fn check_tokens(tokens: TokenStream, complain: &mut impl FnMut(usize, &str)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if is_macro_call(&tokens, index) => {
                let name = ident.to_string();
                if ["todo", "unimplemented"].contains(&name.as_str()) {
                    complain(ident.span().start().line, &format!("no `{name}!`: finish it or leave it out"));
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                let inner = usize::from(followed_by(&tokens, index, '!'));
                if let Some(TokenTree::Group(group)) = tokens.get(index + 1 + inner) {
                    check_attribute(group, complain);
                }
            }
            TokenTree::Group(group) => check_tokens(group.stream(), complain),
            _ => {}
        }
    }
}

/// `group` is the `[…]` of an attribute; what `cfg_attr` would add counts too.
fn check_attribute(group: &Group, complain: &mut impl FnMut(usize, &str)) {
    if group.delimiter() != Delimiter::Bracket {
        return;
    }
    let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    let Some(TokenTree::Ident(name)) = tokens.first() else { return };
    let (name, line) = (name.to_string(), name.span().start().line);
    let arguments = match tokens.get(1) {
        Some(TokenTree::Group(arguments)) => arguments.stream().into_iter().collect(),
        _ => Vec::new(),
    };
    let added = |what: &str| {
        let follows_comma = |pair: &[TokenTree]| match pair {
            [TokenTree::Punct(comma), TokenTree::Ident(ident)] => comma.as_char() == ',' && *ident == what,
            _ => false,
        };
        name == "cfg_attr" && arguments.windows(2).any(follows_comma)
    };
    if name == "ignore" || added("ignore") {
        complain(line, "no `#[ignore]`: make the test run, or remove it");
    }
    if name == "allow" || added("allow") {
        complain(line, "no `#[allow(…)]`: write `#[expect(…, reason = \"…\")]`");
    }
}

/// Whether `!` and a group follow, which `todo != other` does not have.
fn is_macro_call(tokens: &[TokenTree], index: usize) -> bool {
    followed_by(tokens, index, '!') && matches!(tokens.get(index + 2), Some(TokenTree::Group(_)))
}

fn followed_by(tokens: &[TokenTree], index: usize, expected: char) -> bool {
    matches!(tokens.get(index + 1), Some(TokenTree::Punct(punct)) if punct.as_char() == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(text: &str) -> Vec<(usize, String)> {
        let problems = check_file(Path::new("src/lib.rs"), text);
        problems.into_iter().map(|problem| (problem.line, problem.text)).collect()
    }

    fn only(text: &str, line: usize, part: &str) {
        let found = complaints(text);
        assert!(matches!(&found[..], [(at, text)] if *at == line && text.contains(part)), "{found:?}");
    }

    #[test]
    fn a_clean_file_has_no_problem_whatever_its_comments_and_strings_say() {
        let text = "//! Says #[ignore] and todo!().\n\
                    /// #[allow(dead_code)] in words.\n\
                    fn f() -> &'static str { r\"#[ignore] #[allow(x)] unimplemented!()\" }\n\
                    #[expect(dead_code, reason = \"shown\")]\n\
                    fn ignore(todo: bool) -> bool { !todo && todo != false }\n";
        assert_eq!(complaints(text), []);
    }

    #[test]
    fn a_file_needs_its_opening_words() {
        only("fn f() {}\n", 1, "open the file");
        only("/// Not of the file.\nfn f() {}\n", 1, "open the file");
    }

    #[test]
    fn ignored_tests_are_found_in_each_form() {
        only("//! x\n#[test]\n#[ignore]\nfn f() {}\n", 3, "#[ignore]");
        only("//! x\nmod tests {\n    #[ignore = \"slow\"]\n    fn f() {}\n}\n", 3, "#[ignore]");
        only("//! x\n#[cfg_attr(miri, ignore)]\nfn f() {}\n", 2, "#[ignore]");
    }

    #[test]
    fn allow_is_found_in_each_form() {
        only("//! x\n#![allow(dead_code)]\n", 2, "#[allow");
        only("//! x\nfn f(\n    #[allow(unused)] x: i32,\n) {}\n", 3, "#[allow");
        only("//! x\n#[cfg_attr(test, allow(unused))]\nfn f() {}\n", 2, "#[allow");
    }

    #[test]
    fn unfinished_code_is_found() {
        only("//! x\nfn f() {\n    todo!()\n}\n", 3, "`todo!`");
        only("//! x\nfn f() { unimplemented![] }\n", 2, "`unimplemented!`");
    }

    #[test]
    fn five_hundred_lines_are_the_limit() {
        let file = |lines: usize| format!("//! x\n{}", "// y\n".repeat(lines - 1));
        assert_eq!(complaints(&file(500)), []);
        only(&file(501), 501, "501 lines");
    }

    #[test]
    fn what_is_not_rust_is_a_problem_with_its_line() {
        only("//! x\nfn f( {\n}\n", 2, "not Rust");
    }
}
