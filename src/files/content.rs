//! The bytes of one writable file: chunks that snapshots share until one side writes.
//!
//! A clone bumps one count per chunk. A write copies the chunks it touches if a clone holds them
//! too, and no others. Holes take no memory: a missing chunk, or a chunk shorter than its range,
//! reads as zeros.

use std::sync::Arc;

/// Bytes of a full chunk: what one small write after a snapshot copies at most.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// The content of a regular file.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    size: u64,
    /// Never longer than `size` needs, often shorter: what is missing is a hole.
    chunks: Vec<Option<Arc<Vec<u8>>>>,
}

impl Content {
    /// Logical size in bytes, holes included.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Copies what lies at `offset` into `buffer` and returns how much that was: 0 at or past the
    /// end.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let Some(left) = self.size.checked_sub(offset) else {
            return 0;
        };
        let length = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < length {
            let (index, within) = position(offset + done as u64);
            let part = (CHUNK_BYTES - within).min(length - done);
            let target = &mut buffer[done..done + part];
            let stored = match self.chunks.get(index) {
                Some(Some(chunk)) => chunk.get(within..).unwrap_or_default(),
                Some(None) | None => &[],
            };
            let copied = stored.len().min(part);
            target[..copied].copy_from_slice(&stored[..copied]);
            target[copied..].fill(0);
            done += part;
        }
        length
    }

    /// Writes all of `data` at `offset`, growing the file as needed. The caller has checked the
    /// quotas, so that the end fits a `u64` and memory.
    pub(super) fn write_at(&mut self, offset: u64, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        let mut done = 0;
        while done < data.len() {
            let (index, within) = position(offset + done as u64);
            let part = (CHUNK_BYTES - within).min(data.len() - done);
            if self.chunks.len() <= index {
                self.chunks.resize(index + 1, None);
            }
            write_chunk(&mut self.chunks[index], within, &data[done..done + part]);
            done += part;
        }
        self.size = self.size.max(offset + data.len() as u64);
    }

    /// Cuts the file, or grows it by a hole. What is cut gives its memory back, spare capacity
    /// included: otherwise many small files could hold a chunk each.
    pub(super) fn set_size(&mut self, size: u64) {
        if size < self.size {
            let (index, within) = position(size);
            let kept = index + usize::from(within > 0);
            if kept < self.chunks.len() {
                self.chunks.truncate(kept);
                self.chunks.shrink_to_fit();
            }
            if let Some(Some(chunk)) = self.chunks.get_mut(index)
                && chunk.len() > within
            {
                *chunk = Arc::new(chunk[..within].to_vec());
            }
        }
        self.size = size;
    }
}

/// Writes `data`, which ends within the chunk, at `within`.
fn write_chunk(chunk: &mut Option<Arc<Vec<u8>>>, within: usize, data: &[u8]) {
    let end = within + data.len();
    let old_length = chunk.as_ref().map_or(0, |chunk| chunk.len());
    if within == 0 && end >= old_length && chunk.as_mut().is_none_or(|c| Arc::get_mut(c).is_none())
    {
        // Nothing of a shared chunk survives: copying it first would be for nothing.
        *chunk = Some(Arc::new(data.to_vec()));
        return;
    }
    let bytes = Arc::make_mut(chunk.get_or_insert_default());
    if bytes.capacity() < end {
        let capacity = end.max(bytes.capacity() * 2).min(CHUNK_BYTES);
        bytes.reserve_exact(capacity - bytes.len());
    }
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[within..end].copy_from_slice(data);
}

/// The chunk that holds the byte at `offset`, and the byte's place in it. Offsets stored anywhere
/// are below the file quota; others only read, where an index beyond all chunks is a hole.
fn position(offset: u64) -> (usize, usize) {
    let chunk = offset / CHUNK_BYTES as u64;
    let within = offset % CHUNK_BYTES as u64;
    (
        usize::try_from(chunk).unwrap_or(usize::MAX),
        within as usize,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(content: &Content) -> Vec<u8> {
        let mut bytes = vec![0xaa; content.size() as usize];
        assert_eq!(content.read_at(0, &mut bytes), bytes.len());
        bytes
    }

    #[test]
    fn appending_after_a_clone_copies_one_chunk() {
        let mut content = Content::default();
        let megabytes = 30 << 20;
        content.write_at(0, &vec![7; megabytes + 5]);
        let snapshot = content.clone();
        content.write_at(content.size(), b"x");

        let pairs = || {
            content
                .chunks
                .iter()
                .flatten()
                .zip(snapshot.chunks.iter().flatten())
        };
        let shared = pairs().filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared, content.chunks.len() - 1);
        assert_eq!(snapshot.size(), megabytes as u64 + 5);
        let mut last = [0; 2];
        assert_eq!(content.read_at(megabytes as u64 + 4, &mut last), 2);
        assert_eq!(&last, b"\x07x");
        assert_eq!(snapshot.read_at(megabytes as u64 + 4, &mut last), 1);
    }

    #[test]
    fn appending_byte_by_byte_reallocates_rarely() {
        let mut content = Content::default();
        let mut moves = 0;
        let mut capacity = 0;
        for index in 0..CHUNK_BYTES as u64 {
            content.write_at(index, &[index as u8]);
            let chunk = content.chunks[0].as_ref().unwrap();
            moves += usize::from(chunk.capacity() != capacity);
            capacity = chunk.capacity();
        }
        assert!(moves <= 17, "{moves} reallocations");
        assert_eq!(capacity, CHUNK_BYTES);
    }

    #[test]
    fn what_was_never_written_reads_as_zeros() {
        let mut content = Content::default();
        content.write_at(3 * CHUNK_BYTES as u64 + 2, b"end");
        let mut expected = vec![0; 3 * CHUNK_BYTES + 2];
        expected.extend_from_slice(b"end");
        assert_eq!(whole(&content), expected);
        assert_eq!(content.chunks.iter().flatten().count(), 1);

        content.set_size(1 << 40);
        assert_eq!(content.chunks.len(), 4);
        let mut beyond = [1; 8];
        assert_eq!(content.read_at((1 << 40) - 4, &mut beyond), 4);
        assert_eq!(beyond, [0, 0, 0, 0, 1, 1, 1, 1]);
    }

    #[test]
    fn what_was_cut_does_not_come_back_and_holds_no_memory() {
        let mut content = Content::default();
        content.write_at(0, &vec![9; CHUNK_BYTES + 10]);
        content.set_size(1);
        content.set_size(4);
        assert_eq!(whole(&content), [9, 0, 0, 0]);
        assert_eq!(content.chunks[0].as_ref().unwrap().capacity(), 1);
        content.set_size(0);
        assert!(content.chunks.is_empty());
    }

    #[test]
    fn no_offset_makes_a_read_fail() {
        let mut content = Content::default();
        content.write_at(0, b"abc");
        for offset in [3, 4, CHUNK_BYTES as u64, u64::MAX - 1, u64::MAX] {
            assert_eq!(content.read_at(offset, &mut [0; 16]), 0, "{offset}");
        }
    }
}
