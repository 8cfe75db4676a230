//! Linear memories as private mappings of an image, and their changed pages.
//!
//! One of the few files with `unsafe`. A memory is one address range reserved without access;
//! its first part is a private (copy-on-write) mapping of the image file, the rest anonymous pages
//! that become accessible as the guest grows. The kernel therefore knows exactly which pages a
//! session has changed: the anonymous ones.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

/// The unit in which changes are found, kept and restored.
pub const PAGE_BYTES: usize = 4096;

/// Gives each memory of the module's declared minimum size the image as its first content; every
/// other memory (Wasmtime's heap for exception objects) starts empty.
pub struct ImageMemories {
    /// None while an image is being made: then memories start zeroed.
    image: Option<ImageFile>,
    /// The declared minimum of the guest's own memory, which tells it from others.
    module_minimum_bytes: usize,
}

/// An image file opened for mapping.
#[derive(Clone)]
pub struct ImageFile {
    pub file: Arc<File>,
    pub bytes: usize,
}

impl ImageMemories {
    pub fn new(image: Option<ImageFile>, module_minimum_bytes: usize) -> Self {
        Self {
            image,
            module_minimum_bytes,
        }
    }
}

// SAFETY: `new_memory` returns a range of `reserved + guard` bytes which is inaccessible beyond the
// memory's current size, is never moved, and is unmapped only when the memory is dropped: what the
// trait asks for. That fresh memory is not zero but the image is sound, because the module it
// serves has no data segments whose effect could depend on zeroes.
unsafe impl MemoryCreator for ImageMemories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let image = self
            .image
            .as_ref()
            .filter(|_| minimum == self.module_minimum_bytes);
        let reserved =
            reserved_size_in_bytes.ok_or("guest memories need an address space reservation")?;
        Mapping::new(reserved, guard_size_in_bytes, minimum, image)
            .map(|mapping| Box::new(mapping) as Box<dyn LinearMemory>)
            .map_err(|error| format!("mapping a guest memory failed: {error}"))
    }
}

/// One reserved address range and how much of it is accessible.
struct Mapping {
    base: NonNull<u8>,
    accessible: usize,
    capacity: usize,
    mapped: usize,
}

// SAFETY: a mapping is an address range owned by this value alone; it has no thread affinity.
unsafe impl Send for Mapping {}
// SAFETY: all access through a shared reference only reads the fields.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(
        reserved: usize,
        guard: usize,
        minimum: usize,
        image: Option<&ImageFile>,
    ) -> io::Result<Self> {
        let mapped = reserved
            .checked_add(guard)
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        // SAFETY: a fresh anonymous mapping at an address the kernel chooses aliases nothing.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                mapped,
                ProtFlags::empty(),
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?
        };
        let base = NonNull::new(base.cast::<u8>()).expect("mmap never returns null");
        let mut mapping = Self {
            base,
            accessible: 0,
            capacity: reserved,
            mapped,
        };
        if let Some(image) = image {
            assert!(image.bytes <= reserved && image.bytes % PAGE_BYTES == 0);
            // SAFETY: the range lies within the mapping made above, which nobody else has seen.
            unsafe {
                rustix::mm::mmap(
                    base.as_ptr().cast(),
                    image.bytes,
                    ProtFlags::READ | ProtFlags::WRITE,
                    MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE,
                    image.file.as_fd(),
                    0,
                )?;
            }
            mapping.accessible = image.bytes;
        }
        mapping.make_accessible(minimum)?;
        Ok(mapping)
    }

    /// Makes the first `bytes` bytes readable and writable.
    fn make_accessible(&mut self, bytes: usize) -> io::Result<()> {
        if bytes > self.accessible {
            // SAFETY: the range is within the mapping: callers bound `bytes` by the capacity.
            unsafe {
                rustix::mm::mprotect(
                    self.base.as_ptr().add(self.accessible).cast(),
                    bytes - self.accessible,
                    MprotectFlags::READ | MprotectFlags::WRITE,
                )?;
            }
            self.accessible = bytes;
        }
        Ok(())
    }
}

// SAFETY: `as_ptr` stays valid and unmoved for the value's life, `byte_size` bytes of it are
// accessible, and the guard behind the capacity stays inaccessible.
unsafe impl LinearMemory for Mapping {
    fn byte_size(&self) -> usize {
        self.accessible
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        if new_size > self.capacity {
            return Err(wasmtime::Error::msg(
                "a guest memory grew beyond its reservation",
            ));
        }
        self.make_accessible(new_size)?;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new` and nothing refers to it once its owner is dropped.
        // Unmapping a range that exists cannot fail; if it did, leaking it would be the safe end.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.mapped) };
    }
}

/// An image's content, mapped for reading.
pub struct ImageView(Mapping);

impl ImageView {
    /// Maps `image`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn map(image: &ImageFile) -> io::Result<Self> {
        Mapping::new(image.bytes, 0, 0, Some(image)).map(Self)
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping lives as long as `self`, is accessible up to `accessible`, and nothing
        // writes to it: the type offers no way to. The file behind it belongs to this user alone
        // and is never written after it was renamed into place.
        unsafe { std::slice::from_raw_parts(self.0.base.as_ptr(), self.0.accessible) }
    }
}

/// How changed pages are found on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeFinder {
    /// The kernel lists the private pages (`PAGEMAP_SCAN`, Linux 6.7).
    PagemapScan,
    /// Every page is compared with the image.
    CompareAll,
}

impl ChangeFinder {
    /// The best way that works here, tried once on a real mapping.
    pub fn detect() -> Self {
        let probe = [0u8; 2 * PAGE_BYTES];
        match PageScan::open().and_then(|scan| scan.changed(&probe)) {
            Ok(_) => Self::PagemapScan,
            Err(_) => Self::CompareAll,
        }
    }
}

/// The kernel's view of this process's pages.
pub struct PageScan {
    pagemap: File,
}

/// `struct page_region` of `linux/fs.h`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// `struct pm_scan_arg` of `linux/fs.h`.
#[repr(C)]
struct PageScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)` of `linux/fs.h`.
const PAGEMAP_SCAN: rustix::ioctl::Opcode =
    rustix::ioctl::opcode::read_write::<PageScanArg>(b'f', 16);
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;
const PAGE_IS_PFNZERO: u64 = 1 << 5;

/// The ioctl above, as rustix wants one described.
struct Scan<'a>(&'a mut PageScanArg);

// SAFETY: the opcode and the argument's layout are those of `linux/fs.h`; the kernel writes only
// `walk_end` and, through `vec`, at most `vec_len` regions into a buffer that outlives the call.
unsafe impl rustix::ioctl::Ioctl for Scan<'_> {
    type Output = usize;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> rustix::ioctl::Opcode {
        PAGEMAP_SCAN
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(
        regions: rustix::ioctl::IoctlOutput,
        _arg: *mut std::ffi::c_void,
    ) -> rustix::io::Result<Self::Output> {
        Ok(regions as usize)
    }
}

impl PageScan {
    /// Opens this process's page map.
    ///
    /// # Errors
    /// Those of opening `/proc/self/pagemap`; a non-dumpable process may not.
    pub fn open() -> io::Result<Self> {
        let pagemap = File::open("/proc/self/pagemap")?;
        assert!(pagemap.as_raw_fd() >= 0);
        Ok(Self { pagemap })
    }

    /// The pages of `memory` that are private to this process, as ranges of page numbers in order.
    /// Pages that merely were read are not among them. `memory` starts on a page boundary or the
    /// first, partial page is left out.
    ///
    /// # Errors
    /// The ioctl's; `ENOTTY` below Linux 6.7.
    pub fn changed(&self, memory: &[u8]) -> io::Result<Vec<Range<usize>>> {
        let base = (memory.as_ptr() as usize).next_multiple_of(PAGE_BYTES) as u64;
        let end = (memory.as_ptr() as usize + memory.len()) as u64 & !(PAGE_BYTES as u64 - 1);
        let mut ranges = Vec::new();
        let mut start = base;
        let mut regions = [PageRegion::default(); 512];
        while start < end {
            let mut argument = PageScanArg {
                size: size_of::<PageScanArg>() as u64,
                flags: 0,
                start,
                end,
                walk_end: 0,
                vec: regions.as_mut_ptr() as u64,
                vec_len: regions.len() as u64,
                max_pages: 0,
                category_inverted: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_mask: PAGE_IS_FILE | PAGE_IS_PFNZERO,
                category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
                return_mask: PAGE_IS_PRESENT,
            };
            // SAFETY: `argument` and `regions` live across the call and are described to the kernel
            // with their true sizes; the scan reads no guest memory, only page tables.
            let found = unsafe { rustix::ioctl::ioctl(&self.pagemap, Scan(&mut argument))? };
            for region in &regions[..found] {
                ranges.push(
                    (region.start - base) as usize / PAGE_BYTES
                        ..(region.end - base) as usize / PAGE_BYTES,
                );
            }
            if argument.walk_end <= start {
                break;
            }
            start = argument.walk_end;
        }
        Ok(ranges)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn only_written_pages_are_found_changed() {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(&vec![7u8; 64 * PAGE_BYTES]).expect("write");
        let image = ImageFile {
            file: Arc::new(file),
            bytes: 64 * PAGE_BYTES,
        };
        let mut mapping =
            Mapping::new(1 << 24, 1 << 16, 32 * PAGE_BYTES, Some(&image)).expect("map");
        mapping.grow_to(128 * PAGE_BYTES).expect("grow");
        assert_eq!(mapping.byte_size(), 128 * PAGE_BYTES);
        // SAFETY: the mapping is alive and that many bytes of it are accessible.
        let memory =
            unsafe { std::slice::from_raw_parts_mut(mapping.as_ptr(), mapping.byte_size()) };
        let sum: u64 = memory.iter().map(|byte| u64::from(*byte)).sum();
        assert_eq!(sum, 7 * 64 * PAGE_BYTES as u64);
        memory[3 * PAGE_BYTES] = 1;
        memory[4 * PAGE_BYTES] = 1;
        memory[100 * PAGE_BYTES] = 1;
        if ChangeFinder::detect() == ChangeFinder::PagemapScan {
            let scan = PageScan::open().expect("detected");
            assert_eq!(scan.changed(memory).expect("scan"), vec![3..5, 100..101]);
        }
    }
}
