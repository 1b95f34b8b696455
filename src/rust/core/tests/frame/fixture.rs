use hdf5_metno::types::VarLenUnicode;
use hdf5_metno::{Dataset, File, Group, H5Type, Location};
use scoria_core::Error;
use scoria_core::source::frame::{Column, Frame, read_frame};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A file that is gone with the test.
pub struct Fixture {
    pub file: File,
    folder: TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { file: File::create(folder.path().join("cells.h5ad")).unwrap(), folder }
    }

    /// With an `obs` of the cells a, b and c, and these columns, which are yet to be
    /// written.
    pub fn with_obs(columns: &[&str]) -> (Self, Group) {
        let fixture = Self::new();
        let obs = fixture.file.create_group("obs").unwrap();
        encode(&obs, "dataframe", "0.2.0");
        write_text_attribute(&obs, "_index", "cell");
        write_texts_attribute(&obs, "column-order", columns);
        write_texts(&obs, "cell", &["a", "b", "c"]);
        (fixture, obs)
    }

    pub fn read(&self, name: &str) -> scoria_core::Result<Frame> {
        self.file.flush().unwrap();
        read_frame(&self.file, name)
    }

    /// Of `obs`, which has one.
    pub fn column(&self) -> Column {
        let mut frame = self.read("obs").unwrap();
        assert_eq!(frame.skipped, []);
        assert_eq!(frame.columns.len(), 1);
        frame.columns.pop().unwrap().1
    }

    /// What is said of which part of the file, on reading `obs`.
    pub fn refusal(&self) -> (String, String) {
        told(self.read("obs").unwrap_err())
    }

    /// Reads the file with some of its bytes changed.
    pub fn read_changed(
        &self,
        name: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> scoria_core::Result<Frame> {
        self.file.flush().unwrap();
        let mut bytes = fs::read(self.folder().join("cells.h5ad")).unwrap();
        change(&mut bytes);
        let changed = self.folder().join("changed.h5ad");
        fs::write(&changed, bytes).unwrap();
        read_frame(&File::open(changed).unwrap(), name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

pub fn told(error: Error) -> (String, String) {
    assert_eq!(error.class(), "input_data");
    let Error::InputData { dataset, reason, .. } = error else { panic!() };
    (dataset, reason)
}

pub fn encode(place: &Location, name: &str, version: &str) {
    write_text_attribute(place, "encoding-type", name);
    write_text_attribute(place, "encoding-version", version);
}

pub fn unicode(text: &str) -> VarLenUnicode {
    text.parse().unwrap()
}

pub fn unicodes(texts: &[&str]) -> Vec<VarLenUnicode> {
    texts.iter().map(|text| unicode(text)).collect()
}

pub fn write_text_attribute(place: &Location, name: &str, text: &str) {
    let attribute = place.new_attr::<VarLenUnicode>().create(name).unwrap();
    attribute.write_scalar(&unicode(text)).unwrap();
}

pub fn write_texts_attribute(place: &Location, name: &str, texts: &[&str]) {
    place.new_attr_builder().with_data(&unicodes(texts)).create(name).unwrap();
}

pub fn write_texts(group: &Group, name: &str, texts: &[&str]) -> Dataset {
    write(group, name, &unicodes(texts))
}

pub fn write<T: H5Type>(group: &Group, name: &str, values: &[T]) -> Dataset {
    group.new_dataset_builder().with_data(values).create(name).unwrap()
}

pub fn some<T: Clone>(values: &[T]) -> Vec<Option<T>> {
    values.iter().cloned().map(Some).collect()
}

pub fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}
