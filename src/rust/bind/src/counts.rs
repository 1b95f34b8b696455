//! Counts as R holds them: the slots of a dgCMatrix, or where in a file they are.

use crate::guard::interrupted;
use crate::input::Named;
use extendr_api::prelude::*;
use rayon::ThreadPool;
use scoria_core::result::Part;
use scoria_core::source::{
    Axis, Csc, Divided, Scratch, Selected, Source, open_10x, open_compressed, open_dense,
    open_h5ad, rehearse,
};
use scoria_core::{Error, Result};
use std::path::Path;

/// What R hands over as `counts`, kept alive while Rust borrows its data.
pub enum Held {
    /// The slots of a dgCMatrix: `Dim`, `p`, `i`, `x`.
    Memory([Robj; 4]),
    /// A list of class `scoria_counts`, as R's `file_counts()` makes it.
    File(Named),
}

impl Held {
    pub fn of(counts: &Robj) -> Result<Self> {
        if let Some(list) = counts.as_list() {
            return Ok(Held::File(Named::of(list)));
        }
        let slot =
            |name: &str| S4::try_from(counts.clone()).ok().and_then(|matrix| matrix.get_slot(name));
        match [slot("Dim"), slot("p"), slot("i"), slot("x")] {
            [Some(dim), Some(offsets), Some(rows), Some(values)] => {
                Ok(Held::Memory([dim, offsets, rows, values]))
            }
            _ => Err(Error::Sparse("neither a dgCMatrix nor counts in a file")),
        }
    }

    /// What threads other than R's own may have.
    pub fn counts(&self) -> Result<Counts<'_>> {
        match self {
            Held::Memory([dim, offsets, rows, values]) => {
                let integers = [dim, offsets, rows].map(Robj::as_integer_slice);
                match (integers, values.as_real_slice()) {
                    ([Some(dim @ &[_, _]), Some(offsets), Some(rows)], Some(values)) => {
                        Ok(Counts::Memory { dim, offsets, rows, values })
                    }
                    _ => Err(Error::Sparse("a slot is of the wrong type")),
                }
            }
            Held::File(file) => Ok(Counts::File {
                place: Place::of(file)?,
                key: file.text("key")?,
                genes: file.integers_or_none("genes")?,
                cells: file.integers_or_none("cells")?,
            }),
        }
    }
}

/// Counts that are borrowed from R, or in a file.
#[derive(Clone, Copy)]
pub enum Counts<'a> {
    Memory {
        dim: &'a [i32],
        offsets: &'a [i32],
        rows: &'a [i32],
        values: &'a [f64],
    },
    File {
        place: Place<'a>,
        /// What tells the file as it is now from others.
        key: &'a str,
        /// Those that are used, counted from zero; all where there are none.
        genes: Option<&'a [i32]>,
        cells: Option<&'a [i32]>,
    },
}

/// Counts that can be read.
pub struct Opened<'a> {
    counts: Counts<'a>,
    /// Of a file.
    source: Option<Box<dyn Source + Send>>,
}

impl<'a> Counts<'a> {
    /// By R's own thread: others may never get into HDF5's library.
    pub fn open(self) -> Result<Opened<'a>> {
        let source = match self {
            Counts::Memory { .. } => None,
            Counts::File { place, .. } => Some(place.open()?),
        };
        Ok(Opened { counts: self, source })
    }

    /// What they are made of, to tell them from others.
    pub fn parts(&self) -> Vec<Part<'_>> {
        match self {
            Counts::Memory { dim, offsets, rows, values } => {
                vec![Part::I32(dim), Part::I32(offsets), Part::I32(rows), Part::F64(values)]
            }
            Counts::File { key, genes, cells, .. } => {
                let selected = |indices: &Option<_>| Part::I32(indices.unwrap_or(&[]));
                vec![Part::Text(key), selected(genes), selected(cells)]
            }
        }
    }
}

impl Opened<'_> {
    /// Hands the counts to `job`, within the threads of a pool.
    pub fn with<T: Send>(
        &self,
        pool: &ThreadPool,
        job: impl FnOnce(&dyn Source) -> Result<T> + Send,
    ) -> Result<T> {
        pool.install(|| match (self.counts, &self.source) {
            (Counts::Memory { dim, offsets, rows, values }, _) => {
                job(&Csc::new(dim[0] as usize, offsets, rows, values)?)
            }
            (Counts::File { genes: None, cells: None, .. }, Some(source)) => job(&**source),
            (Counts::File { genes, cells, .. }, Some(source)) => {
                let unsigned = bytemuck::cast_slice::<i32, u32>;
                let (genes, cells) = (genes.map(unsigned), cells.map(unsigned));
                job(&Selected::new(&**source, genes, cells)?)
            }
            (Counts::File { .. }, None) => Err(Error::Sparse("the counts are not open")),
        })
    }

    /// The same, each count divided by its cell's size factor where there are such.
    pub fn with_divided<T: Send>(
        &self,
        pool: &ThreadPool,
        size_factors: Option<&[f64]>,
        job: impl FnOnce(&dyn Source) -> Result<T> + Send,
    ) -> Result<T> {
        self.with(pool, |source| match size_factors {
            None => job(source),
            Some(size_factors) => job(&Divided::new(source, size_factors)?),
        })
    }
}

/// A matrix of a file.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    path: &'a Path,
    kind: &'a str,
    /// Its name; of a scratch file the key.
    matrix: &'a str,
    /// Genes and cells, where the file does not say.
    shape: Option<&'a [i32]>,
}

impl<'a> Place<'a> {
    pub fn of(file: &'a Named) -> Result<Self> {
        Ok(Self {
            path: Path::new(file.text("path")?),
            kind: file.text("kind")?,
            matrix: file.text("matrix")?,
            shape: file.integers_or_none("shape")?,
        })
    }

    /// By R's own thread, and once a child process came through with it.
    pub fn open(self) -> Result<Box<dyn Source + Send>> {
        let Self { path, kind, matrix, .. } = self;
        match kind {
            // Not of HDF5.
            "scratch" => self.open_unrehearsed(),
            _ => {
                let what = format!("the matrix {matrix:?} ({kind})");
                rehearse(path, &what, None, interrupted, || self.open_unrehearsed())
            }
        }
    }

    fn open_unrehearsed(self) -> Result<Box<dyn Source + Send>> {
        let Self { path, kind, matrix, shape } = self;
        let compressed = |axis| match shape {
            Some(&[genes, cells]) => {
                open_compressed(path, matrix, axis, genes as usize, cells as usize)
            }
            _ => Err(Named::wrong("shape", "numbers of genes and cells")),
        };
        Ok(match kind {
            "h5ad" => open_h5ad(path, matrix)?,
            "10x" => Box::new(open_10x(path, matrix)?),
            "by cell" => Box::new(compressed(Axis::Cells)?),
            "by gene" => Box::new(compressed(Axis::Genes)?),
            "dense" => Box::new(open_dense(path, matrix)?),
            "scratch" => match Scratch::open(path, matrix)? {
                Some(scratch) => Box::new(scratch),
                None => return Err(gone(path)),
            },
            _ => return Err(Named::wrong("kind", "the name of a kind of file")),
        })
    }
}

fn gone(path: &Path) -> Error {
    let reason = "this scratch file was removed, or made anew of something else".into();
    Error::InputFile { path: path.to_owned(), reason }
}
