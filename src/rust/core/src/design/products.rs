//! Sums of products over a block of cells: what scores and information matrices
//! are made of. `columns` stand one after the other, each as long as the vector
//! that they are multiplied with, whose length is a multiple of the lanes and not
//! above that of a block.

use super::BLOCK;
use crate::simd::{LANES, Lanes, Vector};

/// offset + X c, into `predictors`.
#[inline(always)]
pub fn predictors<V: Lanes>(
    offset: &[V::Scalar],
    columns: &[V::Scalar],
    c: &[f64],
    predictors: &mut [V::Scalar],
) {
    match c.len() {
        1 => predictors_of::<1, V>(offset, columns, c, predictors),
        2 => predictors_of::<2, V>(offset, columns, c, predictors),
        3 => predictors_of::<3, V>(offset, columns, c, predictors),
        4 => predictors_of::<4, V>(offset, columns, c, predictors),
        5 => predictors_of::<5, V>(offset, columns, c, predictors),
        6 => predictors_of::<6, V>(offset, columns, c, predictors),
        _ => {
            let length = offset.len();
            predictors.copy_from_slice(offset);
            for (column, &c) in columns.chunks_exact(length).zip(c) {
                for group in 0..length / V::LANES {
                    let sum = V::load(predictors, group);
                    V::load(column, group).times_plus(V::of(c), sum).store(predictors, group);
                }
            }
        }
    }
}

#[inline(always)]
fn predictors_of<const P: usize, V: Lanes>(
    offset: &[V::Scalar],
    columns: &[V::Scalar],
    c: &[f64],
    predictors: &mut [V::Scalar],
) {
    let length = offset.len();
    let mut factors = [V::zero(); P];
    for k in 0..P {
        factors[k] = V::of(c[k]);
    }
    for group in 0..length / V::LANES {
        let mut sum = V::load(offset, group);
        for k in 0..P {
            let column = &columns[k * length..(k + 1) * length];
            sum = V::load(column, group).times_plus(factors[k], sum);
        }
        sum.store(predictors, group);
    }
}

/// Adds X'v.
#[inline(always)]
pub fn products<V: Lanes>(columns: &[V::Scalar], v: &[V::Scalar], sums: &mut [f64]) {
    for (four, room) in columns.chunks(4 * v.len()).zip(sums.chunks_mut(4)) {
        match room.len() {
            4 => dots::<4, V>(v, four, room),
            3 => dots::<3, V>(v, four, room),
            2 => dots::<2, V>(v, four, room),
            _ => dots::<1, V>(v, four, room),
        }
    }
}

/// Adds X'WX, its lower triangle.
#[inline(always)]
pub fn gram<V: Lanes>(columns: &[V::Scalar], weight: &[V::Scalar], sums: &mut [f64]) {
    const FEW: usize = 21;
    let (mut few, mut many) = ([V::zero(); FEW], vec![]);
    let parts = match few.get_mut(..sums.len()) {
        Some(parts) => parts,
        None => {
            many.resize(sums.len(), V::zero());
            &mut many[..]
        }
    };
    gram_in_lanes::<V>(columns, weight, parts);
    sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part.total());
}

/// The same, each lane by itself: to be added up after many blocks.
#[inline(always)]
pub fn gram_in_lanes<V: Lanes>(columns: &[V::Scalar], weight: &[V::Scalar], sums: &mut [V]) {
    match columns.len() / weight.len() {
        1 => gram_in_registers::<1, V>(columns, weight, sums),
        2 => gram_in_registers::<2, V>(columns, weight, sums),
        3 => gram_in_registers::<3, V>(columns, weight, sums),
        4 => gram_in_registers::<4, V>(columns, weight, sums),
        5 => gram_in_registers::<5, V>(columns, weight, sums),
        6 => gram_in_registers::<6, V>(columns, weight, sums),
        _ => gram_by_tiles::<V>(columns, weight, sums),
    }
}

/// The sums of few columns are all held in registers.
#[inline(always)]
fn gram_in_registers<const P: usize, V: Lanes>(
    columns: &[V::Scalar],
    weight: &[V::Scalar],
    sums: &mut [V],
) {
    let length = weight.len();
    let mut parts = [[V::zero(); P]; P];
    for group in 0..length / V::LANES {
        let w = V::load(weight, group);
        let mut x = [V::zero(); P];
        for j in 0..P {
            x[j] = V::load(&columns[j * length..(j + 1) * length], group);
            let weighted = x[j].times(w);
            for k in 0..=j {
                parts[j][k] = weighted.times_plus(x[k], parts[j][k]);
            }
        }
    }
    let mut at = 0;
    for (j, row) in parts.iter().enumerate() {
        for part in &row[..=j] {
            sums[at] = sums[at].plus(*part);
            at += 1;
        }
    }
}

/// Those of many, four rows of four at a time.
#[inline(always)]
fn gram_by_tiles<V: Lanes>(columns: &[V::Scalar], weight: &[V::Scalar], sums: &mut [V]) {
    const TILE: usize = 4;
    let length = weight.len();
    let p = columns.len() / length;
    for top in (0..p).step_by(TILE) {
        for left in (0..=top).step_by(TILE) {
            // What is beyond the last column stands for it, and is left out below.
            let column = |k: usize| &columns[k.min(p - 1) * length..][..length];
            let rows: [&[V::Scalar]; TILE] = std::array::from_fn(|j| column(top + j));
            let others: [&[V::Scalar]; TILE] = std::array::from_fn(|k| column(left + k));
            let mut parts = [[V::zero(); TILE]; TILE];
            for group in 0..length / V::LANES {
                let w = V::load(weight, group);
                let mut x = [V::zero(); TILE];
                for k in 0..TILE {
                    x[k] = V::load(others[k], group);
                }
                for j in 0..TILE {
                    let weighted = V::load(rows[j], group).times(w);
                    for k in 0..TILE {
                        parts[j][k] = weighted.times_plus(x[k], parts[j][k]);
                    }
                }
            }
            for (j, row) in (top..p).zip(parts) {
                for (k, part) in (left..=j).zip(row) {
                    let sum = &mut sums[j * (j + 1) / 2 + k];
                    *sum = sum.plus(part);
                }
            }
        }
    }
}

/// Adds the sums of v x_j x_k x_l over j >= k >= l, l fastest.
#[inline(always)]
pub fn triples<V: Vector>(columns: &[f64], v: &[f64], sums: &mut [f64]) {
    let length = v.len();
    let (mut once, mut twice) = ([0.0; BLOCK], [0.0; BLOCK]);
    let (once, twice) = (&mut once[..length], &mut twice[..length]);
    let mut at = 0;
    for (j, x) in columns.chunks_exact(length).enumerate() {
        once.iter_mut().zip(x).zip(v).for_each(|((o, x), v)| *o = x * v);
        for (k, z) in columns.chunks_exact(length).enumerate().take(j + 1) {
            twice.iter_mut().zip(z).zip(&*once).for_each(|((t, z), o)| *t = z * o);
            products::<V>(&columns[..(k + 1) * length], twice, &mut sums[at..at + k + 1]);
            at += k + 1;
        }
    }
}

/// Adds the sums of v x_j x_k x_l x_m over j >= k >= l >= m, m fastest.
#[inline(always)]
pub fn quadruples<V: Vector>(columns: &[f64], v: &[f64], sums: &mut [f64]) {
    let length = v.len();
    let mut once = [0.0; BLOCK];
    let once = &mut once[..length];
    let mut at = 0;
    for (j, x) in columns.chunks_exact(length).enumerate() {
        once.iter_mut().zip(x).zip(v).for_each(|((o, x), v)| *o = x * v);
        let below = (j + 1) * (j + 2) * (j + 3) / 6;
        triples::<V>(&columns[..(j + 1) * length], once, &mut sums[at..at + below]);
        at += below;
    }
}

/// The sum of a block's values.
#[inline(always)]
pub fn sum<V: Vector>(values: &[f64]) -> f64 {
    const ONES: [f64; LANES] = [1.0; LANES];
    let one = V::load(&ONES, 0);
    let mut sum = V::zero();
    for group in 0..values.len() / LANES {
        sum = V::load(values, group).times_plus(one, sum);
    }
    sum.total()
}

/// Adds the products of a row with K columns.
#[inline(always)]
pub fn dots<const K: usize, V: Lanes>(row: &[V::Scalar], columns: &[V::Scalar], sums: &mut [f64]) {
    let length = row.len();
    let groups = length / V::LANES;
    // Two chains hide the latency of the additions.
    let (mut even, mut odd) = ([V::zero(); K], [V::zero(); K]);
    for pair in 0..groups / 2 {
        let (x, y) = (V::load(row, 2 * pair), V::load(row, 2 * pair + 1));
        for k in 0..K {
            let column = &columns[k * length..(k + 1) * length];
            even[k] = x.times_plus(V::load(column, 2 * pair), even[k]);
            odd[k] = y.times_plus(V::load(column, 2 * pair + 1), odd[k]);
        }
    }
    if groups % 2 == 1 {
        let x = V::load(row, groups - 1);
        for k in 0..K {
            let column = &columns[k * length..(k + 1) * length];
            even[k] = x.times_plus(V::load(column, groups - 1), even[k]);
        }
    }
    for k in 0..K {
        sums[k] += even[k].plus(odd[k]).total();
    }
}
