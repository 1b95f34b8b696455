use crate::source::Piece;
use crate::{Error, Result};
use std::ops::Range;

/// The class of a cell that is in no group: it plays no part.
pub const NO_GROUP: u32 = u32::MAX;

/// Classes are packed into words beside values.
pub(super) const MOST_CLASSES: usize = 1 << 24;

/// What each group is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// The cells of one more class, which is not tested.
    Control,
    /// All other cells that have a class.
    Rest,
}

/// The class of every cell: a group that is tested, counted from zero; the number of
/// such groups, for cells that they are compared with; or [`NO_GROUP`].
#[derive(Clone, Debug)]
pub struct Groups<'a> {
    of: &'a [u32],
    /// Of the groups, and of the class that is not tested, if there is one.
    sizes: Vec<usize>,
    tested: usize,
    against: Against,
    cells: usize,
}

/// A cell's entries in some genes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell<'p> {
    pub class: u32,
    pub cell: usize,
    pub genes: &'p [u32],
    pub values: &'p [f64],
}

impl<'a> Groups<'a> {
    /// # Errors
    /// Where a class is out of range, or a group or what it is compared with has no
    /// cell.
    pub fn new(of: &'a [u32], tested: usize, against: Against) -> Result<Self> {
        let mut sizes = vec![0; tested + 1];
        if sizes.len() >= MOST_CLASSES {
            let what = "groups (fewer are expected)";
            return Err(Error::Shape { what, found: sizes.len(), expected: MOST_CLASSES });
        }
        for &class in of.iter().filter(|class| **class != NO_GROUP) {
            match sizes.get_mut(class as usize) {
                Some(size) => *size += 1,
                None => {
                    return Err(Error::Argument {
                        name: "group",
                        value: class.to_string(),
                        expected: "the number of a group",
                    });
                }
            }
        }
        if against == Against::Rest && sizes[tested] == 0 {
            sizes.pop();
        }
        if sizes.contains(&0) {
            let found = sizes.iter().filter(|size| **size > 0).count();
            return Err(Error::Shape { what: "groups with cells", found, expected: sizes.len() });
        }
        if sizes.len() < 2 {
            return Err(Error::Shape { what: "groups", found: sizes.len(), expected: 2 });
        }
        let cells = sizes.iter().sum();
        Ok(Self { of, sizes, tested, against, cells })
    }

    pub fn of(&self) -> &'a [u32] {
        self.of
    }

    pub fn against(&self) -> Against {
        self.against
    }

    pub fn classes(&self) -> usize {
        self.sizes.len()
    }

    pub fn tested(&self) -> usize {
        self.tested
    }

    /// Those that are in a group.
    pub fn cells(&self) -> usize {
        self.cells
    }

    pub fn size(&self, class: usize) -> usize {
        self.sizes[class]
    }

    /// How many cells a group is compared with.
    pub fn reference_size(&self, group: usize) -> usize {
        match self.against {
            Against::Control => self.sizes[self.tested()],
            Against::Rest => self.cells - self.sizes[group],
        }
    }

    /// The cells of a piece, with some genes' entries: class after class, so that a
    /// class's part of a table stays at hand; in order within each. Those in no group
    /// are the last.
    pub(super) fn by_class<'p>(&self, piece: &Piece<'p>, genes: Range<usize>) -> Vec<Cell<'p>> {
        let cells = piece.cells_within(genes);
        let mut cells: Vec<Cell> = cells
            .map(|(cell, genes, values)| Cell { class: self.of[cell], cell, genes, values })
            .collect();
        cells.sort_by_key(|cell| cell.class);
        cells
    }

    /// Whether the cells of a class are, or may be, in the reference of a group.
    pub(super) fn in_reference(&self, class: usize) -> bool {
        self.against == Against::Rest || class == self.tested()
    }
}
