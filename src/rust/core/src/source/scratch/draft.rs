use super::Scratch;
use super::layout::{Layout, Width};
use crate::Result;
use crate::claim::{access_error, reserve, write_error};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

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
        fs::rename(&self.name.0, path).map_err(|error| access_error(path, &error))?;
        Ok(self.scratch)
    }

    fn write_error(&self, error: &io::Error) -> crate::Error {
        write_error(&self.scratch.path, self.scratch.layout.bytes(), error)
    }
}

/// The name of a file that goes with it.
pub(super) struct DraftName(PathBuf);

impl DraftName {
    /// Makes a file beside another, under a name that nobody else has.
    pub fn beside(path: &Path) -> io::Result<(Self, File)> {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
        name.push(format!(".{}-{}.draft", process::id(), MADE.fetch_add(1, Relaxed)));
        let name = path.with_file_name(name);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&name)?;
        Ok((Self(name), file))
    }
}

impl Drop for DraftName {
    fn drop(&mut self) {
        // Once published it is gone already.
        let _ = fs::remove_file(&self.0);
    }
}
