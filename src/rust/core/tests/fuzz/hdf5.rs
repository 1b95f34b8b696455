//! What the targets that read HDF5 have in common.

use std::ops::Range;
use std::path::Path;

use hdf5_metno::types::TypeDescriptor;
use hdf5_metno::{Dataset, File, Group, LinkInfo, LinkType, LocationType};
use scoria_core::Result;
use scoria_core::source::{
    CountKind, Limits, Source, check_counts, gene_blocks, rehearse, summarise,
};

use super::memory::CEILING;
use super::pen::{NUMBERS, Pen, WHOLE};

/// Counts of genes x cells along one of them: offsets, indices and values.
pub struct Compressed {
    pub starts: Vec<f64>,
    pub indices: Vec<f64>,
    pub values: Vec<f64>,
}

impl Compressed {
    pub fn random(along: usize, across: usize, pen: &mut Pen<'_>) -> Self {
        let mut made = Self { starts: vec![0.0], indices: vec![], values: vec![] };
        for _ in 0..along {
            for index in 0..across {
                if pen.one_in(3) {
                    made.indices.push(index as f64);
                    made.values.push(pen.pick(&[0.0, 1.0, 2.0, 3.0, 100.0]));
                }
            }
            made.starts.push(made.indices.len() as f64);
        }
        made
    }

    pub fn write(&self, group: &Group, pen: &mut Pen<'_>) {
        // Offsets may be above what one or two bytes hold.
        pen.numbers(group, "indptr", &self.starts, &WHOLE[4..]);
        pen.numbers(group, "indices", &self.indices, &WHOLE);
        pen.numbers(group, "data", &self.values, &NUMBERS);
    }
}

/// All that is asked of counts.
pub fn read_counts(source: &dyn Source) -> Result<()> {
    check_counts(source, CountKind::Finite)?;
    let summary = summarise(source)?;
    assert_eq!(summary.cells_expressing.len(), source.genes());
    assert_eq!(summary.genes_expressed.len(), source.cells());
    for block in gene_blocks(source, 50)? {
        let block = block?;
        for gene in block.genes() {
            let counts = block.gene(gene);
            assert!(counts.cells.is_sorted_by(|one, next| one < next));
            assert!(counts.cells.iter().all(|&cell| (cell as usize) < source.cells()));
            let above = counts.counts.iter().filter(|&&count| count > 0.0).count();
            assert_eq!(summary.cells_expressing[gene] as usize, above);
        }
    }
    Ok(())
}

/// Reads what is in a folder as it is read for R: in a child first.
pub fn rehearsed(folder: &Path, run: fn(&Path) -> Result<()>) -> Result<()> {
    let limits = Limits { seconds: 2, bytes: CEILING as u64 / 2 };
    rehearse(&folder.join("file.h5"), "all", Some(limits), || Ok(()), || run(folder))
}

/// Where the values of datasets are in a file, as they are stored. Nothing else of a file
/// may be changed where no child looks first: HDF5's library, which is not ours, crashes on some
/// of what else a file may hold.
pub fn values(path: &Path) -> Vec<Range<usize>> {
    let file = File::open(path).unwrap();
    let mut found = vec![];
    find_values(&file, &mut found);
    found
}

fn find_values(group: &Group, found: &mut Vec<Range<usize>>) {
    let mut names = vec![];
    let visit = |name: &str, link: LinkInfo| {
        if link.link_type == LinkType::Hard {
            names.push(name.to_owned());
        }
        Ok(())
    };
    group.iter_visit_default(visit).unwrap();
    for name in names {
        match group.loc_type_by_name(&name).unwrap() {
            LocationType::Group => find_values(&group.group(&name).unwrap(), found),
            LocationType::Dataset => {
                let dataset = group.dataset(&name).unwrap();
                // The library trusts in places.
                if !refers(&dataset.dtype().unwrap().to_descriptor().unwrap()) {
                    find_values_of(&dataset, found);
                }
            }
            _ => {}
        }
    }
}

fn find_values_of(dataset: &Dataset, found: &mut Vec<Range<usize>>) {
    let mut add = |from: u64, bytes: u64| found.push(from as usize..(from + bytes) as usize);
    if let Some(offset) = dataset.offset() {
        add(offset, dataset.storage_size());
    }
    for k in 0..dataset.num_chunks().unwrap_or(0) {
        let chunk = dataset.chunk_info(k).unwrap();
        add(chunk.addr, chunk.size);
    }
}

/// Whether values of a type are places in the file.
pub fn refers(stored: &TypeDescriptor) -> bool {
    match stored {
        TypeDescriptor::Compound(records) => records.fields.iter().any(|field| refers(&field.ty)),
        TypeDescriptor::VarLenAscii | TypeDescriptor::VarLenUnicode => true,
        TypeDescriptor::VarLenArray(_) | TypeDescriptor::Reference(_) => true,
        _ => false,
    }
}
