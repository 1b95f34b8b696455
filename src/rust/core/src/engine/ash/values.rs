/// s-values of local false sign rates, q-values of local false discovery rates: the mean
/// of a rate and of all that are smaller (Stephens 2017). Those that are not a number are
/// left out.
pub fn running_means(rates: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..rates.len()).filter(|&i| !rates[i].is_nan()).collect();
    order.sort_by(|&a, &b| rates[a].total_cmp(&rates[b]));
    let mut means = vec![f64::NAN; rates.len()];
    let mut sum = 0.0;
    for (rank, &i) in order.iter().enumerate() {
        sum += rates[i];
        means[i] = sum / (rank + 1) as f64;
    }
    means
}
