//! Files that contradict themselves, or lead elsewhere.

use super::fixture::*;
use hdf5_metno::types::VarLenUnicode;

fn assert_refused(fixture: &Fixture, of: &str, reason: &str) {
    assert_eq!(fixture.refusal(), (of.to_owned(), reason.to_owned()));
}

#[test]
fn a_frame_must_be_one() {
    let fixture = Fixture::new();
    assert_refused(&fixture, "obs", "it is not there");
    write(&fixture.file, "obs", &[1.0]);
    assert_refused(&fixture, "obs", "it is neither a group nor a dataset of records");

    let fixture = Fixture::new();
    let obs = fixture.file.create_group("obs").unwrap();
    assert_refused(&fixture, "obs", "it names no index: it is not a data frame");
    encode(&obs, "dataframe", "0.4.0");
    assert_refused(&fixture, "obs", "a data frame of version 0.4.0 is not read here");

    let fixture = Fixture::new();
    encode(&fixture.file.create_group("obs").unwrap(), "dict", "0.1.0");
    assert_refused(&fixture, "obs", "it is encoded as \"dict\"");
}

#[test]
fn the_index_and_the_columns_must_be_there_and_once() {
    let fixture = Fixture::new();
    let obs = fixture.file.create_group("obs").unwrap();
    write_text_attribute(&obs, "_index", "cell");
    assert_refused(&fixture, "obs", "it has no list of its columns");
    write_texts_attribute(&obs, "column-order", &["x", "x"]);
    assert_refused(&fixture, "obs/cell", "it is listed as a column, and is not there");
    write(&obs, "cell", &[1.5, 2.5]);
    assert_refused(&fixture, "obs/cell", "it does not hold names");
    obs.unlink("cell").unwrap();
    write_texts(&obs, "cell", &["a", "b"]);
    assert_refused(&fixture, "obs/x", "it is listed as a column, and is not there");
    write(&obs, "x", &[1, 2]);
    assert_refused(&fixture, "obs/x", "there are two columns of this name");
}

#[test]
fn columns_are_as_long_as_the_index() {
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    write(&obs, "x", &[1, 2]);
    assert_refused(&fixture, "obs/x", "it has 2 entries, where the data frame has 3 rows");
}

#[test]
fn codes_have_categories() {
    for (codes, reason) in [
        ([0i16, 1, 3], "it has code 3 of 3 categories"),
        ([0, -2, 1], "it has code -2 of 3 categories"),
    ] {
        let (fixture, obs) = Fixture::with_obs(&["x"]);
        let group = obs.create_group("x").unwrap();
        encode(&group, "categorical", "0.2.0");
        write(&group, "codes", &codes);
        assert_refused(&fixture, "obs/x/categories", "it is not there");
        write_texts(&group, "categories", &["p", "q", "r"]);
        assert_refused(&fixture, "obs/x/codes", reason);
        group.unlink("categories").unwrap();
        write_texts(&group, "categories", &["p", "q", "p"]);
        assert_refused(&fixture, "obs/x/categories", "the category \"p\" is there twice");
    }
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    let group = obs.create_group("x").unwrap();
    encode(&group, "categorical", "0.2.0");
    write_texts(&group, "categories", &["p"]);
    group.create_group("codes").unwrap();
    assert_refused(&fixture, "obs/x/codes", "it is a group, not a dataset");
}

#[test]
fn masks_are_as_long_as_their_values() {
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    let group = obs.create_group("x").unwrap();
    encode(&group, "nullable-integer", "0.1.0");
    write(&group, "values", &[1, 2, 3]);
    write(&group, "mask", &[true, false]);
    assert_refused(&fixture, "obs/x", "its mask is of 2, not 3");
}

#[test]
fn a_logical_is_one_or_zero() {
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    let place = write(&obs, "x", &[false, true, false]).offset().unwrap() as usize;
    let error = fixture.read_changed("obs", |bytes| bytes[place + 1] = 7).unwrap_err();
    assert_eq!(told(error), ("obs/x".into(), "it has a logical of value 7".into()));
}

#[test]
fn text_is_utf8() {
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    write_texts(&obs, "x", &["pqr", "s", "t"]);
    let error = fixture.read_changed("obs", |bytes| {
        let place = bytes.windows(3).position(|three| three == b"pqr").unwrap();
        bytes[place + 1] = 0xff;
    });
    let (of, reason) = told(error.unwrap_err());
    assert_eq!(of, "obs/x");
    assert!(reason.contains("it has a string that is not UTF-8"), "{reason}");
}

/// Entries of 16 bytes say where their strings are: all of them may mean the same.
#[test]
fn strings_are_no_longer_than_the_file() {
    let fixture = Fixture::new();
    let obs = fixture.file.create_group("obs").unwrap();
    write_text_attribute(&obs, "_index", "cell");
    write_texts_attribute(&obs, "column-order", &[]);
    let long = "x".repeat(10_000);
    let mut names = vec![""; 1000];
    names[0] = &long;
    let place = write_texts(&obs, "cell", &names).offset().unwrap() as usize;
    let error = fixture.read_changed("obs", |bytes| {
        for entry in 1..1000 {
            bytes.copy_within(place..place + 16, place + 16 * entry);
        }
    });
    let (of, reason) = told(error.unwrap_err());
    assert_eq!(of, "obs/cell");
    assert!(reason.contains("its strings are longer than the file"), "{reason}");
}

#[test]
fn links_are_not_followed() {
    let other = Fixture::new();
    write(&other.file, "x", &[1, 2, 3]);
    other.file.flush().unwrap();
    let elsewhere = other.folder().join("cells.h5ad");
    let reason = "it is a link to elsewhere, which is not followed";

    let (fixture, obs) = Fixture::with_obs(&["x"]);
    obs.link_external(elsewhere.to_str().unwrap(), "/x", "x").unwrap();
    assert_refused(&fixture, "obs/x", reason);

    let (fixture, obs) = Fixture::with_obs(&["x"]);
    obs.link_soft("/obs/x", "x").unwrap();
    assert_refused(&fixture, "obs/x", reason);

    let fixture = Fixture::new();
    fixture.file.link_external(elsewhere.to_str().unwrap(), "/", "obs").unwrap();
    assert_refused(&fixture, "obs", reason);

    // A group that has itself.
    let round = ["x"; 20_000].join("/");
    let (fixture, obs) = Fixture::with_obs(&[&round]);
    fixture.file.link_hard("/obs", "obs/x").unwrap();
    drop(obs);
    let frame = fixture.read("obs").unwrap();
    assert_eq!(frame.skipped[0].reason, "its encoding \"dataframe\" 0.2.0 is not read here");
}

#[test]
fn values_are_in_the_file_itself() {
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    std::fs::write(fixture.folder().join("values"), [0; 24]).unwrap();
    let values = fixture.folder().join("values");
    let external = obs.new_dataset::<i64>().external(values.to_str().unwrap(), 0, 24);
    external.shape(3).create("x").unwrap();
    assert_refused(&fixture, "obs/x", "its values are in other files");
}

#[test]
fn what_is_more_than_the_file_holds_takes_no_memory() {
    const MANY: usize = 1 << 50;
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    obs.new_dataset::<f64>().shape(MANY).create("x").unwrap();
    let reason = |shape: usize| {
        format!("it claims to have the shape [{shape}], which is more than the file holds")
    };
    assert_refused(&fixture, "obs/x", &reason(MANY));

    for (shape, chunk) in [(MANY, 1024), (3, 1 << 28)] {
        let (fixture, obs) = Fixture::with_obs(&["x"]);
        let packed = obs.new_dataset::<f64>().deflate(1).chunk(chunk);
        let dataset = packed.shape((shape..,)).create("x").unwrap();
        if shape == MANY {
            dataset.write_slice(&[1.0, 2.0], 0..2).unwrap();
        }
        drop(dataset);
        assert_refused(&fixture, "obs/x", &reason(shape));
    }

    let (fixture, obs) = Fixture::with_obs(&["x"]);
    obs.new_dataset::<VarLenUnicode>().chunk(64).shape(MANY).create("x").unwrap();
    assert_refused(&fixture, "obs/x", &reason(MANY));
}

#[test]
fn values_that_were_never_written_are_not_made_up() {
    let (fixture, obs) = Fixture::with_obs(&["x"]);
    let dataset = obs.new_dataset::<f64>().chunk(2).shape(3).create("x").unwrap();
    dataset.write_slice(&[1.0, 2.0], 0..2).unwrap();
    assert_refused(&fixture, "obs/x", "some of its values were never written");
    dataset.write_slice(&[3.0], 2..3).unwrap();
    drop(dataset);
    fixture.column();
}
