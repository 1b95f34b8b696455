use std::ops::Range;
use std::path::Path;

use hdf5_metno::{File, H5Type};
use scoria_core::result::{
    Fingerprint, GeneColumns, Layout, PairColumns, PairsOf, Part, ScreenBlock, ScreenReader, Values,
};

pub fn fingerprint() -> Fingerprint {
    Fingerprint::new()
        .with("counts", &[Part::I32(&[1, 2, 3]), Part::U8(&[7])])
        .with("design", &[Part::F64(&[1.5])])
        .with("formula", &[Part::Text("~ batch")])
}

pub fn uniform(genes: usize, perturbations: usize, with_theta: bool) -> Layout {
    Layout { genes, pairs_of_gene: PairsOf::All { perturbations }, with_theta }
}

pub fn layout_of(counts: &[usize], with_theta: bool) -> Layout {
    let mut first = vec![0];
    first.extend(counts.iter().scan(0, |sum, count| {
        *sum += count;
        Some(*sum)
    }));
    Layout { genes: counts.len(), pairs_of_gene: PairsOf::Listed { first }, with_theta }
}

/// Results that depend on nothing but which gene or pair they are of, among them
/// all that is odd in floating point.
pub fn block(layout: &Layout, genes: Range<usize>) -> ScreenBlock {
    let pairs = layout.pairs_of(genes.clone());
    let f64s = |entries: &Range<usize>, salt| entries.clone().map(|i| number(i, salt)).collect();
    let u8s = |entries: &Range<usize>, salt| entries.clone().map(|i| byte(i, salt)).collect();
    ScreenBlock {
        genes: GeneColumns {
            status: u8s(&genes, 1),
            mean: f64s(&genes, 2),
            theta: f64s(&genes, 3),
            dispersion: f64s(&genes, 4),
            log_likelihood: f64s(&genes, 5),
            iterations: u8s(&genes, 6),
        },
        pairs: PairColumns {
            estimate: f64s(&pairs, 7),
            std_err: f64s(&pairs, 8),
            statistic: f64s(&pairs, 9),
            p_value: f64s(&pairs, 10),
            theta: if layout.with_theta { f64s(&pairs, 11) } else { Vec::new() },
            error_bound: pairs.clone().map(|i| number(i, 12) as f32).collect(),
            status: u8s(&pairs, 13),
            passes: u8s(&pairs, 14),
            refreshes: u8s(&pairs, 15),
        },
    }
}

/// Holds the file to the results of the first `done` genes, as our reader has them
/// and as HDF5 has them.
pub fn assert_holds(path: &Path, layout: &Layout, done: usize) {
    let expected = block(layout, 0..done);
    let reader = ScreenReader::open(path).unwrap();
    assert_eq!(reader.genes_done(), done);
    let other = File::open(path).unwrap();
    assert_eq!(other.dataset("progress").unwrap().read_raw::<u64>().unwrap(), [done as u64]);

    let check_f64 = |name: &str, values: &[f64]| {
        let Values::F64(read) = reader.read(name).unwrap() else { panic!("{name}") };
        assert_eq!(bits(&read), bits(values), "{name}");
        assert_eq!(bits(&foreign::<f64>(&other, name)[..values.len()]), bits(values), "{name}");
    };
    let check_u8 = |name: &str, values: &[u8]| {
        assert_eq!(reader.read(name).unwrap(), Values::U8(values.to_vec()), "{name}");
        assert_eq!(foreign::<u8>(&other, name)[..values.len()], *values, "{name}");
    };
    let (genes, pairs) = (expected.genes, expected.pairs);
    check_u8("genes/status", &genes.status);
    check_f64("genes/mean", &genes.mean);
    check_f64("genes/theta", &genes.theta);
    check_f64("genes/dispersion", &genes.dispersion);
    check_f64("genes/log_likelihood", &genes.log_likelihood);
    check_u8("genes/iterations", &genes.iterations);
    check_f64("pairs/estimate", &pairs.estimate);
    check_f64("pairs/std_err", &pairs.std_err);
    check_f64("pairs/statistic", &pairs.statistic);
    check_f64("pairs/p_value", &pairs.p_value);
    if layout.with_theta {
        check_f64("pairs/theta", &pairs.theta);
    }
    check_u8("pairs/status", &pairs.status);
    check_u8("pairs/passes", &pairs.passes);
    check_u8("pairs/refreshes", &pairs.refreshes);
    let bounds = foreign::<f32>(&other, "pairs/error_bound");
    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
    assert!(bounds.iter().zip(&pairs.error_bound).all(same));
    let Values::F64(read) = reader.read("pairs/error_bound").unwrap() else { panic!() };
    let wide: Vec<f64> = pairs.error_bound.iter().map(|&bound| f64::from(bound)).collect();
    assert_eq!(bits(&read), bits(&wide));
}

fn foreign<T: H5Type>(file: &File, name: &str) -> Vec<T> {
    file.dataset(name).unwrap().read_raw().unwrap()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn number(i: usize, salt: u64) -> f64 {
    match mixed(i, salt) % 50 {
        0 => f64::NAN,
        1 => f64::NEG_INFINITY,
        2 => -0.0,
        3 => 5e-324,
        _ => (mixed(i, salt) >> 11) as f64 / 1e12 - 3000.0,
    }
}

/// Never 255, as no status of a result is.
fn byte(i: usize, salt: u64) -> u8 {
    (mixed(i, salt) % 255) as u8
}

fn mixed(i: usize, salt: u64) -> u64 {
    let x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ salt.wrapping_mul(0xd6e8_feb8_6659_fd93);
    (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (x >> 7)
}
