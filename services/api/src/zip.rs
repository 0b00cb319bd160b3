//! Zip archives of files whose sizes are known, made in one pass: headers alone, whose bytes stand around those of the files.
//!
//! Nothing of an archive is held here but three numbers: the list of its files, which ends it, is the caller's to keep.
//! Files are stored, not compressed. Sizes beyond 4 GiB, and more than 65,534 files, are written as Zip64.

use retouch_domain::Timestamp;
use time::OffsetDateTime;

/// What a 32-bit field says whose value stands in the Zip64 part.
const ELSEWHERE: u32 = u32::MAX;
/// The version of the format that a reader needs for stored files, and for Zip64.
const PLAIN: u16 = 20;
const ZIP64: u16 = 45;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
/// Made on Unix, so that attributes are a mode.
const UNIX: u16 = 3 << 8;
/// A file that all may read and its owner may write.
const MODE: u32 = 0o100_644 << 16;

/// A file of an archive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Its path, of at most 65,535 bytes.
    pub(crate) name: &'a str,
    /// Its bytes.
    pub(crate) size: u64,
    /// The CRC-32 of its bytes.
    pub(crate) crc: u32,
    /// When it was made.
    pub(crate) at: Timestamp,
}

/// What stands in an archive about a file.
pub(crate) struct Headers {
    /// Right before its bytes.
    pub(crate) before: Vec<u8>,
    /// In the list of files, behind those before.
    pub(crate) listed: Vec<u8>,
}

/// How far an archive is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Zip {
    /// Bytes of headers and files so far.
    position: u64,
    entries: u64,
    /// Bytes of the list of files so far.
    listed: u64,
}

impl Zip {
    /// The headers of the next file.
    pub(crate) fn entry(&mut self, entry: &Entry<'_>) -> Headers {
        let large = entry.size >= u64::from(ELSEWHERE);
        let far = self.position >= u64::from(ELSEWHERE);
        let size = if large { ELSEWHERE } else { entry.size as u32 };
        let version = if large || far { ZIP64 } else { PLAIN };
        let (date, time) = dos(entry.at);
        let common = |extra: &[u8]| {
            let mut bytes = Vec::new();
            bytes.extend(version.to_le_bytes());
            bytes.extend(UTF8.to_le_bytes());
            // Stored.
            bytes.extend(0_u16.to_le_bytes());
            bytes.extend(time.to_le_bytes());
            bytes.extend(date.to_le_bytes());
            bytes.extend(entry.crc.to_le_bytes());
            // Compressed and not.
            bytes.extend(size.to_le_bytes());
            bytes.extend(size.to_le_bytes());
            bytes.extend((entry.name.len() as u16).to_le_bytes());
            bytes.extend((extra.len() as u16).to_le_bytes());
            bytes
        };
        let sizes = if large { vec![entry.size, entry.size] } else { Vec::new() };
        let extra = zip64(&sizes);
        let mut before = b"PK\x03\x04".to_vec();
        before.extend(common(&extra));
        before.extend(entry.name.as_bytes());
        before.extend(extra);

        let place: Vec<u64> = sizes.into_iter().chain(far.then_some(self.position)).collect();
        let extra = zip64(&place);
        let mut listed = b"PK\x01\x02".to_vec();
        listed.extend((UNIX | version).to_le_bytes());
        listed.extend(common(&extra));
        // No comment, the first disk, no internal attributes.
        listed.extend([0; 6]);
        listed.extend(MODE.to_le_bytes());
        listed.extend(if far { ELSEWHERE } else { self.position as u32 }.to_le_bytes());
        listed.extend(entry.name.as_bytes());
        listed.extend(extra);

        self.position += before.len() as u64 + entry.size;
        self.entries += 1;
        self.listed += listed.len() as u64;
        Headers { before, listed }
    }

    /// What ends the archive, behind the list of its files.
    pub(crate) fn end(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let most = u64::from(ELSEWHERE);
        if self.entries >= u64::from(u16::MAX) || self.position >= most || self.listed >= most {
            bytes.extend(b"PK\x06\x06");
            // Of what follows in this record.
            bytes.extend(44_u64.to_le_bytes());
            bytes.extend((UNIX | ZIP64).to_le_bytes());
            bytes.extend(ZIP64.to_le_bytes());
            // The first and only disk.
            bytes.extend([0; 8]);
            for value in [self.entries, self.entries, self.listed, self.position] {
                bytes.extend(value.to_le_bytes());
            }
            bytes.extend(b"PK\x06\x07");
            bytes.extend([0; 4]);
            bytes.extend((self.position + self.listed).to_le_bytes());
            bytes.extend(1_u32.to_le_bytes());
        }
        let entries = u16::try_from(self.entries).unwrap_or(u16::MAX);
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0; 4]);
        bytes.extend(entries.to_le_bytes());
        bytes.extend(entries.to_le_bytes());
        for value in [self.listed, self.position] {
            bytes.extend(u32::try_from(value).unwrap_or(ELSEWHERE).to_le_bytes());
        }
        // No comment.
        bytes.extend([0; 2]);
        bytes
    }
}

/// The Zip64 part of a header: the values whose fields say that they stand elsewhere.
fn zip64(values: &[u64]) -> Vec<u8> {
    if values.is_empty() {
        return Vec::new();
    }
    let mut bytes = 1_u16.to_le_bytes().to_vec();
    bytes.extend((8 * values.len() as u16).to_le_bytes());
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

/// Date and time as MS-DOS has them, which are from 1980 to 2107 and even seconds.
fn dos(at: Timestamp) -> (u16, u16) {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.micros()) * 1000)
        .ok()
        .filter(|moment| (1980..=2107).contains(&moment.year()));
    let Some(moment) = moment else { return (1 << 5 | 1, 0) };
    let date = (moment.year() - 1980) as u16 * 512
        + u16::from(u8::from(moment.month())) * 32
        + u16::from(moment.day());
    let time =
        u16::from(moment.hour()) * 2048 + u16::from(moment.minute()) * 32 + u16::from(moment.second()) / 2;
    (date, time)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom, Write};

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_767_225_606_000_000);

    #[test]
    fn a_reader_finds_names_bytes_and_dates() {
        let (mut zip, mut archive, mut list) = (Zip::default(), Vec::new(), Vec::new());
        let files = [("ảnh đẹp.png", b"bytes".as_slice()), ("empty", b""), ("x/y.jsonl", b"{}\n")];
        for (name, body) in files {
            let headers =
                zip.entry(&Entry { name, size: body.len() as u64, crc: crc32fast::hash(body), at: AT });
            archive.extend(headers.before);
            archive.extend(body);
            list.extend(headers.listed);
        }
        archive.extend(list);
        archive.extend(zip.end());
        let mut read = ::zip::ZipArchive::new(std::io::Cursor::new(&archive)).unwrap();
        assert_eq!(read.len(), 3);
        for (name, body) in files {
            let mut file = read.by_name(name).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!((bytes.as_slice(), file.unix_mode()), (body, Some(0o100_644)));
            assert_eq!(file.last_modified().unwrap().to_string(), "2026-01-01 00:00:06");
        }
        // Also by one who cannot go back.
        let mut stream = archive.as_slice();
        let first = ::zip::read::read_zipfile_from_stream(&mut stream).unwrap().unwrap();
        assert_eq!((first.name().unwrap().as_ref(), first.size()), ("ảnh đẹp.png", 5));
    }

    #[test]
    fn more_files_than_16_bits_count() {
        let (mut zip, mut archive, mut list) = (Zip::default(), Vec::new(), Vec::new());
        for number in 0..70_000 {
            let headers = zip.entry(&Entry { name: &number.to_string(), size: 0, crc: 0, at: AT });
            archive.extend(headers.before);
            list.extend(headers.listed);
        }
        archive.extend(list);
        archive.extend(zip.end());
        let mut read = ::zip::ZipArchive::new(std::io::Cursor::new(&archive)).unwrap();
        assert_eq!((read.len(), read.by_name("69999").unwrap().size()), (70_000, 0));
    }

    /// Most of the file is a hole, which takes no room on the disk.
    #[test]
    fn files_beyond_what_32_bits_count() {
        let (mut zip, mut list) = (Zip::default(), Vec::new());
        let mut archive = tempfile::tempfile().unwrap();
        let large = zip.entry(&Entry { name: "large", size: 5 << 30, crc: 0, at: AT });
        archive.write_all(&large.before).unwrap();
        archive.seek(SeekFrom::Current(5 << 30)).unwrap();
        let (body, name) = (b"behind".as_slice(), "small");
        let small = zip.entry(&Entry { name, size: 6, crc: crc32fast::hash(body), at: AT });
        archive.write_all(&small.before).unwrap();
        archive.write_all(body).unwrap();
        list.extend(large.listed);
        list.extend(small.listed);
        archive.write_all(&list).unwrap();
        archive.write_all(&zip.end()).unwrap();
        let mut read = ::zip::ZipArchive::new(archive).unwrap();
        assert_eq!(read.by_name("large").unwrap().size(), 5 << 30);
        let mut bytes = Vec::new();
        read.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, body);
    }

    #[test]
    fn dates_that_cannot_be_written_are_the_first() {
        assert_eq!(dos(Timestamp::from_micros(0)), (33, 0));
        assert_eq!(dos(Timestamp::from_micros(i64::MAX)), (33, 0));
    }
}
