//! Local quadratic regression with tricube weights over nearest neighbours
//! (Loader 1999, Local Regression and Likelihood), as R's `locfit()` by default.

/// The share of the points that a local fit sees.
const NEIGHBOURS: f64 = 0.7;
/// Places where the curve is fitted; it is interpolated between them.
const KNOTS: usize = 128;

/// A curve through scattered points; constant beyond the outermost.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalRegression {
    /// Evenly spaced places, and the curve there.
    knots: Vec<(f64, f64)>,
}

impl LocalRegression {
    /// Of points (x, y, weight). None where fewer than three places are distinct.
    pub fn fit(mut points: Vec<(f64, f64, f64)>) -> Option<Self> {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (first, last) = (points.first()?.0, points.last()?.0);
        let place = |k: usize| first + (last - first) * k as f64 / (KNOTS - 1) as f64;
        let knots: Option<Vec<(f64, f64)>> =
            (0..KNOTS).map(|k| Some((place(k), height(&points, place(k))?))).collect();
        Some(Self { knots: knots? })
    }

    pub fn at(&self, x: f64) -> f64 {
        let (first, last) = (self.knots[0], self.knots[KNOTS - 1]);
        let x = x.clamp(first.0, last.0);
        let k = self.knots.partition_point(|knot| knot.0 <= x).clamp(1, KNOTS - 1);
        let ((x0, y0), (x1, y1)) = (self.knots[k - 1], self.knots[k]);
        y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    }
}

/// The quadratic's value at the place it is fitted around.
fn height(points: &[(f64, f64, f64)], at: f64) -> Option<f64> {
    let mut distances: Vec<f64> = points.iter().map(|(x, ..)| (x - at).abs()).collect();
    let seen = ((NEIGHBOURS * points.len() as f64) as usize).max(1);
    let (_, reach, _) = distances.select_nth_unstable_by(seen - 1, f64::total_cmp);
    let reach = *reach;
    if reach <= 0.0 {
        return None;
    }
    let mut gram = [[0.0; 3]; 3];
    let mut right = [0.0; 3];
    for (x, y, weight) in points {
        let u = (x - at) / reach;
        let w = weight * (1.0 - u.abs().powi(3)).max(0.0).powi(3);
        let powers = [1.0, u, u * u];
        for i in 0..3 {
            right[i] += w * powers[i] * y;
            for j in 0..3 {
                gram[i][j] += w * powers[i] * powers[j];
            }
        }
    }
    // By Cramer's rule, as only the constant is wanted.
    let whole = determinant(&gram);
    let singular = whole <= 1e-12 * gram[0][0] * gram[1][1] * gram[2][2];
    if singular || whole.is_nan() {
        return None;
    }
    let mut replaced = gram;
    (0..3).for_each(|i| replaced[i][0] = right[i]);
    Some(determinant(&replaced) / whole)
}

fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_is_found_again() {
        let curve = |x: f64| 1.0 - 0.5 * x + 0.25 * x * x;
        let points = (0..60).map(|k| {
            let x = ((k * 37) % 60) as f64 / 10.0;
            (x, curve(x), 1.0 + x)
        });
        let fit = LocalRegression::fit(points.collect()).unwrap();
        for x in [0.0, 0.31, 2.5, 5.9] {
            // Between knots the curve is a chord: h² / 8 times its bend of 0.5.
            let chord = (5.9f64 / (KNOTS - 1) as f64).powi(2) / 8.0 * 0.5;
            assert!((fit.at(x) - curve(x)).abs() < chord + 1e-9, "at {x}");
        }
        assert_eq!(fit.at(-3.0), fit.at(0.0));
        assert_eq!(fit.at(30.0), fit.at(5.9));
    }

    #[test]
    fn points_at_two_places_have_no_curve() {
        let points = (0..40).map(|k| (f64::from(k % 2), 1.0, 1.0)).collect();
        assert_eq!(LocalRegression::fit(points), None);
    }
}
