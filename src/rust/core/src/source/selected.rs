use super::{Axis, Entries, Room, Source};
use crate::{Error, Result};
use std::ops::Range;

/// Some of the genes and cells of a source, in their order there.
pub struct Selected<'a> {
    source: &'a dyn Source,
    genes: Part<'a>,
    cells: Part<'a>,
}

/// All, or some, of a number of things.
struct Part<'a> {
    selected: Option<&'a [u32]>,
    /// Of each its place among the selected, or [`NOT_SELECTED`]; empty where all are.
    places: Vec<u32>,
    count: usize,
}

const NOT_SELECTED: u32 = u32::MAX;

impl<'a> Selected<'a> {
    /// `None` for all genes, or cells.
    ///
    /// # Errors
    /// [`Error::Sparse`] where those selected do not increase, or are not of the source.
    pub fn new(
        source: &'a dyn Source,
        genes: Option<&'a [u32]>,
        cells: Option<&'a [u32]>,
    ) -> Result<Self> {
        let genes = Part::new(genes, source.genes())?;
        Ok(Self { source, genes, cells: Part::new(cells, source.cells())? })
    }

    /// What is selected along the axis of the source, and across it.
    fn along_and_across(&self) -> (&Part<'a>, &Part<'a>) {
        match self.axis() {
            Axis::Cells => (&self.cells, &self.genes),
            Axis::Genes => (&self.genes, &self.cells),
        }
    }
}

impl<'a> Part<'a> {
    fn new(selected: Option<&'a [u32]>, all: usize) -> Result<Self> {
        let Some(some) = selected else {
            return Ok(Self { selected, places: vec![], count: all });
        };
        if some.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Error::Sparse("the selected genes or cells do not increase"));
        }
        if some.last().is_some_and(|&last| last as usize >= all) {
            return Err(Error::Sparse("a selected gene or cell is out of range"));
        }
        let mut places = vec![NOT_SELECTED; all];
        for (place, &index) in some.iter().enumerate() {
            places[index as usize] = place as u32;
        }
        Ok(Self { selected, places, count: some.len() })
    }

    fn place(&self, index: usize) -> Option<u32> {
        match self.selected {
            None => Some(index as u32),
            _ => Some(self.places[index]).filter(|&place| place != NOT_SELECTED),
        }
    }

    /// Those selected within a range of all.
    fn within(&self, range: &Range<usize>) -> Range<usize> {
        let Some(some) = self.selected else { return range.clone() };
        let place = |index: usize| some.partition_point(|&selected| (selected as usize) < index);
        place(range.start)..place(range.end)
    }

    /// Of all, those from the first to the last of a range of the selected.
    fn spanned(&self, range: &Range<usize>) -> Range<usize> {
        match self.selected {
            None => range.clone(),
            _ if range.is_empty() => 0..0,
            Some(some) => some[range.start] as usize..some[range.end - 1] as usize + 1,
        }
    }
}

impl Source for Selected<'_> {
    fn genes(&self) -> usize {
        self.genes.count
    }

    fn cells(&self) -> usize {
        self.cells.count
    }

    fn axis(&self) -> Axis {
        self.source.axis()
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        let (along, _) = self.along_and_across();
        let ranges = self.source.ranges();
        let within = ranges.iter().map(|range| along.within(range));
        within.filter(|range| !range.is_empty()).collect()
    }

    fn read<'r>(&'r self, range: Range<usize>, room: &'r mut Room) -> Result<Entries<'r>> {
        let (along, across) = self.along_and_across();
        let spanned = along.spanned(&range);
        let mut whole = room.inner.take().unwrap_or_default();
        let entries = self.source.read(spanned.clone(), &mut whole)?;
        room.clear();
        for k in (0..entries.len()).filter(|k| along.place(spanned.start + k).is_some()) {
            let (indices, values) = entries.get(k);
            if across.selected.is_none() {
                room.indices.extend_from_slice(indices);
                room.values.extend_from_slice(values);
            } else {
                for (&index, &value) in indices.iter().zip(values) {
                    if let Some(place) = across.place(index as usize) {
                        room.indices.push(place);
                        room.values.push(value);
                    }
                }
            }
            room.starts.push(room.indices.len());
        }
        room.inner = Some(whole);
        Ok(room.entries())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Stored, example};
    use super::super::{Axis, gene_blocks};
    use super::*;

    #[test]
    fn only_what_is_selected_is_read_whatever_the_axis() {
        let by_cell = example();
        let by_gene = by_cell.turned();
        let sources = [
            Stored { matrix: &by_cell, axis: Axis::Cells },
            Stored { matrix: &by_gene, axis: Axis::Genes },
        ];
        let expected: [(Vec<u32>, Vec<f64>); 4] = [
            (vec![0, 1], vec![5.0, 1.0]),
            (vec![], vec![]),
            (vec![1], vec![4.0]),
            (vec![0], vec![2.0]),
        ];
        let some = |genes: &[u32]| genes.iter().map(|&g| expected[g as usize].clone()).collect();
        for source in &sources {
            for genes in [None, Some(&[0u32, 2][..]), Some(&[1, 3]), Some(&[])] {
                let selected = Selected::new(source, genes, Some(&[0, 2])).unwrap();
                let expected: Vec<(Vec<u32>, Vec<f64>)> = some(genes.unwrap_or(&[0, 1, 2, 3]));
                assert_eq!((selected.genes(), selected.cells()), (expected.len(), 2));
                let blocks = gene_blocks(&selected, 2).unwrap().map(Result::unwrap);
                let seen: Vec<(Vec<u32>, Vec<f64>)> = blocks
                    .flat_map(|block| {
                        let of = |gene| {
                            let gene = block.gene(gene);
                            (gene.cells.to_vec(), gene.counts.to_vec())
                        };
                        block.genes().map(of).collect::<Vec<_>>()
                    })
                    .collect();
                assert_eq!(seen, expected);
            }
        }
        assert!(Selected::new(&sources[0], None, Some(&[1, 0])).is_err());
        assert!(Selected::new(&sources[0], None, Some(&[3])).is_err());
        assert!(Selected::new(&sources[0], Some(&[4]), None).is_err());
    }
}
