//! Large pages of memory.

#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
use nix::sys::mman::{MmapAdvise, madvise};
#[cfg(target_os = "linux")]
use std::ptr::NonNull;

/// Asks the system for large pages under a slice that is about to be filled, or written to
/// here and there: one of two megabytes is found, and made, in about the time of one of
/// four kilobytes. Where it has none nothing happens.
#[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
pub fn in_large_pages<T>(slice: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4096;
        let bytes = size_of_val(slice);
        let start = slice.as_mut_ptr().cast::<u8>();
        let before = start.align_offset(PAGE);
        if bytes >= LARGE + before {
            let whole = (bytes - before) / PAGE * PAGE;
            // SAFETY: `before` is less than the bytes that the slice has.
            let first = unsafe { start.add(before) };
            if let Some(first) = NonNull::new(first.cast()) {
                // SAFETY: these are whole pages of the slice, whose values this advice
                // leaves as they are. It may be refused.
                let _ = unsafe { madvise(first, whole, MmapAdvise::MADV_HUGEPAGE) };
            }
        }
    }
}

/// A page is no larger, where there are such.
#[cfg(target_os = "linux")]
const LARGE: usize = 1 << 21;
