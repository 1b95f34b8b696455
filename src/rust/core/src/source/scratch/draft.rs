use super::Scratch;
use super::layout::{Layout, Width};
use crate::Result;
use crate::claim::{access_error, reserve, write_error};
use crate::draft_name::DraftName;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A scratch file under another name, until it is whole; removed if it never becomes so.
pub(super) struct Draft {
    /// With the name that it will have.
    pub scratch: Scratch,
    name: DraftName,
}

impl Draft {
    /// Takes the space of all of it, and writes all but the entries.
    ///
    /// # Errors
    /// [`Error::OutputAccess`](crate::Error::OutputAccess) and
    /// [`Error::OutputFull`](crate::Error::OutputFull).
    pub fn create(path: &Path, key: &str, layout: Layout) -> Result<Self> {
        let (name, file) = DraftName::beside(path).map_err(|error| access_error(path, &error))?;
        let draft = Self { scratch: Scratch { path: path.to_owned(), file, layout }, name };
        let Scratch { file, layout, .. } = &draft.scratch;
        reserve(file, layout.bytes())
            .and_then(|()| layout.write(file, key))
            .map_err(|error| draft.write_error(&error))?;
        Ok(draft)
    }

    /// Writes consecutive entries, from the `first` on; `single` is memory to use.
    pub fn write(
        &self,
        first: u64,
        cells: &[u32],
        values: &[f64],
        single: &mut Vec<f32>,
    ) -> Result<()> {
        let Scratch { file, layout, .. } = &self.scratch;
        let values = match layout.width {
            Width::Double => bytemuck::cast_slice(values),
            Width::Single => {
                single.clear();
                single.extend(values.iter().map(|&value| value as f32));
                bytemuck::cast_slice(single)
            }
        };
        file.write_all_at(bytemuck::cast_slice(cells), layout.cell_at(first))
            .and_then(|()| file.write_all_at(values, layout.value_at(first)))
            .map_err(|error| self.write_error(&error))
    }

    /// Gives it its name, in place of an older file.
    pub fn publish(self) -> Result<Scratch> {
        let path = &self.scratch.path;
        fs::rename(self.name.path(), path).map_err(|error| access_error(path, &error))?;
        Ok(self.scratch)
    }

    fn write_error(&self, error: &io::Error) -> crate::Error {
        write_error(&self.scratch.path, self.scratch.layout.bytes(), error)
    }
}
