use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::h5ad_layout::{H5adLayout, Layer};
use super::h5ad_ranking::write_ranking;
use super::h5ad_structure::{Places, create};
use super::screen_file::check_shape;
use crate::claim::{access_error, reserve, write_error};
use crate::{Error, Result};

/// Takes matrices of groups x genes into an .h5ad, a part at a time and in any order.
///
/// The file has its name once all is there: what is left of one that is never finished
/// goes with this.
#[derive(Debug)]
pub struct H5adFile {
    path: PathBuf,
    overwrite: bool,
    draft: Draft,
    file: File,
    layout: H5adLayout,
    places: Places,
    /// Of each layer, how many entries were written.
    written: Vec<usize>,
}

impl H5adFile {
    /// # Errors
    /// Where `path` exists and is not to be overwritten, cannot be made, or has not
    /// enough space.
    pub fn create(path: &Path, layout: H5adLayout, overwrite: bool) -> Result<Self> {
        layout.check()?;
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(Error::OutputExists { path: path.to_owned() });
        }
        let draft = Draft::beside(path)?;
        let places = create(draft.path(), &layout)
            .map_err(|error| draft.cause(path, layout.bytes(), error.to_string()))?;
        let written = vec![0; layout.layers.len()];
        let opened = draft.open().and_then(|file| {
            let bytes = file.metadata()?.len();
            reserve(&file, bytes).map(|()| file)
        });
        let file = opened.map_err(|error| write_error(path, layout.bytes(), &error))?;
        Ok(Self { path: path.to_owned(), overwrite, draft, file, layout, places, written })
    }

    /// Why there is no ranking, where one was asked for.
    pub fn unranked(&self) -> Option<&str> {
        let asked = self.layout.ranking.is_some();
        self.places.ranking.as_ref().err().filter(|_| asked).map(String::as_str)
    }

    /// Writes a part of a layer: the values of each group in turn.
    ///
    /// # Errors
    /// Where the part is not within the matrix, or cannot be written.
    pub fn write(
        &mut self,
        layer: usize,
        groups: Range<usize>,
        genes: Range<usize>,
        values: &[f64],
    ) -> Result<()> {
        let [n_groups, n_genes] = self.layout.shape();
        check_shape("values of a part", values.len(), groups.len() * genes.len())?;
        for (what, range, extent) in [("groups", &groups, n_groups), ("genes", &genes, n_genes)] {
            if range.end > extent {
                check_shape(what, extent, range.end)?;
            }
        }
        let Some(Layer { kind, .. }) = self.layout.layers.get(layer) else {
            return check_shape("layers", self.layout.layers.len(), layer + 1);
        };
        let write = |at: usize, values: &[f64]| {
            let offset = self.places.layers[layer] + (at * kind.size()) as u64;
            self.file.write_all_at(&kind.bytes(values), offset)
        };
        let written = if genes.len() == n_genes {
            write(groups.start * n_genes, values)
        } else {
            (groups.zip(values.chunks(genes.len().max(1))))
                .try_for_each(|(group, values)| write(group * n_genes + genes.start, values))
        };
        written.map_err(|error| self.write_error(&error))?;
        self.written[layer] += values.len();
        Ok(())
    }

    /// Ranks genes, and gives the file its name.
    ///
    /// # Errors
    /// Where a part of a layer was not written, or the file cannot be.
    pub fn finish(self) -> Result<()> {
        let [n_groups, n_genes] = self.layout.shape();
        for &written in &self.written {
            check_shape("entries of a layer", written, n_groups * n_genes)?;
        }
        if let (Some(ranking), Ok(ranked)) = (&self.layout.ranking, &self.places.ranking) {
            write_ranking(&self.file, &self.layout, ranking, &self.places, ranked)
                .map_err(|error| self.write_error(&error))?;
        }
        self.file.sync_all().map_err(|error| access_error(&self.path, &error))?;
        match self.overwrite {
            true => self.draft.replace(&self.path),
            false => self.draft.publish(&self.path),
        }
    }

    fn write_error(&self, error: &io::Error) -> Error {
        write_error(&self.path, self.layout.bytes(), error)
    }
}
