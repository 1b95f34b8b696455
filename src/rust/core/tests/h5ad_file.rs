//! Results of groups x genes as an .h5ad.

use hdf5_metno::types::{FixedAscii, VarLenUnicode};
use hdf5_metno::{File, H5Type};
use scoria_core::result::{H5adFile, H5adLayout, Layer, LayerKind, Ranking, Setting};
use scoria_core::source::frame::{Column, Frame, read_frame, read_names};
use std::path::PathBuf;
use tempfile::{TempDir, tempdir};

fn frame(names: &[&str], columns: Vec<(&str, Column)>) -> Frame {
    Frame {
        index: names.iter().map(|&name| name.to_owned()).collect(),
        columns: columns.into_iter().map(|(name, column)| (name.to_owned(), column)).collect(),
        skipped: vec![],
    }
}

/// Of doubles, and one of each other kind.
fn layers() -> Vec<Layer> {
    [
        ("X", LayerKind::F64),
        ("z_score", LayerKind::F64),
        ("pts", LayerKind::F32),
        ("status", LayerKind::U8),
        ("converged", LayerKind::Logical),
    ]
    .map(|(name, kind)| Layer { name: name.to_owned(), kind })
    .into()
}

fn layout(groups: &[&str], genes: &[&str]) -> H5adLayout {
    H5adLayout {
        groups: frame(groups, vec![]),
        genes: frame(genes, vec![]),
        layers: layers(),
        settings: vec![],
        ranking: None,
    }
}

fn ranking() -> Option<Ranking> {
    let params = vec![("method".to_owned(), Setting::Text("wald".to_owned()))];
    Some(Ranking { scores: 1, pvals: 0, pvals_adj: 0, logfoldchanges: 0, params })
}

fn somewhere() -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("result.h5ad");
    (folder, path)
}

/// Of the k-th layer, what group i and gene j have.
fn value(k: usize, i: usize, j: usize) -> f64 {
    match k {
        0 => (i * 100 + j) as f64 / 3.0,
        1 => [0.5, f64::NAN, 2.0, 0.5, f64::INFINITY, -1.0][(i + j) % 6],
        2 => j as f64 / 4.0,
        3 => ((i + j) % 5) as f64,
        _ => ((i * j) % 2) as f64,
    }
}

/// Writes all layers, a block of so many groups and genes at a time.
fn fill(file: &mut H5adFile, shape: [usize; 2], block: [usize; 2]) {
    for k in 0..layers().len() {
        for first in (0..shape[0]).step_by(block[0]) {
            for left in (0..shape[1]).step_by(block[1]).rev() {
                let groups = first..shape[0].min(first + block[0]);
                let genes = left..shape[1].min(left + block[1]);
                let values: Vec<f64> = groups
                    .clone()
                    .flat_map(|i| genes.clone().map(move |j| value(k, i, j)))
                    .collect();
                file.write(k, groups, genes, &values).unwrap();
            }
        }
    }
}

fn read<T: H5Type>(file: &File, name: &str) -> Vec<T> {
    let dataset = file.dataset(name).unwrap();
    assert_eq!(dataset.shape(), [3, 7]);
    dataset.read_raw().unwrap()
}

const GROUPS: [&str; 3] = ["p1", "p 2", "p3"];
const GENES: [&str; 7] = ["A", "B", "C", "D", "E", "longest", "G"];

#[test]
fn parts_come_to_their_places_whatever_their_size_and_order() {
    for block in [[1, 1], [2, 3], [3, 7], [1, 7], [3, 2]] {
        let (_folder, path) = somewhere();
        let mut file = H5adFile::create(&path, layout(&GROUPS, &GENES), false).unwrap();
        fill(&mut file, [3, 7], block);
        file.finish().unwrap();

        let file = File::open(&path).unwrap();
        let expected = |k: usize| -> Vec<f64> {
            (0..3).flat_map(|i| (0..7).map(move |j| value(k, i, j))).collect()
        };
        assert_eq!(read::<f64>(&file, "X"), expected(0));
        let bits = |values: &[f64]| -> Vec<u64> { values.iter().map(|x| x.to_bits()).collect() };
        assert_eq!(bits(&read::<f64>(&file, "layers/z_score")), bits(&expected(1)));
        let single: Vec<f32> = expected(2).iter().map(|&x| x as f32).collect();
        assert_eq!(read::<f32>(&file, "layers/pts"), single);
        let bytes: Vec<u8> = expected(3).iter().map(|&x| x as u8).collect();
        assert_eq!(read::<u8>(&file, "layers/status"), bytes);
        let logicals: Vec<bool> = expected(4).iter().map(|&x| x == 1.0).collect();
        assert_eq!(read::<bool>(&file, "layers/converged"), logicals);
    }
}

#[test]
fn frames_are_read_as_they_were_written() {
    let (_folder, path) = somewhere();
    let mut written = layout(&GROUPS, &GENES);
    written.groups.columns = frame(
        &[],
        vec![
            ("whole", Column::Integers(vec![Some(1), Some(-2), Some(3)])),
            ("gaps", Column::Integers(vec![Some(1), None, Some(3)])),
            ("doubles", Column::Doubles(vec![0.1, f64::INFINITY, -0.0])),
            ("known", Column::Logicals(vec![Some(true), Some(false), Some(true)])),
            ("unknown", Column::Logicals(vec![Some(true), None, Some(false)])),
            ("text", Column::Text(["é", "", "z"].map(|text| Some(text.to_owned())).into())),
            (
                "factor",
                Column::Factor {
                    codes: vec![Some(1), None, Some(0)],
                    levels: vec!["lo".to_owned(), "hi".to_owned()],
                    ordered: true,
                },
            ),
        ],
    )
    .columns;
    let gaps = Column::Text(vec![Some("b".to_owned()), None, Some("a".to_owned())]);
    let mut with_gaps = written.clone();
    with_gaps.groups.columns.push(("missing".to_owned(), gaps));
    with_gaps.settings = vec![
        ("method".to_owned(), Setting::Text("nb_glm".to_owned())),
        ("filter/least".to_owned(), Setting::Number(0.5)),
        ("filter/names".to_owned(), Setting::Texts(vec!["x".to_owned(), "y".to_owned()])),
    ];
    let mut file = H5adFile::create(&path, with_gaps, false).unwrap();
    fill(&mut file, [3, 7], [3, 7]);
    file.finish().unwrap();

    let file = File::open(&path).unwrap();
    let mut found = read_frame(&file, "obs").unwrap();
    // Text with missing values comes back as categories.
    let (_, missing) = found.columns.pop().unwrap();
    let levels = vec!["a".to_owned(), "b".to_owned()];
    let codes = vec![Some(1), None, Some(0)];
    assert_eq!(missing, Column::Factor { codes, levels, ordered: false });
    assert_eq!(found, written.groups);
    assert_eq!(read_frame(&file, "var").unwrap(), written.genes);
    let method: VarLenUnicode = file.dataset("uns/method").unwrap().read_scalar().unwrap();
    assert_eq!(&method, "nb_glm");
    assert_eq!(file.dataset("uns/filter/least").unwrap().read_scalar::<f64>().unwrap(), 0.5);
    assert_eq!(read_names(&file, "uns/filter/names").unwrap(), ["x", "y"]);
}

#[derive(H5Type, Clone, Copy)]
#[repr(C)]
struct Ranked<T: H5Type> {
    p1: T,
    #[hdf5(rename = "p 2")]
    p2: T,
    p3: T,
}

#[test]
fn genes_are_ranked_by_score_with_missing_ones_last() {
    let (_folder, path) = somewhere();
    let mut written = layout(&GROUPS, &GENES);
    written.ranking = ranking();
    let mut file = H5adFile::create(&path, written, false).unwrap();
    assert_eq!(file.unranked(), None);
    fill(&mut file, [3, 7], [2, 7]);
    file.finish().unwrap();

    let file = File::open(&path).unwrap();
    let of = |name: &str| file.dataset(&format!("uns/rank_genes_groups/{name}")).unwrap();
    let names: Vec<Ranked<FixedAscii<7>>> = of("names").read_raw().unwrap();
    let scores: Vec<Ranked<f64>> = of("scores").read_raw().unwrap();
    let lfc: Vec<Ranked<f64>> = of("logfoldchanges").read_raw().unwrap();
    let fields: [fn(&Ranked<f64>) -> f64; 3] = [|one| one.p1, |one| one.p2, |one| one.p3];
    let texts: [fn(&Ranked<FixedAscii<7>>) -> FixedAscii<7>; 3] =
        [|one| one.p1, |one| one.p2, |one| one.p3];
    for group in 0..3 {
        // The slow way: take the greatest that is left.
        let mut left: Vec<usize> = (0..7).collect();
        for rank in 0..7 {
            let score = |&gene: &usize| match value(1, group, gene) {
                nan if nan.is_nan() => (false, f64::NEG_INFINITY),
                score => (true, score),
            };
            let best = left.iter().map(score).max_by(|a, b| a.partial_cmp(b).unwrap()).unwrap();
            let at = left.iter().position(|gene| score(gene) == best).unwrap();
            let gene = left.remove(at);
            assert_eq!(texts[group](&names[rank]).as_str(), GENES[gene], "{group} {rank}");
            assert_eq!(fields[group](&lfc[rank]), value(0, group, gene));
            let (found, expected) = (fields[group](&scores[rank]), value(1, group, gene));
            assert!(found == expected || found.is_nan() && expected.is_nan());
        }
    }
}

#[test]
fn a_file_has_its_name_once_it_is_whole() {
    let (folder, path) = somewhere();
    let left = || std::fs::read_dir(folder.path()).unwrap().count();
    let create = |overwrite| H5adFile::create(&path, layout(&GROUPS, &GENES), overwrite);

    drop(create(false).unwrap());
    assert_eq!(left(), 0);
    let mut unfinished = create(false).unwrap();
    unfinished.write(0, 0..3, 0..7, &[0.0; 21]).unwrap();
    assert_eq!(unfinished.finish().unwrap_err().class(), "shape");
    assert_eq!(left(), 0);

    std::fs::write(&path, "something else").unwrap();
    assert_eq!(create(false).unwrap_err().class(), "output_exists");
    let mut file = create(true).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"something else");
    fill(&mut file, [3, 7], [3, 7]);
    file.finish().unwrap();
    assert_eq!(left(), 1);
    assert!(File::open(&path).is_ok());
    let nowhere = folder.path().join("no such folder").join("result.h5ad");
    let refused = H5adFile::create(&nowhere, layout(&GROUPS, &GENES), false).unwrap_err();
    assert_eq!(refused.class(), "output_access");
}

#[test]
fn parts_are_within_the_matrix() {
    let (_folder, path) = somewhere();
    let mut file = H5adFile::create(&path, layout(&GROUPS, &GENES), false).unwrap();
    for (layer, groups, genes, count) in
        [(0, 0..4, 0..7, 28), (0, 0..3, 1..8, 21), (9, 0..1, 0..1, 1), (0, 0..1, 0..2, 3)]
    {
        let refused = file.write(layer, groups, genes, &vec![0.0; count]).unwrap_err();
        assert_eq!(refused.class(), "shape");
    }
    let mut odd = layout(&GROUPS, &GENES);
    odd.ranking = ranking().map(|ranking| Ranking { scores: 2, ..ranking });
    assert_eq!(H5adFile::create(&path, odd, false).unwrap_err().class(), "argument");
}

#[test]
fn a_ranking_that_the_format_cannot_hold_is_left_out() {
    let names: Vec<String> = (0..3000).map(|k| format!("perturbation {k}")).collect();
    let many: Vec<&str> = names.iter().map(String::as_str).collect();
    for (n_groups, fits) in [(1500, true), (3000, false)] {
        let (_folder, path) = somewhere();
        let mut written = layout(&many[..n_groups], &GENES[..1]);
        written.ranking = ranking();
        let mut file = H5adFile::create(&path, written, false).unwrap();
        assert_eq!(file.unranked().is_none(), fits, "{:?}", file.unranked());
        fill(&mut file, [n_groups, 1], [100, 1]);
        file.finish().unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(file.group("uns").unwrap().link_exists("rank_genes_groups"), fits);
    }

    let (_folder, path) = somewhere();
    let mut written = layout(&GROUPS, &["A", "γ"]);
    written.ranking = ranking();
    let file = H5adFile::create(&path, written, false).unwrap();
    assert_eq!(file.unranked(), Some("the name of the gene \"γ\" is not ASCII"));
}
