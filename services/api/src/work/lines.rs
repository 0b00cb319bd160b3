//! Lines of a stream of bytes, of which none is held longer than it may be.

use axum::body::Bytes;
use futures_util::StreamExt;
use retouch_ports::{ByteStream, PortError};

/// The longest line: a payload, and what stands around it.
pub(crate) const MAX_LINE_BYTES: usize = 128 << 10;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Without its end; `None` if it is longer than [`MAX_LINE_BYTES`].
    pub(crate) text: Option<Vec<u8>>,
    /// Where the next line begins, from where the stream began.
    pub(crate) end: u64,
}

/// Reads lines, one after the other.
pub(crate) struct Lines {
    body: ByteStream,
    chunk: Bytes,
    position: u64,
}

impl Lines {
    /// The lines of a stream whose first byte is at `position`.
    pub(crate) fn new(body: ByteStream, position: u64) -> Self {
        Self { body, chunk: Bytes::new(), position }
    }

    /// The next line; `None` at the end. The last line may lack its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Line>, PortError> {
        let (mut text, mut begun) = (Some(Vec::new()), false);
        loop {
            if self.chunk.is_empty() {
                match self.body.next().await.transpose()? {
                    Some(chunk) => self.chunk = chunk,
                    None => return Ok(begun.then_some(Line { text, end: self.position })),
                }
                continue;
            }
            begun = true;
            let end = self.chunk.iter().position(|byte| *byte == b'\n');
            let part = self.chunk.split_to(end.unwrap_or(self.chunk.len()));
            self.position += part.len() as u64;
            let fits = text.as_ref().is_some_and(|text| text.len() + part.len() <= MAX_LINE_BYTES);
            text = text.filter(|_| fits).map(|mut text| {
                text.extend_from_slice(&part);
                text
            });
            if end.is_some() {
                // The line's end itself.
                drop(self.chunk.split_to(1));
                self.position += 1;
                return Ok(Some(Line { text, end: self.position }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use proptest::prelude::*;

    use super::*;

    async fn read(chunks: Vec<Vec<u8>>) -> Vec<Line> {
        let parts = stream::iter(chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk))));
        let mut lines = Lines::new(parts.boxed(), 100);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    proptest! {
        /// However the bytes come, the lines are those of the whole.
        #[test]
        fn chunks_do_not_matter(text in "[ab\n]{0,40}", cut in 1_usize..10) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let chunks = text.as_bytes().chunks(cut).map(<[u8]>::to_vec).collect();
            let lines = runtime.block_on(read(chunks));
            let expected: Vec<&str> = text.split_inclusive('\n').collect();
            prop_assert_eq!(lines.len(), expected.len());
            let mut end = 100;
            for (line, expected) in lines.iter().zip(expected) {
                end += expected.len() as u64;
                let text = expected.trim_end_matches('\n').as_bytes().to_vec();
                prop_assert_eq!(line, &Line { text: Some(text), end });
            }
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over() {
        let long = vec![b'x'; MAX_LINE_BYTES];
        let lines = read(vec![long.clone(), b"\n".to_vec(), long, b"x\nend".to_vec()]).await;
        let kept: Vec<bool> = lines.iter().map(|line| line.text.is_some()).collect();
        assert_eq!(kept, [true, false, true]);
        assert_eq!(lines[2].text.as_deref(), Some(b"end".as_slice()));
    }
}
