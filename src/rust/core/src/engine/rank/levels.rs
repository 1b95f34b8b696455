use super::groups::{Against, Groups};

/// Some cells of one class with the same value.
#[derive(Clone, Copy, Debug)]
struct Run {
    level: u32,
    class: u32,
    cells: u32,
}

/// A gene's values: the distinct ones in increasing order, its levels, zero among them;
/// and which class has how many cells at which.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// By level.
    runs: Vec<Run>,
    /// The one that runs are added to.
    level: u32,
    /// Where each class begins among those below.
    starts: Vec<usize>,
    /// Where what was put there of each class ends so far.
    ends: Vec<usize>,
    /// Levels and cells, by class and then by level.
    held: Vec<(u32, u32)>,
    /// At each level, the cells that groups are compared with: the control's, or those
    /// of all classes.
    at: Vec<u32>,
    /// How many of them are below it.
    below: Vec<u64>,
    /// Sum of t³ - t over levels, with t of them there.
    ties: u128,
}

/// Of one group and what it is compared with, at one level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub own: u64,
    pub other: u64,
    /// Others at lower levels.
    pub other_below: u64,
}

impl Levels {
    pub fn clear(&mut self) {
        self.runs.clear();
        self.level = 0;
    }

    /// Some cells at the level that is open.
    pub fn push(&mut self, class: u32, cells: u32) {
        self.runs.push(Run { level: self.level, class, cells });
    }

    /// The cells of each class that are not among `expressed`.
    pub fn push_zeros(&mut self, groups: &Groups, expressed: impl Fn(usize) -> usize) {
        for class in 0..groups.classes() {
            let cells = (groups.size(class) - expressed(class)) as u32;
            if cells > 0 {
                self.push(class as u32, cells);
            }
        }
    }

    /// Ends the open level: the next one is above it. A level without cells is none.
    pub fn end_level(&mut self) {
        self.level += u32::from(self.runs.last().is_some_and(|run| run.level == self.level));
    }

    /// Once all runs are there.
    pub fn arrange(&mut self, groups: &Groups) {
        let classes = groups.classes();
        self.starts.clear();
        self.starts.resize(classes + 1, 0);
        for run in &self.runs {
            self.starts[run.class as usize + 1] += 1;
        }
        for class in 0..classes {
            self.starts[class + 1] += self.starts[class];
        }
        self.held.clear();
        self.held.resize(self.runs.len(), (0, 0));
        self.at.clear();
        self.at.resize(self.runs.last().map_or(0, |run| run.level as usize + 1), 0);
        for run in &self.runs {
            // Moves each start to its end, which is the next one's start.
            let next = &mut self.starts[run.class as usize];
            self.held[*next] = (run.level, run.cells);
            *next += 1;
            if groups.in_reference(run.class as usize) {
                self.at[run.level as usize] += run.cells;
            }
        }
        self.starts.rotate_right(1);
        self.starts[0] = 0;
        self.sum_up();
    }

    /// The same without runs: of each class, cells by value, of which all lie below those
    /// of `larger`: at levels from zero on, in increasing order, a class, and cells.
    #[inline(always)]
    pub fn fill<const N: usize>(
        &mut self,
        groups: &Groups,
        cells: &[[u32; N]],
        larger: &[(u32, usize, u32)],
    ) {
        let mut any = [0; N];
        for of_class in cells {
            any.iter_mut().zip(of_class).for_each(|(any, cells)| *any |= cells);
        }
        let mut levels = 0;
        let level_of = any.map(|any| {
            levels += u32::from(any > 0);
            levels.wrapping_sub(1)
        });
        self.starts.clear();
        self.starts.push(0);
        let held =
            |of_class: &[u32; N]| of_class.iter().map(|&n| usize::from(n > 0)).sum::<usize>();
        self.starts.extend(cells.iter().map(held));
        larger.iter().for_each(|(_, class, _)| self.starts[class + 1] += 1);
        for class in 0..cells.len() {
            self.starts[class + 1] += self.starts[class];
        }
        let total = self.starts[cells.len()];
        // One more, for what is written without asking whether it will stay.
        self.held.clear();
        self.held.resize(total + 1, (0, 0));
        self.at.clear();
        self.at.resize((levels + larger.last().map_or(0, |(level, ..)| level + 1)) as usize, 0);
        self.ends.clear();
        for (class, of_class) in cells.iter().enumerate() {
            let mut next = self.starts[class];
            for (&level, &cells) in level_of.iter().zip(of_class) {
                self.held[next] = (level, cells);
                next += usize::from(cells > 0);
            }
            self.ends.push(next);
        }
        for &(level, class, cells) in larger {
            self.held[self.ends[class]] = (levels + level, cells);
            self.ends[class] += 1;
        }
        self.held.truncate(total);
        for class in (0..cells.len()).filter(|&class| groups.in_reference(class)) {
            for &(level, cells) in &self.held[self.starts[class]..self.starts[class + 1]] {
                self.at[level as usize] += cells;
            }
        }
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.below.clear();
        self.ties = 0;
        let mut below = 0;
        for &cells in &self.at {
            self.below.push(below);
            below += u64::from(cells);
            self.ties += tied(u64::from(cells));
        }
    }

    fn held(&self, class: usize) -> &[(u32, u32)] {
        &self.held[self.starts[class]..self.starts[class + 1]]
    }

    /// The levels that a group has cells at, in increasing order.
    pub fn own_steps(&self, groups: &Groups, group: usize) -> impl Iterator<Item = Step> {
        let rest = groups.against() == Against::Rest;
        let mut own_below = 0;
        self.held(group).iter().map(move |&(level, own)| {
            let (level, own) = (level as usize, u64::from(own));
            let mut step =
                Step { own, other: u64::from(self.at[level]), other_below: self.below[level] };
            if rest {
                step.other -= own;
                step.other_below -= own_below;
                own_below += own;
            }
            step
        })
    }

    /// The levels that a group or what it is compared with has cells at, in increasing
    /// order.
    pub fn steps(&self, groups: &Groups, group: usize) -> impl Iterator<Item = Step> {
        let rest = groups.against() == Against::Rest;
        let mut own = self.held(group).iter().peekable();
        // Of the rest, every level has cells.
        let mut other = (!rest).then(|| self.held(groups.tested()).iter().peekable());
        let (mut all_next, mut other_below) = (0, 0);
        std::iter::from_fn(move || {
            let level = match &mut other {
                None => (all_next < self.at.len() as u32).then_some(all_next)?,
                Some(other) => {
                    let next = [own.peek(), other.peek()].into_iter().flatten();
                    next.map(|(level, _)| *level).min()?
                }
            };
            all_next = level + 1;
            if let Some(other) = &mut other {
                other.next_if(|(at, _)| *at == level);
            }
            let own = own.next_if(|(at, _)| *at == level).map_or(0, |&(_, own)| u64::from(own));
            let at = u64::from(self.at[level as usize]);
            let step = Step { own, other: if rest { at - own } else { at }, other_below };
            other_below += step.other;
            Some(step)
        })
    }

    /// Sum of t³ - t over the levels of a group and what it is compared with together.
    pub fn ties(&self, groups: &Groups, group: usize) -> u128 {
        if groups.against() == Against::Rest {
            return self.ties;
        }
        let held = self.held(group).iter();
        let more = held.map(|&(level, own)| (u64::from(self.at[level as usize]), u64::from(own)));
        // Of so many cells, the cube is one of 64 bits, which are faster.
        const FEW: usize = 1 << 21;
        self.ties
            + match groups.size(group) + groups.reference_size(group) < FEW {
                true => more
                    .map(|(at, own)| own * (3 * at * (at + own) + own * own - 1))
                    .sum::<u64>()
                    .into(),
                false => more.map(|(at, own)| tied(at + own) - tied(at)).sum::<u128>(),
            }
    }
}

fn tied(cells: u64) -> u128 {
    let cells = u128::from(cells);
    cells * cells * cells - cells
}
