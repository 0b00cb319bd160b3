//! What results are called as files: as their input was, or by their row.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use retouch_domain::{BatchId, JobId};

use crate::work::row::row_of;

/// The most bytes of a name before its number and extension: what file systems take, with room for those.
const STEM: usize = 180;
/// What file systems and shells of some kind take for something else than a part of a name.
const SPECIAL: [char; 9] = ['/', '\\', ':', '*', '?', '"', '<', '>', '|'];

/// A job that has results.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Its batch.
    pub batch: BatchId,
    /// The job.
    pub job: JobId,
    /// The user's name for it.
    pub key: Option<&'a str>,
}

/// One of the images that came of a job.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Which, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
    /// Its media type.
    pub media_type: &'a str,
}

/// Names that were given away, of which no two are the same, upper and lower case taken for one. Of each a hash is kept.
#[derive(Debug, Default)]
pub struct Names(HashSet<u64>);

impl Names {
    /// The name of an image: one segment that leads out of no folder, whatever the job is called.
    ///
    /// It is the last segment of the job's key without the extension of an image, or the number of its row, or its id. What
    /// is taken already gets the number or id behind it.
    pub fn give(&mut self, owner: Owner<'_>, image: Image<'_>) -> String {
        let extension = match image.media_type {
            "image/jpeg" => "jpg",
            "image/webp" => "webp",
            _ => "png",
        };
        let which = if image.of > 1 { format!("-{}", image.index) } else { String::new() };
        let (key, row) = (owner.key.map(stem).filter(|key| !key.is_empty()), row(owner));
        let first = key.clone().unwrap_or_else(|| row.clone());
        let second = format!("{first}-{row}");
        let others = (0_u64..).map(|number| format!("{first}-{}-{number}", owner.job));
        let mut names = [first.clone(), second]
            .into_iter()
            .chain(others)
            .map(|stem| format!("{stem}{which}.{extension}"));
        names.find(|name| self.0.insert(hash(name))).expect("there are more numbers than names")
    }
}

/// The number of the row as verdicts tell it, from 1; the id of a job that came of none.
fn row(owner: Owner<'_>) -> String {
    row_of(owner.batch, owner.job).map_or_else(|| owner.job.to_string(), |row| format!("{:06}", row + 1))
}

fn stem(key: &str) -> String {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let known = |extension: &str| {
        ["png", "jpg", "jpeg", "webp"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    };
    let name = match name.rsplit_once('.') {
        Some((stem, extension)) if known(extension) => stem,
        _ => name,
    };
    let plain = |c: char| if c.is_control() || SPECIAL.contains(&c) { '_' } else { c };
    let name: String = name.trim_start_matches(['.', ' ']).chars().map(plain).collect();
    name[name.ceil_char_boundary(name.len().saturating_sub(STEM))..].trim_start_matches(['.', ' ']).to_owned()
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.to_lowercase().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::work::row::job_id;

    const ONE: Image<'_> = Image { index: 0, of: 1, media_type: "image/png" };

    fn batch() -> BatchId {
        BatchId::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
    }

    fn named(names: &mut Names, row: u64, key: &str, image: Image<'_>) -> String {
        names.give(Owner { batch: batch(), job: job_id(batch(), row), key: Some(key) }, image)
    }

    #[test]
    fn results_are_called_as_their_inputs_or_by_their_row() {
        let mut names = Names::default();
        assert_eq!(named(&mut names, 0, "token/vase.jpg", ONE), "vase.png");
        assert_eq!(named(&mut names, 1, "vase", Image { index: 1, of: 2, ..ONE }), "vase-1.png");
        assert_eq!(named(&mut names, 2, "v1.5", Image { media_type: "image/webp", ..ONE }), "v1.5.webp");
        assert_eq!(
            names.give(Owner { batch: batch(), job: job_id(batch(), 6), key: None }, ONE),
            "000007.png"
        );
        let single = JobId::new(Uuid::from_u128(7));
        assert_eq!(
            names.give(Owner { batch: batch(), job: single, key: None }, ONE),
            format!("{single}.png")
        );
    }

    #[test]
    fn no_two_results_share_a_name() {
        let mut names = Names::default();
        assert_eq!(named(&mut names, 0, "a/vase.jpg", ONE), "vase.png");
        assert_eq!(named(&mut names, 1, "b/Vase.png", ONE), "Vase-000002.png");
        assert_eq!(named(&mut names, 2, "c/vase-000004", ONE), "vase-000004.png");
        let fourth = named(&mut names, 3, "d/vase.png", ONE);
        assert_eq!(fourth, format!("vase-{}-0.png", job_id(batch(), 3)));
        let many: HashSet<_> = (0..1000).map(|row| named(&mut names, row, "x", ONE)).collect();
        assert_eq!(many.len(), 1000);
    }

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for hostile in [
            "../../etc/passwd",
            "x/..",
            "..",
            "a\\..\\b",
            "/etc/passwd",
            ".bashrc",
            "\u{0}",
            "C:evil",
            "",
            "/",
            "...png",
            ". .x",
            &"ố".repeat(200),
        ] {
            let name = named(&mut Names::default(), 0, hostile, ONE);
            let bad = |c: char| c.is_control() || SPECIAL.contains(&c);
            assert!(!name.contains(bad) && !name.starts_with('.') && name.len() < 255, "{hostile}: {name}");
        }
    }
}
