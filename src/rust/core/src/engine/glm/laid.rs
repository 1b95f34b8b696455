//! A gene's counts in the cells of a design, as passes over the cells read them.

use super::pass::Response;
use crate::design::BLOCK;
use crate::source::GeneCounts;
use crate::special::CountHistogram;
use std::borrow::Cow;

/// Where one cell in so many has a count, reading those of all cells takes less time
/// than finding those that have.
const DENSE: usize = 16;

pub enum Laid<'a> {
    Sparse {
        cells: Cow<'a, [u32]>,
        counts: Cow<'a, [f64]>,
    },
    /// Of every cell, and zeros to fill the last block.
    Dense(Vec<f32>),
}

impl<'a> Laid<'a> {
    /// Of these cells; dense where that is faster and loses nothing.
    pub fn new(counts: GeneCounts<'a>, cells: usize) -> Self {
        if counts.cells.len() >= cells.div_ceil(DENSE) && counts.are_single() {
            let mut dense = vec![0.0; cells.next_multiple_of(BLOCK)];
            for (&cell, &count) in counts.cells.iter().zip(counts.counts) {
                dense[cell as usize] = count as f32;
            }
            return Laid::Dense(dense);
        }
        Laid::of_stored(counts)
    }

    /// As they are stored.
    pub fn of_stored(counts: GeneCounts<'a>) -> Self {
        Laid::Sparse { cells: counts.cells.into(), counts: counts.counts.into() }
    }

    /// In every `stride`-th cell: of the first `cells` of such.
    pub fn thinned(&self, stride: usize, cells: usize) -> Laid<'static> {
        match self {
            Laid::Sparse { cells, counts } => {
                let all = cells.iter().zip(&counts[..]);
                let kept = all.filter(|(cell, _)| (**cell as usize).is_multiple_of(stride));
                let (cells, counts): (Vec<u32>, Vec<f64>) =
                    kept.map(|(&cell, &count)| (cell / stride as u32, count)).unzip();
                Laid::Sparse { cells: cells.into(), counts: counts.into() }
            }
            Laid::Dense(all) => {
                let mut dense = vec![0.0; cells.next_multiple_of(BLOCK)];
                let kept = all.iter().step_by(stride);
                dense[..cells].iter_mut().zip(kept).for_each(|(room, &y)| *room = y);
                Laid::Dense(dense)
            }
        }
    }

    pub fn response<T>(&self) -> Response<'_, T> {
        match self {
            Laid::Sparse { cells, counts } => Response::Cells(GeneCounts { cells, counts }),
            Laid::Dense(counts) => Response::Dense(counts),
        }
    }

    pub fn histogram(&self) -> CountHistogram {
        match self {
            Laid::Sparse { counts, .. } => CountHistogram::new(counts),
            Laid::Dense(counts) => CountHistogram::new(counts),
        }
    }

    /// Whether at least so many cells have counts; as far as can be told at a glance.
    pub fn holds(&self, cells: usize) -> bool {
        match self {
            Laid::Sparse { cells: stored, .. } => stored.len() >= cells,
            Laid::Dense(counts) => counts.len() / DENSE >= cells,
        }
    }
}
