use crate::{Error, Result};

/// Which cells each perturbation is in: the columns of a sparse cells x
/// perturbations matrix of zeros and ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    offsets: Vec<usize>,
    cells: Vec<u32>,
}

impl Membership {
    /// The cells of perturbation k are `cells[offsets[k]..offsets[k + 1]]`, counted
    /// from zero, in increasing order.
    ///
    /// # Errors
    /// Where the slots disagree, a cell is out of range, or the cells of a
    /// perturbation do not increase strictly.
    pub fn new(offsets: &[i32], cells: &[i32], n_cells: usize) -> Result<Self> {
        let ends = offsets.first().zip(offsets.last());
        let covered = ends.is_some_and(|(first, last)| {
            *first == 0 && usize::try_from(*last).is_ok_and(|last| last == cells.len())
        });
        if !covered || offsets.windows(2).any(|w| w[0] > w[1]) {
            return Err(Error::Sparse("the offsets do not divide the perturbed cells"));
        }
        if cells.iter().any(|&cell| cell < 0 || cell as usize >= n_cells) {
            return Err(Error::Sparse("a perturbed cell is out of range"));
        }
        let membership = Self {
            offsets: offsets.iter().map(|&o| o as usize).collect(),
            cells: cells.iter().map(|&cell| cell as u32).collect(),
        };
        let unsorted = |k| membership.cells(k).windows(2).any(|w| w[0] >= w[1]);
        if (0..membership.len()).any(unsorted) {
            return Err(Error::Sparse("the cells of a perturbation do not increase"));
        }
        Ok(membership)
    }

    /// How many perturbations there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The cells of a perturbation, in increasing order.
    pub fn cells(&self, perturbation: usize) -> &[u32] {
        &self.cells[self.offsets[perturbation]..self.offsets[perturbation + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perturbations_have_their_cells() {
        let membership = Membership::new(&[0, 2, 2, 3], &[0, 4, 1], 5).unwrap();
        assert_eq!(membership.len(), 3);
        assert_eq!(membership.cells(0), [0, 4]);
        assert_eq!(membership.cells(1), [0u32; 0]);
        assert_eq!(membership.cells(2), [1]);
    }

    #[test]
    fn slots_that_disagree_are_refused() {
        let refused = |offsets: &[i32], cells: &[i32]| Membership::new(offsets, cells, 5).is_err();
        assert!(refused(&[], &[]));
        assert!(refused(&[0, 2], &[1]));
        assert!(refused(&[0, 2, 1, 2], &[1, 2]));
        assert!(refused(&[0, 1], &[5]));
        assert!(refused(&[0, 1], &[-1]));
        assert!(refused(&[0, 2], &[2, 1]));
        assert!(refused(&[0, 2], &[1, 1]));
    }
}
