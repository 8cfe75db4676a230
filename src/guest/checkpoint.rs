//! Checkpoints: the state of a guest at rest, as the pages that differ from its image.
//!
//! Between turns a guest has no frames, so memory, files and the clock are all there is. A
//! checkpoint is taken after every turn, so capturing copies only what changed since the one
//! before; what rests for a while is packed (see [`Checkpoint::packed`]).

use std::sync::Arc;

use super::image::Image;
use super::mapping::{PAGE_BYTES, PageScan};
use crate::files::Files;

/// Level of the compression at rest: the fastest; the pages are mostly zeroes after the XOR with
/// the image (13 kB for a small Python session).
const PACK_LEVEL: i32 = 1;

/// One page of memory.
pub type Page = [u8; PAGE_BYTES];

/// The state of one guest at rest.
#[derive(Clone)]
pub struct Checkpoint {
    pub memory_bytes: usize,
    pages: Pages,
    pub files: Files,
    /// Where the guest's monotonic clock stood, in nanoseconds.
    pub monotonic_ns: u64,
}

/// The changed pages, by page number in order.
#[derive(Clone)]
enum Pages {
    Raw(Arc<[(u32, Arc<Page>)]>),
    /// Their numbers, and their contents XOR the image's, compressed together.
    Packed {
        numbers: Arc<[u32]>,
        compressed: Arc<[u8]>,
    },
}

/// Why a packed checkpoint cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[error("a packed checkpoint of {pages} pages is damaged: {reason}")]
pub struct Damaged {
    pages: usize,
    reason: String,
}

impl Checkpoint {
    /// Captures the difference between `memory` and the image, sharing the pages that have not
    /// changed since `previous`.
    pub fn capture(
        image: &Image,
        memory: &[u8],
        files: Files,
        monotonic_ns: u64,
        previous: Option<&Checkpoint>,
    ) -> Self {
        let known: &[(u32, Arc<Page>)] = match previous.map(|checkpoint| &checkpoint.pages) {
            Some(Pages::Raw(pages)) => pages,
            Some(Pages::Packed { .. }) | None => &[],
        };
        let mut known = known.iter().peekable();
        let mut pages = Vec::with_capacity(known.len() + 16);
        let base = image.bytes();
        // Everything below the stack pointer of a guest at rest is dead.
        let live_from = image.stack_pointer() as usize / PAGE_BYTES;
        for range in changed(image, &memory[live_from * PAGE_BYTES..]) {
            for number in range.start + live_from..range.end + live_from {
                let start = number * PAGE_BYTES;
                let page: &Page = memory[start..start + PAGE_BYTES]
                    .try_into()
                    .expect("a slice of a page's length");
                if page == base_page(base, number) {
                    continue;
                }
                while known.next_if(|(n, _)| (*n as usize) < number).is_some() {}
                let shared = known
                    .next_if(|(n, content)| *n as usize == number && **content == *page)
                    .map(|(_, content)| content.clone());
                pages.push((number as u32, shared.unwrap_or_else(|| Arc::new(*page))));
            }
        }
        Self {
            memory_bytes: memory.len(),
            pages: Pages::Raw(pages.into()),
            files,
            monotonic_ns,
        }
    }

    /// Writes the changed pages into the memory of a fresh instance, grown to `memory_bytes`.
    ///
    /// # Errors
    /// [`Damaged`] when a packed checkpoint does not unpack.
    pub fn apply(&self, image: &Image, memory: &mut [u8]) -> Result<(), Damaged> {
        match &self.pages {
            Pages::Raw(pages) => {
                for (number, page) in pages.iter() {
                    let start = *number as usize * PAGE_BYTES;
                    memory[start..start + PAGE_BYTES].copy_from_slice(&**page);
                }
            }
            Pages::Packed {
                numbers,
                compressed,
            } => {
                let size = numbers.len() * PAGE_BYTES;
                let plain = zstd::bulk::decompress(compressed, size).map_err(|error| Damaged {
                    pages: numbers.len(),
                    reason: error.to_string(),
                })?;
                if plain.len() != size {
                    return Err(Damaged {
                        pages: numbers.len(),
                        reason: format!("{} bytes in place of {size}", plain.len()),
                    });
                }
                let base = image.bytes();
                for (number, delta) in numbers.iter().zip(plain.chunks_exact(PAGE_BYTES)) {
                    let start = *number as usize * PAGE_BYTES;
                    let target = &mut memory[start..start + PAGE_BYTES];
                    let base = base_page(base, *number as usize);
                    for ((byte, delta), base) in target.iter_mut().zip(delta).zip(base) {
                        *byte = delta ^ base;
                    }
                }
            }
        }
        Ok(())
    }

    /// The same state, its pages compressed against the image: for sessions that rest. A packed
    /// checkpoint stays as it is.
    pub fn packed(&self, image: &Image) -> Self {
        let Pages::Raw(pages) = &self.pages else {
            return self.clone();
        };
        let mut plain = Vec::with_capacity(pages.len() * PAGE_BYTES);
        for (number, page) in pages.iter() {
            let base = base_page(image.bytes(), *number as usize);
            plain.extend(page.iter().zip(base).map(|(byte, base)| byte ^ base));
        }
        let Ok(compressed) = zstd::bulk::compress(&plain, PACK_LEVEL) else {
            // Compression cannot fail but for memory; the raw state is as good.
            return self.clone();
        };
        Self {
            memory_bytes: self.memory_bytes,
            pages: Pages::Packed {
                numbers: pages.iter().map(|(number, _)| *number).collect(),
                compressed: compressed.into(),
            },
            files: self.files.clone(),
            monotonic_ns: self.monotonic_ns,
        }
    }

    /// How many pages differ from the image.
    pub fn page_count(&self) -> usize {
        match &self.pages {
            Pages::Raw(pages) => pages.len(),
            Pages::Packed { numbers, .. } => numbers.len(),
        }
    }

    /// What the pages take in memory as they are held now.
    pub fn held_bytes(&self) -> usize {
        match &self.pages {
            Pages::Raw(pages) => pages.len() * PAGE_BYTES,
            Pages::Packed {
                numbers,
                compressed,
            } => compressed.len() + size_of_val::<[u32]>(numbers),
        }
    }
}

/// The image's page, or a zero page beyond its end.
fn base_page(base: &[u8], number: usize) -> &Page {
    static ZERO: Page = [0; PAGE_BYTES];
    let start = number * PAGE_BYTES;
    base.get(start..start + PAGE_BYTES)
        .map_or(&ZERO, |page| page.try_into().expect("a page's length"))
}

/// Ranges of pages of this part of a memory that may differ from the image.
fn changed(image: &Image, memory: &[u8]) -> Vec<std::ops::Range<usize>> {
    let everything = 0..memory.len() / PAGE_BYTES;
    image
        .page_scan()
        .and_then(|scan: &PageScan| scan.changed(memory).ok())
        .unwrap_or_else(|| std::iter::once(everything).collect())
}
