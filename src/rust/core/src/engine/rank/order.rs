use super::groups::Groups;
use super::levels::Levels;
use super::sums::RankSums;

/// What takes a gene's values over in increasing order, zero among them.
pub(super) trait InOrder {
    fn begin(&mut self, groups: &Groups);

    /// A value that one cell has.
    fn add_one(&mut self, groups: &Groups, class: u32);

    /// A value that some cells have: their classes, which may come more than once.
    fn add_level(&mut self, groups: &Groups, cells: impl Iterator<Item = (u32, u32)>);

    /// Some values: of each class, how many cells have each.
    fn add_levels<const N: usize>(&mut self, groups: &Groups, cells: &[[u32; N]]) {
        for value in 0..N {
            let of = cells.iter().enumerate().map(|(class, of)| (class as u32, of[value]));
            self.add_level(groups, of.filter(|&(_, cells)| cells > 0));
        }
    }

    /// Once all values are there.
    fn end(&mut self, _groups: &Groups) {}
}

/// Of a gene, what the test needs.
#[derive(Debug, Default)]
pub(super) struct Order {
    pub sums: RankSums,
    pub levels: Levels,
}

/// What a test asks of the values' order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Needs {
    pub sums: bool,
    pub levels: bool,
}

impl Needs {
    pub fn any(self) -> bool {
        self.sums || self.levels
    }
}
