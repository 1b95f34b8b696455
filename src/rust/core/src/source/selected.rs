use super::{Axis, Entries, Room, Source};
use crate::{Error, Result};
use std::ops::Range;

/// Some of the cells of a source, in their order there.
pub struct Selected<'a> {
    source: &'a dyn Source,
    cells: &'a [u32],
    /// Of each cell of the source its place among the selected, or [`NOT_SELECTED`].
    places: Vec<u32>,
}

const NOT_SELECTED: u32 = u32::MAX;

impl<'a> Selected<'a> {
    /// # Errors
    /// [`Error::Sparse`] where the cells do not increase, or are not of the source.
    pub fn new(source: &'a dyn Source, cells: &'a [u32]) -> Result<Self> {
        if cells.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::Sparse("the selected cells do not increase"));
        }
        if cells.last().is_some_and(|&last| last as usize >= source.cells()) {
            return Err(Error::Sparse("a selected cell is out of range"));
        }
        let mut places = vec![NOT_SELECTED; source.cells()];
        for (place, &cell) in cells.iter().enumerate() {
            places[cell as usize] = place as u32;
        }
        Ok(Self { source, cells, places })
    }

    /// The cells of the source from the first to the last of a range of selected ones.
    fn spanned(&self, range: &Range<usize>) -> Range<usize> {
        match range.is_empty() {
            true => 0..0,
            false => self.cells[range.start] as usize..self.cells[range.end - 1] as usize + 1,
        }
    }
}

impl Source for Selected<'_> {
    fn genes(&self) -> usize {
        self.source.genes()
    }

    fn cells(&self) -> usize {
        self.cells.len()
    }

    fn axis(&self) -> Axis {
        self.source.axis()
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        let ranges = self.source.ranges();
        if self.axis() == Axis::Genes {
            return ranges;
        }
        let place =
            |cell: usize| self.cells.partition_point(|&selected| (selected as usize) < cell);
        let within = ranges.iter().map(|range| place(range.start)..place(range.end));
        within.filter(|range| !range.is_empty()).collect()
    }

    fn read<'r>(&'r self, range: Range<usize>, room: &'r mut Room) -> Result<Entries<'r>> {
        let by_cell = self.axis() == Axis::Cells;
        let spanned = if by_cell { self.spanned(&range) } else { range };
        let mut whole = std::mem::take(&mut room.inner);
        let entries = self.source.read(spanned.clone(), whole.get_or_insert_default())?;
        room.clear();
        for k in 0..entries.len() {
            let (indices, values) = entries.get(k);
            if by_cell {
                if self.places[spanned.start + k] != NOT_SELECTED {
                    room.indices.extend_from_slice(indices);
                    room.values.extend_from_slice(values);
                    room.starts.push(room.indices.len());
                }
                continue;
            }
            for (&cell, &value) in indices.iter().zip(values) {
                let place = self.places[cell as usize];
                if place != NOT_SELECTED {
                    room.indices.push(place);
                    room.values.push(value);
                }
            }
            room.starts.push(room.indices.len());
        }
        room.inner = whole;
        Ok(room.entries())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Stored, example};
    use super::super::{Axis, gene_blocks};
    use super::*;

    #[test]
    fn only_the_selected_cells_are_read_whatever_the_axis() {
        let by_cell = example();
        let by_gene = by_cell.turned();
        let sources = [
            Stored { matrix: &by_cell, axis: Axis::Cells },
            Stored { matrix: &by_gene, axis: Axis::Genes },
        ];
        for source in &sources {
            let selected = Selected::new(source, &[0, 2]).unwrap();
            assert_eq!((selected.genes(), selected.cells()), (4, 2));
            let blocks = gene_blocks(&selected, 2).unwrap().map(Result::unwrap);
            let seen: Vec<(Vec<u32>, Vec<f64>)> = blocks
                .flat_map(|block| {
                    let of =
                        |gene| (block.gene(gene).cells.to_vec(), block.gene(gene).counts.to_vec());
                    block.genes().map(of).collect::<Vec<_>>()
                })
                .collect();
            let expected: Vec<(Vec<u32>, Vec<f64>)> = vec![
                (vec![0, 1], vec![5.0, 1.0]),
                (vec![], vec![]),
                (vec![1], vec![4.0]),
                (vec![0], vec![2.0]),
            ];
            assert_eq!(seen, expected);
        }
        assert!(Selected::new(&sources[0], &[1, 0]).is_err());
        assert!(Selected::new(&sources[0], &[3]).is_err());
    }
}
