//! How much memory a case takes: what Rust asks for is counted, and what C libraries ask
//! for is seen in the process's largest size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// No case may take more, in bytes.
pub const CEILING: usize = 256 << 20;

/// Beyond this an allocation fails, which ends the process: a case that would take all
/// of the machine's memory does not get it.
const LIMIT: usize = 16 * CEILING;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with an account of what is allocated.
pub struct Counting;

// SAFETY: all is left to the system's allocator; where it is not asked, null says that
// there was no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return null_mut();
        }
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return null_mut();
        }
        // SAFETY: as the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !take(size) {
            return null_mut();
        }
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.realloc(memory, layout, size) }
    }
}

fn take(bytes: usize) -> bool {
    let live = LIVE.fetch_add(bytes, Relaxed).saturating_add(bytes);
    PEAK.fetch_max(live, Relaxed);
    if live > LIMIT {
        LIVE.fetch_sub(bytes, Relaxed);
    }
    live <= LIMIT
}

/// Measures from now on.
pub struct Usage {
    live: usize,
    process: usize,
}

impl Usage {
    pub fn start() -> Self {
        let live = LIVE.load(Relaxed);
        PEAK.store(live, Relaxed);
        Self { live, process: largest_size() }
    }

    /// The most bytes that were allocated at once since then, or by how many the
    /// process has outgrown what it ever was.
    pub fn peak(&self) -> usize {
        // The system's account is not exact: it may even fall.
        self.peak_of_rust().max(largest_size().saturating_sub(self.process))
    }

    /// The most bytes that Rust had allocated at once since then.
    pub fn peak_of_rust(&self) -> usize {
        PEAK.load(Relaxed).saturating_sub(self.live)
    }
}

/// Of the process so far, in bytes; 0 where the system does not tell.
fn largest_size() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kilobytes.map_or(0, |kilobytes| kilobytes << 10)
}
