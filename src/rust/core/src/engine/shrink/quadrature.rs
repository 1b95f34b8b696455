//! Integrals over a panel, by the rule of Gauss and Legendre with 16 nodes: exact
//! for polynomials up to degree 31.

/// Positive nodes, and weights of each on either side.
const NODES: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_7, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_87),
    (0.865_631_202_387_831_7, 0.095_158_511_682_492_78),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_89),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_095),
];

/// Integrals of a density, and of its products with a distance and its square.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    pub mass: f64,
    pub first: f64,
    pub second: f64,
}

impl Moments {
    /// Adds a panel, whichever of its ends comes first. Distances are from `centre`.
    pub fn add(&mut self, from: f64, to: f64, centre: f64, density: impl Fn(f64) -> f64) {
        let (middle, half) = (0.5 * (from + to), 0.5 * (to - from).abs());
        for (node, weight) in NODES {
            for x in [middle - half * node, middle + half * node] {
                let mass = half * weight * density(x);
                let distance = x - centre;
                self.mass += mass;
                self.first += mass * distance;
                self.second += mass * distance * distance;
            }
        }
    }

    /// Adds other moments times a factor.
    pub fn add_scaled(&mut self, other: &Moments, factor: f64) {
        self.mass += factor * other.mass;
        self.first += factor * other.first;
        self.second += factor * other.second;
    }

    /// Mean and standard deviation.
    pub fn mean_and_sd(&self, centre: f64) -> (f64, f64) {
        let off = self.first / self.mass;
        (centre + off, (self.second / self.mass - off * off).max(0.0).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_integrated_exactly() {
        for degree in 0..=31 {
            let mut moments = Moments::default();
            moments.add(2.0, 0.0, 0.0, |x| x.powi(degree));
            let want = 2f64.powi(degree + 1) / f64::from(degree + 1);
            assert!((moments.mass / want - 1.0).abs() < 1e-14, "degree {degree}");
        }
        let mut moments = Moments::default();
        moments.add(1.0, 3.0, 2.0, |_| 0.5);
        let (mean, sd) = moments.mean_and_sd(2.0);
        assert!((mean - 2.0).abs() < 1e-15 && (sd - (1.0f64 / 3.0).sqrt()).abs() < 1e-15);
    }
}
