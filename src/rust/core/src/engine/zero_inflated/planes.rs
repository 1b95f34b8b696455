//! Starts in which all cells beyond a plane are structural zeros. Where few cells have
//! counts, a plane with none of them beyond it can be the best of all zero parts: there the
//! likelihood gains what the means of the cells beyond it add up to.

use super::parts::Parts;
use super::starts::Beginning;
use crate::engine::glm::inner;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// With more counts no plane leaves many cells beyond it.
const MOST_COUNTS: usize = 64;
/// Planes that are tried, how many of the best are tilted, and how often.
const PLANES: usize = 256;
const BEST: usize = 4;
const TURNS: usize = 64;
/// How far a plane is tilted, from first to last.
const TILTS: (f64, f64) = (0.5, 0.01);
/// A smaller gain is not worth a start.
const WORTH: f64 = 0.1;
/// The logit of shares, on average beyond the plane and on it.
const BEYOND: f64 = 8.0;
const ON_PLANE: f64 = -2.0;

/// Cells beyond it are structural zeros.
#[derive(Clone)]
struct Plane {
    direction: Vec<f64>,
    /// Where the outermost count is.
    at: f64,
    /// Sum of the means beyond it, and their distance on average.
    gain: f64,
    distance: f64,
}

/// The zero part's rows, and means, of cells that may be structural zeros.
struct Scene {
    rank: usize,
    zeros: Vec<f64>,
    means: Vec<f64>,
    counts: Vec<f64>,
}

impl Beginning<'_> {
    /// From the best of many planes; none where each kind of cells has a share of its own.
    pub(super) fn beyond_planes(&self, shape: Option<f64>) -> Vec<Vec<f64>> {
        let parts = &self.parts;
        let total = parts.counts().total();
        let few = parts.counts().cells.len() <= MOST_COUNTS;
        if parts.whole.saturated || parts.zero.rank() == 0 || !few {
            return vec![];
        }
        let scene = Scene::of(parts, &self.count);
        let start = |plane: Plane| {
            // What counts are expected moves to the cells that are left.
            let raise = -(1.0 - plane.gain / total).max(0.1).ln();
            let up = parts.count.nearest(|_| raise, parts.cells.len());
            let count: Vec<f64> = self.count.iter().zip(&up).map(|(c, up)| c + up).collect();
            let logit = |cell: usize| {
                let ahead = parts.zero.predictor(cell, &plane.direction) - plane.at;
                ON_PLANE + BEYOND * ahead / plane.distance
            };
            self.joint(&count, &parts.zero.nearest(logit, parts.cells.len()), shape)
        };
        scene.best_planes().into_iter().map(start).collect()
    }
}

impl Scene {
    fn of(parts: &Parts<'_>, count: &[f64]) -> Self {
        let rank = parts.zero.rank();
        let all = parts.zero.blocks().rows();
        let row = |cell: u32| &all[cell as usize * rank..][..rank];
        let rows = |cells: &[u32]| cells.iter().flat_map(|&c| row(c).iter().copied()).collect();
        let zeros = parts.doubtful_zeros();
        let blocks = parts.count.blocks();
        let mean = |&cell: &u32| {
            let cell = cell as usize;
            (parts.count.predictor(cell, count) + blocks.offset(cell)).exp()
        };
        let (means, counts) = (zeros.iter().map(mean).collect(), rows(parts.counts().cells));
        Self { rank, zeros: rows(&zeros), means, counts }
    }

    fn best_planes(&self) -> Vec<Plane> {
        // The same for every gene, however the work is shared.
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut random = |scale: f64| -> Vec<f64> {
            (0..self.rank).map(|_| scale * rng.sample::<f64, _>(StandardNormal)).collect()
        };
        let mut planes: Vec<Plane> = (0..PLANES).map(|_| self.plane(random(1.0))).collect();
        planes.sort_by(|a, b| b.gain.total_cmp(&a.gain));
        planes.truncate(BEST);
        for plane in &mut planes {
            for turn in 0..TURNS {
                let tilt = TILTS.0 * (TILTS.1 / TILTS.0).powf(turn as f64 / TURNS as f64);
                let size = inner(&plane.direction, &plane.direction).sqrt();
                let mut direction = random(tilt * size);
                direction.iter_mut().zip(&plane.direction).for_each(|(d, old)| *d += old);
                let tilted = self.plane(direction);
                if tilted.gain > plane.gain {
                    *plane = tilted;
                }
            }
        }
        planes.retain(|plane| plane.gain > WORTH);
        planes
    }

    /// The plane across a direction that the outermost count is on.
    fn plane(&self, direction: Vec<f64>) -> Plane {
        let ahead = |row: &[f64]| inner(row, &direction);
        let at = self.counts.chunks_exact(self.rank).map(ahead).fold(f64::NEG_INFINITY, f64::max);
        let (mut gain, mut moment) = (0.0, 0.0);
        for (row, mean) in self.zeros.chunks_exact(self.rank).zip(&self.means) {
            let distance = ahead(row) - at;
            if distance > 0.0 {
                gain += mean;
                moment += mean * distance;
            }
        }
        Plane { direction, at, gain, distance: moment / gain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells on a grid, those right of a slanted line without counts.
    fn scene() -> Scene {
        let (mut zeros, mut counts) = (vec![], vec![]);
        for x in -10..=10 {
            for y in -10..=10 {
                let row = [1.0, f64::from(x), f64::from(y)];
                // Just left of it, at both ends.
                let outermost = (x, y) == (3, -10) || (x, y) == (-1, 10);
                if outermost || (x < -5 && y % 5 == 0) {
                    counts.extend(row);
                } else {
                    zeros.extend(row);
                }
            }
        }
        Scene { rank: 3, means: vec![0.01; zeros.len() / 3], zeros, counts }
    }

    #[test]
    fn no_count_is_beyond_a_plane_and_few_cells_are_left_that_might_be() {
        let scene = scene();
        let planes = scene.best_planes();
        assert_eq!(planes.len(), BEST);
        for plane in &planes {
            let ahead = |row: &[f64]| inner(row, &plane.direction) - plane.at;
            assert!(scene.counts.chunks_exact(3).all(|row| ahead(row) <= 1e-12));
            let beyond: Vec<f64> =
                scene.zeros.chunks_exact(3).map(ahead).filter(|ahead| *ahead > 0.0).collect();
            assert!((plane.gain - 0.01 * beyond.len() as f64).abs() < 1e-9);
            let distance = beyond.iter().sum::<f64>() / beyond.len() as f64;
            assert!((plane.distance / distance - 1.0).abs() < 1e-9);
        }
        // The line through both outermost counts has all cells of a larger x beyond it.
        let line = scene.plane(vec![0.0, 5.0, 1.0]);
        let best = planes.iter().map(|plane| plane.gain).fold(0.0, f64::max);
        assert!(best >= 0.98 * line.gain, "{best} of {}", line.gain);
    }
}
