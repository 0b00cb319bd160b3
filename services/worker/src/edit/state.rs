//! What a run hands over: how far each of its images is, as bytes.
//!
//! ```text
//! "retouch edit 1\n", then for each image: kind (u8), forwards (u64), length (u64), bytes
//! ```
//!
//! The bytes of an image that is begun are the engine's export; those of one that is done are the length of its record
//! (u64), the record as JSON, and the file. Numbers are little-endian.

use retouch_domain::spec::MAX_EXPORT_BYTES;
use retouch_ports::jobs::edit::EditedFile;

const MAGIC: &[u8] = b"retouch edit 1\n";
const NEW: u8 = 0;
const BEGUN: u8 = 1;
const DONE: u8 = 2;

/// How far one image is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RowState {
    /// Nothing is done.
    New,
    /// The engine goes on from here.
    Begun { state: Vec<u8>, forwards: u64 },
    /// It is made; it has to be stored once more, by the run that ends the job.
    Done { file: EditedFile, bytes: Vec<u8> },
}

/// The states as bytes; `None` where there is nothing to go on from, or too much to store.
pub(super) fn write(states: &[RowState]) -> Option<Vec<u8>> {
    if states.iter().all(|state| *state == RowState::New) {
        return None;
    }
    let mut all = MAGIC.to_vec();
    for state in states {
        let (kind, forwards, bytes) = match state {
            RowState::New => (NEW, 0, Vec::new()),
            RowState::Begun { state, forwards } => (BEGUN, *forwards, state.clone()),
            RowState::Done { file, bytes } => {
                let record = serde_json::to_vec(file).ok()?;
                let length = (record.len() as u64).to_le_bytes();
                (DONE, file.forwards, [length.as_slice(), &record, bytes].concat())
            }
        };
        all.push(kind);
        all.extend_from_slice(&forwards.to_le_bytes());
        all.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        all.extend_from_slice(&bytes);
    }
    (all.len() <= MAX_EXPORT_BYTES).then_some(all)
}

/// The states of `count` images. What cannot be read, of another version say, begins anew.
pub(super) fn read(bytes: Option<&[u8]>, count: u32) -> Vec<RowState> {
    let states = bytes.and_then(|bytes| parse(bytes, count as usize));
    states.unwrap_or_else(|| (0..count).map(|_| RowState::New).collect())
}

fn parse(bytes: &[u8], count: usize) -> Option<Vec<RowState>> {
    let mut rest = bytes.strip_prefix(MAGIC)?;
    let mut states = Vec::new();
    while !rest.is_empty() {
        let (&kind, after) = rest.split_first()?;
        let (forwards, after) = number(after)?;
        let (length, after) = number(after)?;
        let (body, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        states.push(match kind {
            NEW => RowState::New,
            BEGUN => RowState::Begun { state: body.to_vec(), forwards },
            DONE => {
                let (length, body) = number(body)?;
                let (record, file) = body.split_at_checked(usize::try_from(length).ok()?)?;
                RowState::Done { file: serde_json::from_slice(record).ok()?, bytes: file.to_vec() }
            }
            _ => return None,
        });
        rest = after;
    }
    (states.len() == count).then_some(states)
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn states() -> impl Strategy<Value = Vec<RowState>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..50);
        let done = (bytes(), any::<u32>()).prop_map(|(bytes, forwards)| RowState::Done {
            file: EditedFile {
                key: "k".to_owned(),
                media_type: "image/png".to_owned(),
                bytes: bytes.len() as u64,
                hash: String::new(),
                width: 1,
                height: 2,
                seed: 3,
                forwards: forwards.into(),
                truncated: None,
            },
            bytes,
        });
        let begun = (bytes(), any::<u64>()).prop_map(|(state, forwards)| RowState::Begun { state, forwards });
        prop::collection::vec(prop_oneof![Just(RowState::New), begun, done], 1..5)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(states in states()) {
            let bytes = write(&states);
            prop_assert_eq!(read(bytes.as_deref(), states.len() as u32), states);
        }

        #[test]
        fn what_cannot_be_read_begins_anew(
            states in states(), cut in any::<prop::sample::Index>(), garbage in prop::collection::vec(any::<u8>(), 0..99),
        ) {
            let new = vec![RowState::New; 3];
            prop_assert_eq!(&read(Some(&garbage), 3), &new);
            let whole = write(&states).unwrap_or_else(|| MAGIC.to_vec());
            let part = &whole[..cut.index(whole.len())];
            // A part may be whole records, but then they are fewer.
            let count = states.len() as u32;
            prop_assert_eq!(read(Some(part), count), vec![RowState::New; states.len()]);
        }
    }
}
