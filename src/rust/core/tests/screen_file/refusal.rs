//! What is no file of ours, or no longer, is refused by a class; nothing panics.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use scoria_core::result::{Layout, ScreenFile, ScreenReader, ScreenSink};
use tempfile::{TempDir, tempdir};

use super::fixture::{block, fingerprint, layout_of, uniform};

#[test]
fn what_is_no_file_of_ours_is_refused() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("empty"), "").unwrap();
    fs::write(at("text"), "gene,estimate\nA,1\n").unwrap();
    hdf5_metno::File::create(at("other.h5")).unwrap().create_group("pairs").unwrap();
    fs::create_dir(at("folder")).unwrap();
    for name in ["empty", "text", "other.h5", "folder"] {
        assert_eq!(refusals(&at(name)), ["output_file", "output_file", "output_exists"], "{name}");
    }
    assert_eq!(refusals(&at("none.h5"))[..2], ["output_access", "output_access"]);
    let missing = create(&at("no folder/screen.h5")).unwrap_err();
    assert_eq!(missing.class(), "output_access");
    assert!(missing.to_string().contains("No such file or directory"), "{missing}");
    assert_eq!(create(&at("text/screen.h5")).unwrap_err().class(), "output_access");
    assert_eq!(create(Path::new("/")).unwrap_err().class(), "output_exists");
    assert_eq!(create(Path::new("")).unwrap_err().class(), "output_access");
}

#[test]
fn files_of_another_release_are_refused() {
    let (_folder, path, _) = unfinished();
    let file = hdf5_metno::File::open_rw(&path).unwrap();
    file.attr("format_version").unwrap().write_scalar(&2_u64).unwrap();
    drop(file);
    let refused = ScreenReader::open(&path).unwrap_err();
    assert_eq!(refused.class(), "output_file");
    assert!(refused.to_string().contains("format version 2"), "{refused}");
}

#[test]
fn what_was_made_for_other_columns_is_refused() {
    let (_folder, path, layout) = unfinished();
    let file = hdf5_metno::File::open_rw(&path).unwrap();
    file.group("pairs").unwrap().unlink("estimate").unwrap();
    file.group("pairs").unwrap().new_dataset::<f64>().shape(3).create("estimate").unwrap();
    drop(file);
    let refused = ScreenFile::resume(&path, &layout, &fingerprint()).unwrap_err();
    assert_eq!(refused.class(), "output_file");
    assert!(refused.to_string().contains("pairs/estimate"), "{refused}");
}

#[test]
fn what_hdf5_does_not_check_is_checked() {
    for name in ["description", "genes/first_pair"] {
        let (_folder, path, _) = unfinished();
        let file = hdf5_metno::File::open(&path).unwrap();
        let start = file.dataset(name).unwrap().offset().unwrap() as usize;
        drop(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[start + 8] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let refused = ScreenReader::open(&path).unwrap_err();
        assert_eq!(refused.class(), "output_file");
        assert!(refused.to_string().ends_with(&format!("{name} has changed")), "{refused}");
    }
}

#[test]
fn progress_beyond_the_end_is_refused() {
    let (_folder, path, _) = unfinished();
    let file = hdf5_metno::File::open_rw(&path).unwrap();
    file.dataset("progress").unwrap().write_raw(&[5_u64]).unwrap();
    drop(file);
    assert_eq!(refusals(&path)[0], "output_file");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_file_cut_short_is_refused(part in 0.0..1.0_f64) {
        let (_folder, path, _) = unfinished();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..(part * whole.len() as f64) as usize]).unwrap();
        prop_assert_eq!(&refusals(&path)[..2], ["output_file", "output_file"]);
    }

    /// HDF5 checks its metadata and we the rest: either the file is refused, or
    /// what was changed is a value.
    #[test]
    fn changed_bytes_are_refused_or_harmless(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
    ) {
        let (_folder, path, layout) = unfinished();
        let mut bytes = fs::read(&path).unwrap();
        for (at, change) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        fs::write(&path, &bytes).unwrap();
        match ScreenReader::open(&path) {
            Err(error) => prop_assert_eq!(error.class(), "output_file"),
            Ok(reader) => {
                prop_assert_eq!(reader.layout(), &layout);
                prop_assert_eq!(reader.description(), DESCRIPTION);
                for column in reader.columns() {
                    reader.read(column).unwrap();
                }
                ScreenFile::resume(&path, &layout, &fingerprint()).unwrap();
            }
        }
    }
}

const DESCRIPTION: &[u8] = b"genes A, B, C; perturbations x, y";

/// With more structure than values, so that most changes hit the former.
fn unfinished() -> (TempDir, PathBuf, Layout) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("screen.h5");
    let layout = layout_of(&[3, 0, 2, 4], true);
    let mut file = ScreenFile::create(&path, &layout, &fingerprint(), DESCRIPTION).unwrap();
    file.append(block(&layout, 0..2)).unwrap();
    (folder, path, layout)
}

/// How opening, resuming and creating it end.
fn refusals(path: &Path) -> [&'static str; 3] {
    let layout = uniform(4, 3, false);
    [
        ScreenReader::open(path).unwrap_err().class(),
        ScreenFile::resume(path, &layout, &fingerprint()).unwrap_err().class(),
        create(path).err().map_or("created", |error| error.class()),
    ]
}

fn create(path: &Path) -> scoria_core::Result<ScreenFile> {
    ScreenFile::create(path, &uniform(4, 3, false), &fingerprint(), b"")
}
