//! How much each cell depends on the random effects, and what follows for the
//! determinant when its weight changes.

use super::effects::Effects;
use super::pass::{Data, Details, add};
use crate::design::BLOCK;
use crate::design::products::products;
use crate::simd::{Kernel, Vector, run};

/// With l = z' Lambda (Lambda'Z'WZ Lambda + I)⁻¹ Lambda' z of each cell: the derivatives
/// of the log-determinant with respect to log(alpha) at given predictors, and, by
/// t = w (1 - s) l with respect to each predictor, X't and Z't.
pub struct DeterminantSlopes {
    pub log_alpha: f64,
    pub fixed: Vec<f64>,
    pub random: Vec<f64>,
}

/// `around`: Lambda times the inverse times Lambda', in the blocks.
pub fn determinant_slopes(data: Data<'_>, details: &Details, around: &[f64]) -> DeterminantSlopes {
    run(Slopes { data, details, around })
}

struct Slopes<'a, 'b> {
    data: Data<'a>,
    details: &'b Details,
    around: &'b [f64],
}

impl Kernel for Slopes<'_, '_> {
    type Output = DeterminantSlopes;

    #[inline(always)]
    fn run<V: Vector>(self) -> DeterminantSlopes {
        let Self { data, details, around } = self;
        let (effects, n) = (data.effects, data.design.cells());
        let mut slopes = DeterminantSlopes {
            log_alpha: 0.0,
            fixed: vec![0.0; data.design.rank()],
            random: vec![0.0; effects.effects()],
        };
        for (block, (_, columns)) in data.design.blocks().iter().enumerate() {
            let first = block * BLOCK;
            let here = BLOCK.min(n - first);
            let mut t = [0.0; BLOCK];
            for (i, t) in t[..here].iter_mut().enumerate() {
                let (w, s) = (details.weights[first + i], details.saturations[first + i]);
                let share = w * leverage(effects, first + i, around);
                slopes.log_alpha -= s * share;
                *t = (1.0 - s) * share;
            }
            products::<V>(columns, &t, &mut slopes.fixed);
            add(effects, first, &t[..here], &mut slopes.random);
        }
        slopes
    }
}

/// z' (Lambda S Lambda') z.
#[inline(always)]
fn leverage(effects: &Effects, cell: usize, around: &[f64]) -> f64 {
    let row = effects.row(cell);
    let mut places = effects.blocks().places(cell).iter();
    let mut sum = 0.0;
    for (t, span) in effects.spans().iter().enumerate() {
        for (u, (other, &place)) in effects.spans()[..=t].iter().zip(&mut places).enumerate() {
            let both = if u == t { 1.0 } else { 2.0 };
            let block = &around[place as usize..][..span.width * other.width];
            for (a, values) in block.chunks_exact(other.width).enumerate() {
                let own = both * row[span.column + a];
                for (value, z) in values.iter().zip(&row[other.column..]) {
                    sum += own * value * z;
                }
            }
        }
    }
    sum
}
