//! The bytes of a tar file, member by member. WebDataset takes what stands before the first dot of a name for the key of its
//! sample, and wants the members of a sample side by side.

use tar::{EntryType, Header};

/// Tar files are made of these.
const BLOCK: usize = 512;

/// A member: header, bytes, padding. The same bytes whenever it is made.
pub(super) fn member(name: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    let mut all = header.as_bytes().to_vec();
    all.extend_from_slice(bytes);
    all.resize(all.len().next_multiple_of(BLOCK), 0);
    Ok(all)
}

/// What ends a tar file.
pub(super) fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}
