use super::groups::{Against, Groups};
use super::order::InOrder;

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
    /// Levels and cells, by class and then by level.
    held: Vec<(u32, u32)>,
    /// At each level, the cells that groups are compared with: the control's, or those
    /// of all classes.
    at: Vec<u32>,
}

/// Of one group and what it is compared with, at one level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub own: u64,
    pub other: u64,
    /// Others at lower levels.
    pub other_below: u64,
}

impl InOrder for Levels {
    fn begin(&mut self, _groups: &Groups) {
        self.runs.clear();
        self.level = 0;
    }

    fn add_one(&mut self, _groups: &Groups, class: u32) {
        self.runs.push(Run { level: self.level, class, cells: 1 });
        self.level += 1;
    }

    fn add_level(&mut self, _groups: &Groups, cells: impl Iterator<Item = (u32, u32)>) {
        let (from, level) = (self.runs.len(), self.level);
        self.runs.extend(cells.map(|(class, cells)| Run { level, class, cells }));
        let runs = &mut self.runs[from..];
        if runs.is_empty() {
            return;
        }
        runs.sort_unstable_by_key(|run| run.class);
        let mut last = 0;
        for k in 1..runs.len() {
            if runs[k].class == runs[last].class {
                runs[last].cells += runs[k].cells;
            } else {
                last += 1;
                runs[last] = runs[k];
            }
        }
        self.runs.truncate(from + last + 1);
        self.level += 1;
    }

    fn end(&mut self, groups: &Groups) {
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
    }
}

impl Levels {
    fn held(&self, class: usize) -> &[(u32, u32)] {
        &self.held[self.starts[class]..self.starts[class + 1]]
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
}
