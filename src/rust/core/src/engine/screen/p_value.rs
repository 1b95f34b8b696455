use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc;

/// A statistic's distribution where there is no effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tail {
    Normal,
    /// Student's t, for a dispersion that was estimated with so many degrees of
    /// freedom.
    Student(f64),
}

impl Tail {
    pub fn two_sided(self, statistic: f64) -> f64 {
        let z = statistic.abs();
        if !z.is_finite() {
            return if z.is_nan() { f64::NAN } else { 0.0 };
        }
        match self {
            Tail::Normal => erfc(z * std::f64::consts::FRAC_1_SQRT_2),
            Tail::Student(freedom) => beta_reg(0.5 * freedom, 0.5, freedom / (freedom + z * z)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_those_of_tables() {
        // R: 2 * pnorm(-z), 2 * pt(-z, df).
        let near = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-10, "{got} {want}");
        near(Tail::Normal.two_sided(1.959963984540054), 0.05);
        near(Tail::Normal.two_sided(-10.0), 1.523970604832109e-23);
        near(Tail::Normal.two_sided(37.0), 1.1451142445049154e-299);
        near(Tail::Student(5.0).two_sided(2.5), 0.054490099342376204);
        near(Tail::Student(1e5).two_sided(30.0), 7.378_536_872_221_824e-197);
    }
}
