use super::{BLOCK, Blocks};

/// Nodes of a piece of the offsets' range.
const NODES: usize = 20;
/// The widest piece.
const WIDTH: f64 = 1.5;

/// The distribution of all cells' offsets as a few nodes with weights, such that
/// `sum over cells of f(offset)` is `sum over nodes of weight f(node)`.
///
/// That holds to rounding (1e-14, relative to the sum of |f|) for every f(offset) =
/// g(alpha e^(eta + offset)) whose singularities are at a distance of pi from the real
/// line, as those of log(1 + e^x) and its derivatives are: the range is cut into pieces no
/// wider than 1.5, and in each f is replaced by its polynomial interpolant at Chebyshev
/// nodes. Its error falls as rho^-nodes, rho = r + sqrt(r² + 1), r = pi / (half the
/// width) (Trefethen 2013, Approximation Theory and Approximation Practice, theorem 8.2):
/// 8.5^-20 = 3e-19. As pieces are narrow it is small beside f in the same piece, however
/// steep f is over the whole range. The interpolant's sum is linear in f at the nodes, and
/// the weights, the sums of the Lagrange polynomials over cells, are the same for every
/// gene. In pieces with fewer cells than nodes the nodes are the cells.
pub struct OffsetNodes {
    pub offsets: Vec<f64>,
    pub weights: Vec<f64>,
}

impl OffsetNodes {
    pub fn new(blocks: &Blocks, cells: usize) -> Self {
        let offsets = || {
            let used = |block: usize| BLOCK.min(cells - block * BLOCK);
            let blocks = blocks.iter().enumerate();
            blocks.flat_map(move |(block, (offset, _))| offset[..used(block)].iter().copied())
        };
        let low = offsets().fold(f64::INFINITY, f64::min);
        let high = offsets().fold(f64::NEG_INFINITY, f64::max);
        if low == high {
            return Self { offsets: vec![low], weights: vec![cells as f64] };
        }
        let count = ((high - low) / WIDTH).ceil().max(1.0);
        if count * NODES as f64 >= cells as f64 {
            return Self { offsets: offsets().collect(), weights: vec![1.0; cells] };
        }
        let pieces = Pieces { low, half: 0.5 * (high - low) / count, count: count as usize };
        let mut sizes = vec![0usize; pieces.count];
        offsets().for_each(|offset| sizes[pieces.of(offset)] += 1);
        let mut moments = vec![[Sum::default(); NODES]; pieces.count];
        let mut nodes = Self { offsets: vec![], weights: vec![] };
        for offset in offsets() {
            let piece = pieces.of(offset);
            if sizes[piece] <= NODES {
                nodes.push(offset, 1.0);
            } else {
                add_polynomials((offset - pieces.middle(piece)) / pieces.half, &mut moments[piece]);
            }
        }
        for (piece, moments) in
            moments.iter().enumerate().filter(|(piece, _)| sizes[*piece] > NODES)
        {
            for (x, weight) in lagrange_sums(moments) {
                nodes.push(pieces.middle(piece) + pieces.half * x, weight);
            }
        }
        nodes
    }

    /// The sum over cells.
    pub fn sum(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.offsets.iter().zip(&self.weights).map(|(&offset, weight)| weight * f(offset)).sum()
    }

    fn push(&mut self, offset: f64, weight: f64) {
        self.offsets.push(offset);
        self.weights.push(weight);
    }
}

/// The range of the offsets, cut into pieces of one width.
struct Pieces {
    low: f64,
    half: f64,
    count: usize,
}

impl Pieces {
    fn of(&self, offset: f64) -> usize {
        (((offset - self.low) / (2.0 * self.half)) as usize).min(self.count - 1)
    }

    fn middle(&self, piece: usize) -> f64 {
        self.low + self.half * (2 * piece + 1) as f64
    }
}

/// A sum, and what its rounding has lost (Kahan 1965, CACM 8:40): over a million cells
/// with few distinct offsets a plain sum would lose four digits.
#[derive(Clone, Copy, Default)]
struct Sum {
    value: f64,
    lost: f64,
}

impl Sum {
    fn add(&mut self, term: f64) {
        let term = term - self.lost;
        let value = self.value + term;
        self.lost = (value - self.value) - term;
        self.value = value;
    }
}

/// Adds T_0(x), T_1(x), ...
fn add_polynomials(x: f64, sums: &mut [Sum; NODES]) {
    let (mut before, mut value) = (x, 1.0);
    for sum in sums {
        sum.add(value);
        (before, value) = (value, 2.0 * x * value - before);
    }
}

/// Chebyshev nodes x_k, and the sums over cells of their Lagrange polynomials: of
/// (1 + 2 sum over m > 0 of T_m(x_k) T_m) / nodes.
fn lagrange_sums(moments: &[Sum; NODES]) -> impl Iterator<Item = (f64, f64)> {
    (0..NODES).map(move |k| {
        let x = (std::f64::consts::PI * (k as f64 + 0.5) / NODES as f64).cos();
        let mut polynomials = [Sum::default(); NODES];
        add_polynomials(x, &mut polynomials);
        let sum: f64 = polynomials.iter().zip(moments).map(|(t, sum)| t.value * sum.value).sum();
        (x, (2.0 * sum - moments[0].value) / NODES as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    fn nodes(offset: &[f64]) -> OffsetNodes {
        OffsetNodes::new(&Blocks::new(&[], offset), offset.len())
    }

    fn assert_sums(offset: &[f64], most: usize) {
        let nodes = nodes(offset);
        assert!(nodes.offsets.len() <= most, "{} nodes", nodes.offsets.len());
        for eta in (-40..=40).map(f64::from) {
            let functions: [&dyn Fn(f64) -> f64; 4] = [
                &|o| (eta + o).exp().ln_1p(),
                &|o| 1.0 / (1.0 + (-eta - o).exp()),
                &|o| 1.0 / ((1.0 + (-eta - o).exp()) * (1.0 + (eta + o).exp())),
                &|o| (eta + o).exp(),
            ];
            for (which, f) in functions.iter().enumerate() {
                let mut direct = Sum::default();
                offset.iter().for_each(|&o| direct.add(f(o)));
                let off = (nodes.sum(f) / direct.value - 1.0).abs();
                assert!(off < 1e-13, "function {which} at {eta}: {off:e}");
            }
        }
    }

    #[test]
    fn sums_over_nodes_are_sums_over_cells() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut normal =
            |n: usize, sd: f64| (0..n).map(|_| sd * rng.sample::<f64, _>(StandardNormal)).collect();
        let usual: Vec<f64> = normal(20_000, 0.5);
        assert_sums(&usual, 80);
        let wide: Vec<f64> = normal(20_000, 8.0);
        assert_sums(&wide, 1000);
        // One cell far from all others.
        let mut alone = usual.clone();
        alone[7] = 30.0;
        assert_sums(&alone, 81);
        alone[7] = -30.0;
        assert_sums(&alone, 81);
        assert_sums(&[0.7; 999], 1);
        let two: Vec<f64> = (0..999).map(|i| if i % 3 == 0 { -1.0 } else { 0.4 }).collect();
        assert_sums(&two, 20);
    }

    #[test]
    fn few_cells_are_their_own_nodes() {
        let offset = [0.1, -2.0, 5.0, 1e5];
        let nodes = nodes(&offset);
        assert_eq!(nodes.offsets, offset);
        assert_eq!(nodes.weights, [1.0; 4]);
    }
}
