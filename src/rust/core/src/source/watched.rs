use super::{Axis, Entries, Room, Source};
use crate::{Monitor, Result};
use std::ops::Range;

/// A source that is not read any further once the user has cancelled: whatever reads
/// range after range stops at the next.
pub struct Watched<'a> {
    source: &'a dyn Source,
    monitor: &'a Monitor,
}

impl<'a> Watched<'a> {
    pub fn new(source: &'a dyn Source, monitor: &'a Monitor) -> Self {
        Self { source, monitor }
    }
}

impl Source for Watched<'_> {
    fn genes(&self) -> usize {
        self.source.genes()
    }

    fn cells(&self) -> usize {
        self.source.cells()
    }

    fn axis(&self) -> Axis {
        self.source.axis()
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        self.source.ranges()
    }

    /// # Errors
    /// [`Error::Interrupted`](crate::Error::Interrupted) too.
    fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>> {
        self.monitor.check()?;
        self.source.read(range, room)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Matrix, Stored, example};
    use super::super::{CountKind, check_counts, gene_blocks};
    use super::*;
    use crate::Error;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// At whose `last` reading the user cancels.
    struct Cancelling<'a> {
        source: Stored<'a>,
        monitor: &'a Monitor,
        last: usize,
        read: AtomicUsize,
    }

    impl Source for Cancelling<'_> {
        fn genes(&self) -> usize {
            self.source.genes()
        }

        fn cells(&self) -> usize {
            self.source.cells()
        }

        fn axis(&self) -> Axis {
            self.source.axis()
        }

        fn ranges(&self) -> Vec<Range<usize>> {
            self.source.ranges()
        }

        fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>> {
            if self.read.fetch_add(1, Relaxed) + 1 == self.last {
                self.monitor.cancel();
            }
            self.source.read(range, room)
        }
    }

    /// What comes of it, and how often was read, by one thread.
    fn cancelled_at(
        last: usize,
        (matrix, axis): (&Matrix, Axis),
        reading: impl Fn(&dyn Source) -> Result<()> + Send + Sync,
    ) -> (Result<()>, usize) {
        let (monitor, read) = (Monitor::new(), AtomicUsize::new(0));
        let source = Stored { matrix, axis };
        let cancelling = Cancelling { source, monitor: &monitor, last, read };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let end = pool.install(|| reading(&Watched::new(&cancelling, &monitor)));
        (end, cancelling.read.into_inner())
    }

    #[test]
    fn nothing_is_read_once_the_user_has_cancelled() {
        let by_cell = example();
        let by_gene = by_cell.turned();
        for of in [(&by_cell, Axis::Cells), (&by_gene, Axis::Genes)] {
            let check = |source: &dyn Source| check_counts(source, CountKind::Whole);
            let blocks = |source: &dyn Source| {
                gene_blocks(source, 3)?.try_for_each(|block| block.map(|_| ()))
            };
            assert_eq!(cancelled_at(1, of, check), (Err(Error::Interrupted), 1));
            // While counts are counted, and while genes are put together.
            let ranges = Stored { matrix: of.0, axis: of.1 }.ranges().len();
            for last in [1, ranges, ranges + 1] {
                assert_eq!(cancelled_at(last, of, blocks), (Err(Error::Interrupted), last));
            }
            let (end, whole) = cancelled_at(usize::MAX, of, blocks);
            assert!(end.is_ok() && whole > ranges + 1);
        }
    }
}
