use super::{Axis, Entries, Room, Source};
use crate::{Error, Result};
use std::ops::Range;

/// Counts at size factor 1, rounded to whole numbers (halves to the even one). Negative
/// ones are left as they are, so that they are refused where they must be.
pub struct Divided<'a> {
    source: &'a dyn Source,
    size_factors: &'a [f64],
}

impl<'a> Divided<'a> {
    /// # Errors
    /// [`Error::Shape`] where there is not one size factor a cell.
    pub fn new(source: &'a dyn Source, size_factors: &'a [f64]) -> Result<Self> {
        let (found, expected) = (size_factors.len(), source.cells());
        match found == expected {
            true => Ok(Self { source, size_factors }),
            false => Err(Error::Shape { what: "size factors", found, expected }),
        }
    }
}

impl Source for Divided<'_> {
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
        let mut whole = room.inner.take().unwrap_or_default();
        let entries = self.source.read(range.clone(), &mut whole)?;
        let axis = self.axis();
        room.clear();
        for k in 0..entries.len() {
            let (indices, values) = entries.get(k);
            room.indices.extend_from_slice(indices);
            room.values.extend(indices.iter().zip(values).map(|(&index, &value)| {
                let cell = if axis == Axis::Cells { range.start + k } else { index as usize };
                let scaled = value / self.size_factors[cell];
                if scaled < 0.0 { scaled } else { scaled.round_ties_even() }
            }));
            room.starts.push(room.indices.len());
        }
        room.inner = Some(whole);
        Ok(room.entries())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Stored, example};
    use super::super::{Axis, summarise};
    use super::*;

    #[test]
    fn counts_are_divided_by_their_cells_size_factor_and_rounded() {
        let mut by_cell = example();
        by_cell.values[2] = -2.0;
        let by_gene = by_cell.turned();
        for (matrix, axis) in [(&by_cell, Axis::Cells), (&by_gene, Axis::Genes)] {
            let source = Stored { matrix, axis };
            let divided = Divided::new(&source, &[2.0, 3.0, 0.4]).unwrap();
            // 5 / 2 to 2 and -2 / 2; 7 / 3 to 2; 1 / 0.4 to 2 and 4 / 0.4.
            assert_eq!(summarise(&divided).unwrap().totals, [1.0, 2.0, 12.0]);
        }
        let source = Stored { matrix: &by_cell, axis: Axis::Cells };
        assert!(Divided::new(&source, &[1.0]).is_err());
    }
}
