use super::groups::{Against, Groups};
use super::order::InOrder;

/// What the test of Wilcoxon needs of a gene's values, found while these are handed over
/// in increasing order: of each class twice U, and the sum of t³ - t over the values that
/// it and what it is compared with have together t times.
#[derive(Debug, Default)]
pub(super) struct RankSums {
    twice_u: Vec<u64>,
    /// Beside those that are tied among what all are compared with.
    ties: Vec<u128>,
    shared_ties: u128,
    /// Of what all are compared with, those below; and of each class itself.
    below: u64,
    own_below: Vec<u64>,
    /// At the value that is handed over.
    own: Vec<u32>,
    classes: Vec<u32>,
}

/// Of so many cells, the cube is one of 64 bits, which are faster.
const FEW: usize = 1 << 21;

impl RankSums {
    pub fn twice_u(&self, group: usize) -> u64 {
        self.twice_u[group]
    }

    pub fn ties(&self, group: usize) -> u128 {
        self.shared_ties + self.ties[group]
    }
}

impl InOrder for RankSums {
    fn begin(&mut self, groups: &Groups) {
        for column in [&mut self.twice_u, &mut self.own_below] {
            column.clear();
            column.resize(groups.classes(), 0);
        }
        self.ties.clear();
        self.ties.resize(groups.classes(), 0);
        self.own.resize(groups.classes(), 0);
        (self.shared_ties, self.below) = (0, 0);
    }

    #[inline(always)]
    fn add_one(&mut self, groups: &Groups, class: u32) {
        let class = class as usize;
        match groups.against() {
            Against::Control if class == groups.tested() => self.below += 1,
            Against::Control => self.twice_u[class] += 2 * self.below,
            Against::Rest => {
                self.twice_u[class] += 2 * (self.below - self.own_below[class]);
                self.own_below[class] += 1;
                self.below += 1;
            }
        }
    }

    #[inline(always)]
    fn add_level(&mut self, groups: &Groups, cells: impl Iterator<Item = (u32, u32)>) {
        let (tested, rest) = (groups.tested(), groups.against() == Against::Rest);
        let mut all = 0;
        for (class, cells) in cells {
            let own = &mut self.own[class as usize];
            if *own == 0 {
                self.classes.push(class);
            }
            *own += cells;
            all += u64::from(cells);
        }
        let at = match rest {
            true => all,
            false => self.own.get(tested).map_or(0, |&own| own.into()),
        };
        for class in self.classes.drain(..) {
            let class = class as usize;
            let own = u64::from(std::mem::take(&mut self.own[class]));
            if rest {
                let others_below = self.below - self.own_below[class];
                self.twice_u[class] += own * (2 * others_below + at - own);
                self.own_below[class] += own;
            } else if class != tested {
                self.twice_u[class] += own * (2 * self.below + at);
                self.ties[class] += tied(at + own) - tied(at);
            }
        }
        self.shared_ties += tied(at);
        self.below += at;
    }

    #[inline(always)]
    fn add_levels<const N: usize>(&mut self, groups: &Groups, cells: &[[u32; N]]) {
        if groups.against() == Against::Rest || groups.cells() >= FEW {
            for value in 0..N {
                let of = cells.iter().enumerate().map(|(class, of)| (class as u32, of[value]));
                self.add_level(groups, of.filter(|&(_, cells)| cells > 0));
            }
            return;
        }
        // The same without a branch.
        let at = cells[groups.tested()].map(u64::from);
        let mut weight = at;
        for (weight, at) in weight.iter_mut().zip(at) {
            *weight += 2 * self.below;
            self.below += at;
            self.shared_ties += tied(at);
        }
        for (class, of_class) in cells[..groups.tested()].iter().enumerate() {
            let (mut twice_u, mut ties) = (0, 0);
            for ((&own, weight), at) in of_class.iter().zip(weight).zip(at) {
                let own = u64::from(own);
                twice_u += own * weight;
                ties += own * (3 * at * (at + own) + own * own) - own;
            }
            self.twice_u[class] += twice_u;
            self.ties[class] += u128::from(ties);
        }
    }
}

fn tied(cells: u64) -> u128 {
    let cells = u128::from(cells);
    cells * cells * cells - cells
}
