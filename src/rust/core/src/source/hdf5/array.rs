use super::Container;
use super::chunks::{Chunks, Place};
use super::filters::{Filter, TIGHTEST, unpack};
use super::library::read_all;
use super::number::Number;
use crate::{Error, Result};
use hdf5_metno as hdf5;
use hdf5_metno::dataset::Layout;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A dataset of numbers, of one or two dimensions.
#[derive(Debug)]
pub struct Array {
    /// No other array of this process has it.
    id: u64,
    container: Container,
    name: String,
    number: Number,
    shape: Vec<usize>,
    storage: Storage,
}

#[derive(Debug)]
enum Storage {
    Empty,
    /// In the file, from this byte on.
    Contiguous(u64),
    /// Within the dataset's header.
    Compact(Vec<u8>),
    Chunked(Chunks, Vec<Filter>),
}

/// A thread's memory for what is stored, and the chunk that it unpacked last.
#[derive(Debug, Default)]
pub struct Buffers {
    stored: Vec<u8>,
    spare: Vec<u8>,
    /// Which array's chunk is in `stored`, and where it begins.
    unpacked: Option<(u64, Vec<usize>)>,
}

/// Bytes of a chunk, unpacked: more is refused.
const LARGEST_CHUNK: u64 = 1 << 28;

impl Array {
    /// # Errors
    /// [`Error::InputData`] where there is no such dataset, it holds no numbers, is of
    /// another number of dimensions, is packed in a way that is not read here, or claims
    /// more than the file can hold.
    pub fn open(container: &Container, name: &str, dimensions: usize) -> Result<Self> {
        let refused = |reason: String| container.refused(name, reason);
        let library = |error: hdf5::Error| refused(format!("it is damaged ({error})"));
        let dataset = container.file.dataset(name);
        let dataset = dataset.map_err(|_| refused("there is no such dataset".into()))?;
        if dataset.filename() != container.file.filename() {
            return Err(refused("it is a link to another file".into()));
        }
        let datatype = dataset.dtype().map_err(library)?;
        let number = Number::of(&datatype)
            .ok_or_else(|| refused("it does not hold numbers of a common type".into()))?;
        let shape = dataset.get_shape().map_err(library)?;
        if shape.len() != dimensions {
            let found = shape.len();
            return Err(refused(format!("it has {found} dimensions, not {dimensions}")));
        }
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut array = Self {
            id: NEXT.fetch_add(1, Relaxed),
            container: container.clone(),
            name: name.to_owned(),
            number,
            storage: Storage::Empty,
            shape,
        };
        array.storage = array.find_storage(&dataset)?;
        Ok(array)
    }

    fn find_storage(&self, dataset: &hdf5::Dataset) -> Result<Storage> {
        let library = |error: hdf5::Error| self.refused(format!("it is damaged ({error})"));
        let size = self.number.size() as u64;
        let product = |dims: &[usize]| {
            dims.iter().try_fold(size, |product, &dim| product.checked_mul(dim as u64))
        };
        let too_much = || self.refused("it claims to hold more than the file can");
        let bytes = product(&self.shape).ok_or_else(too_much)?;
        if bytes == 0 {
            return Ok(Storage::Empty);
        }
        let properties = dataset.create_plist().map_err(library)?;
        let layout = properties.get_layout().map_err(library)?;
        let storage = match layout {
            Layout::Contiguous => {
                let never = || self.refused("it was never written, or is in another file");
                let offset = dataset.offset().ok_or_else(never)?;
                match offset.checked_add(bytes) {
                    Some(end) if end <= self.container.bytes.len() => Storage::Contiguous(offset),
                    _ => return Err(self.refused("the file is cut off before its end")),
                }
            }
            Layout::Compact => {
                // A header holds 64 kB at most.
                if bytes > 1 << 16 {
                    return Err(too_much());
                }
                Storage::Compact(read_all(dataset, bytes as usize).map_err(library)?)
            }
            Layout::Chunked => {
                let chunk = properties.get_chunk().map_err(library)?;
                let chunk = chunk.filter(|chunk| chunk.len() == self.shape.len());
                let chunk = chunk.ok_or_else(|| self.refused("its chunks are damaged"))?;
                let chunk_bytes = product(&chunk).filter(|&bytes| bytes > 0);
                let chunk_bytes = chunk_bytes.ok_or_else(too_much)?;
                let filters: std::result::Result<Vec<Filter>, String> =
                    properties.filters().iter().map(Filter::of).collect();
                let filters = filters.map_err(|name| {
                    self.refused(format!("packing with {name} is not read here"))
                })?;
                let packed = filters.iter().any(|f| matches!(f, Filter::Deflate | Filter::Lzf));
                let tightest = if packed { TIGHTEST } else { 1 };
                let most = self.container.bytes.len().saturating_mul(tightest);
                if bytes > most || chunk_bytes > most.max(1 << 16) {
                    return Err(too_much());
                }
                if chunk_bytes > LARGEST_CHUNK {
                    return Err(self.refused(format!(
                        "its chunks of {} MB are too large to be read one by one",
                        chunk_bytes >> 20
                    )));
                }
                let chunks = Chunks::of(dataset, &self.container, &self.name, &self.shape, chunk)?;
                Storage::Chunked(chunks, filters)
            }
            Layout::Virtual => return Err(self.refused("it refers to other files")),
        };
        Ok(storage)
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn number(&self) -> Number {
        self.number
    }

    pub fn refused(&self, reason: impl Into<String>) -> Error {
        self.container.refused(&self.name, reason)
    }

    /// How many rows (or, of one dimension, entries) are packed together.
    pub fn rows_together(&self) -> usize {
        match &self.storage {
            Storage::Chunked(chunks, _) => chunks.extents()[0],
            _ => 1,
        }
    }

    /// Adds some entries of a dataset of one dimension to `out`, as doubles.
    pub fn doubles(
        &self,
        span: Range<usize>,
        buffers: &mut Buffers,
        out: &mut Vec<f64>,
    ) -> Result<()> {
        out.reserve(span.len());
        self.each_piece(span, buffers, |bytes| {
            self.number.doubles(bytes, out).map_err(|reason| self.refused(reason))
        })
    }

    /// The same, as indices: what does not fit is `u32::MAX`.
    pub fn indices(
        &self,
        span: Range<usize>,
        buffers: &mut Buffers,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        out.reserve(span.len());
        self.each_piece(span, buffers, |bytes| {
            self.number.indices(bytes, out);
            Ok(())
        })
    }

    /// The same, of the whole dataset, as offsets: negative ones are `u64::MAX`.
    pub fn offsets(&self) -> Result<Vec<u64>> {
        let (mut out, count) = (vec![], self.shape[0]);
        out.reserve(count);
        self.each_piece(0..count, &mut Buffers::default(), |bytes| {
            self.number.offsets(bytes, &mut out);
            Ok(())
        })?;
        Ok(out)
    }

    /// Some rows of a dataset of two dimensions, one after the other.
    pub fn rows(
        &self,
        rows: Range<usize>,
        buffers: &mut Buffers,
        out: &mut Vec<f64>,
    ) -> Result<()> {
        let columns = self.shape[1];
        let Storage::Chunked(chunks, filters) = &self.storage else {
            return self.doubles(rows.start * columns..rows.end * columns, buffers, out);
        };
        let (size, &[high, wide]) = (self.number.size(), chunks.extents()) else {
            unreachable!("as many dimensions as the dataset");
        };
        let start = out.len();
        out.resize(start + rows.len() * columns, 0.0);
        let mut piece = vec![];
        for top in chunk_starts(&rows, high) {
            for left in chunk_starts(&(0..columns), wide) {
                self.load(&[top, left], chunks, filters, buffers)?;
                let within = left..columns.min(left + wide);
                for row in rows.start.max(top)..rows.end.min(top + high) {
                    let from = (row - top) * wide * size;
                    piece.clear();
                    let bytes = &buffers.stored[from..from + within.len() * size];
                    let read = self.number.doubles(bytes, &mut piece);
                    read.map_err(|reason| self.refused(reason))?;
                    let to = start + (row - rows.start) * columns;
                    out[to + within.start..to + within.end].copy_from_slice(&piece);
                }
            }
        }
        Ok(())
    }

    /// Hands out the bytes of entries as if all were in one dimension (they are, where
    /// they are in chunks).
    fn each_piece(
        &self,
        span: Range<usize>,
        buffers: &mut Buffers,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let size = self.number.size();
        match &self.storage {
            Storage::Empty => Ok(()),
            Storage::Compact(stored) => {
                let bytes = stored.get(span.start * size..span.end * size);
                take(bytes.ok_or_else(|| self.refused("it is cut off"))?)
            }
            Storage::Contiguous(at) => {
                let at = at + (span.start * size) as u64;
                self.each_plain(at, span.len(), buffers, &mut take)
            }
            Storage::Chunked(chunks, filters) if filters.is_empty() => {
                let mut next = span.start;
                while next < span.end {
                    let (at, count) = self.stretch(chunks, next..span.end)?;
                    self.each_plain(at, count, buffers, &mut take)?;
                    next += count;
                }
                Ok(())
            }
            Storage::Chunked(chunks, filters) => {
                for first in chunk_starts(&span, chunks.extents()[0]) {
                    self.load(&[first], chunks, filters, buffers)?;
                    let from = span.start.max(first) - first;
                    let to = span.end.min(first + chunks.extents()[0]) - first;
                    take(&buffers.stored[from * size..to * size])?;
                }
                Ok(())
            }
        }
    }

    /// Where the first entries of a span are, in chunks that are not packed and follow upon
    /// each other in the file, too; and how many.
    fn stretch(&self, chunks: &Chunks, span: Range<usize>) -> Result<(u64, usize)> {
        let (size, together) = (self.number.size(), chunks.extents()[0]);
        let place = |first: usize| -> Result<u64> {
            let place = self.place(chunks, &[first])?;
            match place.size as usize == together * size {
                true => Ok(place.at),
                false => Err(self.damaged(&[first], "a chunk is not of its size")),
            }
        };
        let first = span.start / together * together;
        let at = place(first)?;
        let mut next = first + together;
        while next < span.end && place(next)? == at.saturating_add(((next - first) * size) as u64) {
            next += together;
        }
        let begins = at.saturating_add(((span.start - first) * size) as u64);
        Ok((begins, next.min(span.end) - span.start))
    }

    /// Hands out entries that are in the file as they are.
    fn each_plain(
        &self,
        at: u64,
        count: usize,
        buffers: &mut Buffers,
        take: &mut impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        // As much as stays in a core's own cache, for it is looked at twice.
        const AT_ONCE: usize = 1 << 16;
        let size = self.number.size();
        buffers.unpacked = None;
        for from in (0..count).step_by(AT_ONCE) {
            buffers.stored.resize(AT_ONCE.min(count - from) * size, 0);
            let at = at.saturating_add((from * size) as u64);
            let read = self.container.bytes.read(at, &mut buffers.stored);
            read.map_err(|error| self.refused(error.to_string()))?;
            take(&buffers.stored)?;
        }
        Ok(())
    }

    /// Has the chunk that begins at `offset` unpacked in `buffers`.
    fn load(
        &self,
        offset: &[usize],
        chunks: &Chunks,
        filters: &[Filter],
        buffers: &mut Buffers,
    ) -> Result<()> {
        if buffers.unpacked.as_ref().is_some_and(|(id, at)| *id == self.id && at == offset) {
            return Ok(());
        }
        buffers.unpacked = None;
        let Place { at, size, skipped } = self.place(chunks, offset)?;
        let Buffers { stored, spare, .. } = buffers;
        if !self.container.bytes.has(at, u64::from(size)) {
            return Err(self.damaged(offset, "the file is cut off before its end"));
        }
        stored.resize(size as usize, 0);
        let read = self.container.bytes.read(at, stored);
        read.map_err(|error| self.damaged(offset, &error.to_string()))?;
        let size = chunks.extents().iter().product::<usize>() * self.number.size();
        unpack(filters, skipped, stored, spare, size, self.number.size())
            .map_err(|reason| self.damaged(offset, reason))?;
        buffers.unpacked = Some((self.id, offset.to_vec()));
        Ok(())
    }

    fn place(&self, chunks: &Chunks, offset: &[usize]) -> Result<Place> {
        let place = chunks.place(offset);
        place.ok_or_else(|| self.damaged(offset, "it was never written"))
    }

    fn damaged(&self, offset: &[usize], reason: &str) -> Error {
        self.refused(format!("the chunk at {offset:?}: {reason}"))
    }
}

/// Where the chunks begin that have a part of `span`.
fn chunk_starts(span: &Range<usize>, chunk: usize) -> impl Iterator<Item = usize> + use<> {
    (span.start / chunk * chunk..span.end).step_by(chunk)
}
