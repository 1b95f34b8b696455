//! Results on disk: what is read is what was written, whatever stops the writer
//! and whatever happens to the file.
//!
//! The reference is the results in memory, and HDF5's own reading of the file.

#[path = "screen_file/fixture.rs"]
mod fixture;
#[path = "screen_file/interruption.rs"]
mod interruption;
#[path = "screen_file/refusal.rs"]
mod refusal;

use fixture::{assert_holds, block, fingerprint, layout_of, uniform};
use proptest::prelude::*;
use scoria_core::result::{
    Fingerprint, Layout, PairsOf, Part, ScreenFile, ScreenReader, ScreenSink, UNFITTED, Values,
};
use tempfile::tempdir;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn blocks_of_any_size_come_back(
        counts in prop::collection::vec(0..20_usize, 0..40),
        with_theta: bool,
        all: bool,
        steps in prop::collection::vec((1..9_usize, any::<bool>()), 40),
    ) {
        let layout = if all {
            uniform(counts.len(), counts.first().copied().unwrap_or(3), with_theta)
        } else {
            layout_of(&counts, with_theta)
        };
        let folder = tempdir().unwrap();
        let path = folder.path().join("screen.h5");
        let description = format!("{counts:?}");
        let mut file =
            ScreenFile::create(&path, &layout, &fingerprint(), description.as_bytes()).unwrap();
        for (genes, reopen) in steps {
            if reopen {
                drop(file);
                file = ScreenFile::resume(&path, &layout, &fingerprint()).unwrap();
            }
            let done = file.genes_done();
            file.append(block(&layout, done..layout.genes.min(done + genes))).unwrap();
            assert_holds(&path, &layout, file.genes_done());
        }
        prop_assert_eq!(file.genes_done(), layout.genes);
        file.finish().unwrap();

        let reader = ScreenReader::open(&path).unwrap();
        prop_assert!(reader.is_complete());
        prop_assert_eq!(reader.layout(), &layout);
        prop_assert_eq!(reader.description(), description.as_bytes());
    }
}

#[test]
fn what_is_not_fitted_says_so_and_is_not_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    let layout = uniform(10, 7, false);
    let mut file = ScreenFile::create(&path, &layout, &fingerprint(), b"").unwrap();
    file.append(block(&layout, 0..4)).unwrap();

    let other = hdf5_metno::File::open(&path).unwrap();
    let status = other.dataset("pairs/status").unwrap().read_raw::<u8>().unwrap();
    assert!(status[..28].iter().all(|&status| status != UNFITTED));
    assert!(status[28..].iter().all(|&status| status == UNFITTED));

    let reader = ScreenReader::open(&path).unwrap();
    assert!(!reader.is_complete());
    assert_eq!((reader.genes_done(), reader.pairs_done()), (4, 28));
    let beyond = reader.read_ranges("pairs/estimate", &[0..3, 20..29]).unwrap_err();
    assert_eq!(beyond.class(), "shape");
    assert_eq!(reader.read("pairs/theta").unwrap_err().class(), "argument");
    assert_eq!(file.finish().unwrap_err().class(), "shape");
}

#[test]
fn ranges_are_read_in_the_order_asked_for() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    let layout = layout_of(&[3, 0, 5, 2], true);
    let whole = block(&layout, 0..4);
    let mut file = ScreenFile::create(&path, &layout, &fingerprint(), b"").unwrap();
    file.append(whole.clone()).unwrap();

    let reader = ScreenReader::open(&path).unwrap();
    let picked = [7..9, 2..2, 0..1];
    let of = |column: &[f64]| [&column[7..9], &column[0..1]].concat();
    assert_eq!(
        reader.read_ranges("pairs/p_value", &picked).unwrap(),
        Values::F64(of(&whole.pairs.p_value))
    );
    let bounds: Vec<f64> = whole.pairs.error_bound.iter().map(|&x| f64::from(x)).collect();
    assert_eq!(reader.read_ranges("pairs/error_bound", &picked).unwrap(), Values::F64(of(&bounds)));
    assert_eq!(
        reader.read_ranges("genes/iterations", &[3..4, 0..2]).unwrap(),
        Values::U8([&whole.genes.iterations[3..4], &whole.genes.iterations[0..2]].concat())
    );
}

#[test]
fn a_block_of_another_shape_is_refused_and_changes_nothing() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    let layout = uniform(5, 3, false);
    let mut file = ScreenFile::create(&path, &layout, &fingerprint(), b"").unwrap();
    file.append(block(&layout, 0..2)).unwrap();

    let good = block(&layout, 2..4);
    let mut short = good.clone();
    short.pairs.p_value.pop();
    let mut long = good.clone();
    long.genes.mean.push(1.0);
    let mut with_theta = good.clone();
    with_theta.pairs.theta = vec![1.0; 6];
    let too_many = block(&uniform(9, 3, false), 2..9);
    for bad in [short, long, with_theta, too_many] {
        assert_eq!(file.append(bad).unwrap_err().class(), "shape");
    }
    assert_holds(&path, &layout, 2);
    file.append(good).unwrap();
    assert_holds(&path, &layout, 4);
}

#[test]
fn pairs_that_do_not_follow_each_other_are_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    for first in [vec![], vec![0, 1], vec![1, 2, 3], vec![0, 2, 1], vec![0, 0, usize::MAX]] {
        let pairs_of_gene = PairsOf::Listed { first };
        let layout = Layout { genes: 2, pairs_of_gene, with_theta: false };
        let refused = ScreenFile::create(&path, &layout, &fingerprint(), b"").unwrap_err();
        assert_eq!(refused.class(), "argument");
    }
    let layout = uniform(usize::MAX, 2, false);
    assert_eq!(layout.check().unwrap_err().class(), "argument");
    assert!(!path.exists());
}

#[test]
fn one_writes_and_others_may_look_on() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    let layout = uniform(4, 3, false);
    let mut file = ScreenFile::create(&path, &layout, &fingerprint(), b"").unwrap();
    let again = || ScreenFile::resume(&path, &layout, &fingerprint());
    assert_eq!(again().unwrap_err().class(), "output_locked");

    // HDF5 locks what it opens, for as long as it has it open.
    let onlooker = hdf5_metno::File::open(&path).unwrap();
    file.append(block(&layout, 0..3)).unwrap();
    assert_eq!(ScreenReader::open(&path).unwrap().genes_done(), 3);
    drop(onlooker);

    assert_eq!(again().unwrap_err().class(), "output_locked");
    drop(file);
    assert_eq!(again().unwrap().genes_done(), 3);
}

#[test]
fn other_data_or_arguments_are_named() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    let layout = uniform(4, 3, false);
    ScreenFile::create(&path, &layout, &fingerprint(), b"").unwrap();

    let message = |layout: &Layout, fingerprint: &Fingerprint| {
        let error = ScreenFile::resume(&path, layout, fingerprint).unwrap_err();
        assert_eq!(error.class(), "output_mismatch");
        error.to_string().split(": ").last().unwrap().to_owned()
    };
    let other = Fingerprint::new()
        .with("counts", &[Part::I32(&[9])])
        .with("design", &[Part::F64(&[1.5])])
        .with("formula", &[Part::Text("~ other")]);
    assert_eq!(message(&layout, &other), "counts and formula differ");
    let other = other.with("options", &[]);
    assert_eq!(message(&layout, &other), "counts, formula and options differ");
    assert_eq!(message(&uniform(4, 2, false), &fingerprint()), "pairs differ");
    assert_eq!(message(&uniform(5, 3, true), &fingerprint()), "genes and columns differ");
}
