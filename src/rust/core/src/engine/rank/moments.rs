/// Sums over some values, after Welford (1962) and Chan, Golub and LeVeque (1983):
/// unlike sums of squares they lose nothing where values are large and alike.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    pub count: f64,
    /// Of the values as tested.
    pub mean: f64,
    /// Sum of squares about it.
    pub squares: f64,
    /// Sum of the values whose mean the fold change is of.
    pub level: f64,
}

impl Moments {
    pub fn of_equal(count: f64, tested: f64, level: f64) -> Self {
        Self { count, mean: tested, squares: 0.0, level: count * level }
    }

    #[inline(always)]
    pub fn add(&mut self, tested: f64, level: f64) {
        self.count += 1.0;
        let off = tested - self.mean;
        self.mean += off / self.count;
        self.squares += off * (tested - self.mean);
        self.level += level;
    }

    /// The same where nobody asks for squares: the sum in the place of the mean, until
    /// [`Moments::end_sum`].
    #[inline(always)]
    pub fn add_to_sum(&mut self, tested: f64, level: f64) {
        self.count += 1.0;
        self.mean += tested;
        self.level += level;
    }

    /// The same of many at once: numbers of cells, and what the value of each is seen as.
    #[inline(always)]
    pub fn add_all_to_sum<const N: usize>(
        &mut self,
        cells: &[u32; N],
        tested: &[f64; N],
        level: &[f64; N],
    ) {
        let cells = cells.map(f64::from);
        self.count += sum(cells);
        self.mean += sum(std::array::from_fn::<f64, N, _>(|k| cells[k] * tested[k]));
        self.level += sum(std::array::from_fn::<f64, N, _>(|k| cells[k] * level[k]));
    }

    #[inline(always)]
    pub fn end_sum(&mut self) {
        if self.count > 0.0 {
            self.mean /= self.count;
        }
    }

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        if other.count == 0.0 || self.count == 0.0 {
            return if self.count == 0.0 { other } else { self };
        }
        let count = self.count + other.count;
        let (off, share) = (other.mean - self.mean, other.count / count);
        Self {
            count,
            mean: self.mean + off * share,
            squares: self.squares + other.squares + off * off * self.count * share,
            level: self.level + other.level,
        }
    }
}

/// By halves, so that several are added in one instruction; `N` is a power of two.
#[inline(always)]
fn sum<const N: usize>(mut values: [f64; N]) -> f64 {
    let mut half = N / 2;
    while half > 0 {
        for k in 0..half {
            values[k] += values[k + half];
        }
        half /= 2;
    }
    values[0]
}

/// The cells of a group, or of what it is compared with, in one gene.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Of all cells.
    pub moments: Moments,
    /// Cells whose value is not zero.
    pub expressed: f64,
}

impl Sample {
    /// From those that are not zero.
    pub fn with_zeros(expressed: Moments, cells: usize) -> Self {
        let zeros = Moments { count: cells as f64 - expressed.count, ..Moments::default() };
        Self { moments: expressed.with(zeros), expressed: expressed.count }
    }

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            moments: self.moments.with(other.moments),
            expressed: self.expressed + other.expressed,
        }
    }

    pub fn share(&self) -> f64 {
        self.expressed / self.moments.count
    }

    pub fn level(&self) -> f64 {
        self.moments.level / self.moments.count
    }
}
