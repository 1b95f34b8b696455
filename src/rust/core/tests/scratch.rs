//! Scratch files: what is read gene by gene is what the source holds, whatever the
//! memory and the threads; and what is not whole is not read.
//!
//! The reference is the same matrix, dense.

mod matrix;

use std::env;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use matrix::{Matrix, by_gene, matrices, names_in, shuffled};
use proptest::prelude::*;
use scoria_core::source::{
    Axis, Csc, Entries, RANGE_ENTRIES, Room, Scratch, ScratchWriter, Source, transpose,
};
use scoria_core::{Error, Monitor, Result, pool};
use tempfile::tempdir;

/// Enough for any of the matrices here at once.
const AMPLE: usize = 1 << 20;

/// A compressed sparse column matrix's slots.
struct Slots {
    genes: usize,
    offsets: Vec<i32>,
    rows: Vec<i32>,
    values: Vec<f64>,
}

impl Slots {
    fn of(matrix: &Matrix) -> Self {
        let mut slots =
            Self { genes: matrix.genes, offsets: vec![0], rows: vec![], values: vec![] };
        for cell in 0..matrix.cells as u32 {
            for (&(_, gene), &value) in matrix.entries.range((cell, 0)..(cell + 1, 0)) {
                slots.rows.push(gene as i32);
                slots.values.push(value);
            }
            slots.offsets.push(slots.rows.len() as i32);
        }
        slots
    }

    fn source(&self) -> Csc<'_> {
        Csc::new(self.genes, &self.offsets, &self.rows, &self.values).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_source_by_cell_comes_back_by_gene(
        matrix in matrices(),
        memory in prop_oneof![Just(768), 768..20_000_usize, Just(AMPLE)],
        threads in 1..4_usize,
    ) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("counts");
        let slots = Slots::of(&matrix);
        let made = pool(threads).unwrap().install(|| {
            transpose(&slots.source(), &path, "key", memory, &Monitor::new())
        }).unwrap();
        let opened = Scratch::open(&path, "key").unwrap().unwrap();
        for scratch in [&made, &opened] {
            prop_assert_eq!((scratch.genes(), scratch.cells()), (matrix.genes, matrix.cells));
            prop_assert_eq!(by_gene(scratch), matrix.by_gene());
        }
        prop_assert_eq!(names_in(folder.path()), ["counts"]);
    }

    #[test]
    fn entries_in_any_order_come_back_by_gene(
        matrix in matrices(),
        seed: u64,
        memory in prop_oneof![Just(768), 768..20_000_usize, Just(AMPLE)],
    ) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("counts");
        let mut writer = ScratchWriter::create(&path, "", matrix.genes, matrix.cells).unwrap();
        for (cell, gene, value) in shuffled(&matrix, seed) {
            writer.push(gene, cell, value).unwrap();
        }
        let scratch = writer.finish(Path::new("origin"), memory, &Monitor::new()).unwrap();
        prop_assert_eq!(by_gene(&scratch), matrix.by_gene());
        prop_assert_eq!(names_in(folder.path()), ["counts"]);
    }

    #[test]
    fn a_file_that_is_cut_off_or_grown_is_no_scratch_file(matrix in matrices(), at: prop::sample::Index) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("counts");
        transpose(&Slots::of(&matrix).source(), &path, "key", AMPLE, &Monitor::new()).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..at.index(whole.len())]).unwrap();
        prop_assert!(Scratch::open(&path, "key").unwrap().is_none());
        fs::write(&path, [&whole[..], b"\0"].concat()).unwrap();
        prop_assert!(Scratch::open(&path, "key").unwrap().is_none());
        fs::write(&path, &whole).unwrap();
        prop_assert!(Scratch::open(&path, "key").unwrap().is_some());
    }

    /// Of a file that was written by nobody, whatever is read is in range and in order.
    #[test]
    fn damage_is_refused_or_read_without_harm(
        matrix in matrices(),
        at: prop::sample::Index,
        bits in 1..=u64::MAX,
    ) {
        let folder = tempdir().unwrap();
        let path = folder.path().join("counts");
        transpose(&Slots::of(&matrix).source(), &path, "key", AMPLE, &Monitor::new()).unwrap();
        let mut whole = fs::read(&path).unwrap();
        let word = 8 * at.index(whole.len() / 8);
        for (byte, bits) in whole[word..word + 8].iter_mut().zip(bits.to_ne_bytes()) {
            *byte ^= bits;
        }
        fs::write(&path, whole).unwrap();
        let Some(scratch) = Scratch::open(&path, "key").unwrap() else { return Ok(()) };
        let mut room = Room::default();
        for range in scratch.ranges() {
            match scratch.read(range, &mut room) {
                Ok(entries) => {
                    for (indices, _) in (0..entries.len()).map(|k| entries.get(k)) {
                        prop_assert!(indices.windows(2).all(|pair| pair[0] < pair[1]));
                        prop_assert!(indices.iter().all(|&cell| (cell as usize) < scratch.cells()));
                    }
                }
                Err(error) => prop_assert_eq!(error.class(), "input_file"),
            }
        }
    }
}

/// 40 genes x 3000 cells: some 60 000 counts, all of them whole.
fn large() -> Matrix {
    let places = (0..120_000_u32).map(|i| (i / 40, i % 40));
    let counted =
        places.filter(|(cell, gene)| cell.wrapping_mul(2_654_435_761).wrapping_add(*gene) % 2 == 0);
    let entries = counted.map(|(cell, gene)| ((cell, gene), f64::from(1 + (cell + gene) % 7)));
    Matrix { genes: 40, cells: 3000, entries: entries.collect() }
}

#[test]
fn a_count_takes_eight_bytes_unless_one_needs_twelve() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("counts");
    let mut matrix = large();
    let entries = matrix.entries.len() as u64;
    let mut bytes = || {
        transpose(&Slots::of(&matrix).source(), &path, "", AMPLE, &Monitor::new()).unwrap();
        matrix.entries.insert((0, 0), 0.1);
        fs::metadata(&path).unwrap().len()
    };
    assert_eq!(bytes() / entries, 8);
    assert_eq!(bytes() / entries, 12);
}

#[test]
fn ranges_are_good_to_read_at_once() {
    let folder = tempdir().unwrap();
    let entries = (0..RANGE_ENTRIES as u32).flat_map(|cell| [(cell, 0), (cell, 2), (cell, 3)]);
    let matrix = Matrix {
        genes: 6,
        cells: RANGE_ENTRIES,
        entries: entries.chain([(7, 4)]).map(|place| (place, 1.0)).collect(),
    };
    let path = folder.path().join("counts");
    let scratch =
        transpose(&Slots::of(&matrix).source(), &path, "", AMPLE, &Monitor::new()).unwrap();
    assert_eq!(scratch.ranges(), [0..2, 2..3, 3..4, 4..6]);
    assert_eq!(scratch.axis(), Axis::Genes);
}

#[test]
fn what_is_of_another_key_or_no_scratch_file_is_made_anew() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("counts");
    let open = |key: &str| Scratch::open(&path, key).unwrap();
    assert!(open("one").is_none());
    fs::write(&path, "gene,count\n").unwrap();
    assert!(open("one").is_none());
    let slots = Slots::of(&large());
    transpose(&slots.source(), &path, "one", AMPLE, &Monitor::new()).unwrap();
    assert!(open("one").is_some() && open("two").is_none() && open("on").is_none());
    let one = open("one").unwrap();
    let three = Csc::new(3, &[0, 1], &[2], &[4.0]).unwrap();
    transpose(&three, &path, "two", AMPLE, &Monitor::new()).unwrap();
    assert_eq!(by_gene(&open("two").unwrap())[2], (vec![0], vec![4.0]));
    // Who has it open goes on with what was there.
    assert_eq!(by_gene(&one), large().by_gene());
    assert_eq!(Scratch::open(folder.path(), "one").unwrap_err().class(), "input_file");
}

#[test]
fn memory_that_holds_no_gene_is_refused() {
    let folder = tempdir().unwrap();
    let slots = Slots::of(&large());
    let made = transpose(&slots.source(), &folder.path().join("a"), "", 767, &Monitor::new());
    assert_eq!(made.unwrap_err(), Error::Memory { needed: 768, limit: 767 });
    assert!(names_in(folder.path()).is_empty());
}

/// Cancels, changes or fails at one of its reads.
struct Unsteady<'a> {
    inner: Csc<'a>,
    reads: AtomicUsize,
    at: usize,
    monitor: &'a Monitor,
    does: Does,
}

#[derive(Clone, Copy, Debug)]
enum Does {
    Cancel,
    Fail,
    Change,
}

impl Source for Unsteady<'_> {
    fn genes(&self) -> usize {
        self.inner.genes()
    }

    fn cells(&self) -> usize {
        self.inner.cells()
    }

    fn axis(&self) -> Axis {
        Axis::Cells
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        (0..self.cells()).map(|cell| cell..cell + 1).collect()
    }

    fn read<'a>(&'a self, range: Range<usize>, room: &'a mut Room) -> Result<Entries<'a>> {
        let now = self.reads.fetch_add(1, Relaxed) == self.at;
        match self.does {
            Does::Cancel if now => self.monitor.cancel(),
            Does::Fail if now => return Err(Error::Sparse("failed")),
            Does::Change if now => {
                room.clear();
                room.starts.push(0);
                return Ok(room.entries());
            }
            _ => {}
        }
        self.inner.read(range, room)
    }
}

#[test]
fn what_ends_early_leaves_nothing_behind() {
    let slots = Slots::of(&large());
    for (does, class) in
        [(Does::Cancel, "interrupted"), (Does::Fail, "sparse"), (Does::Change, "sparse")]
    {
        // In the first reading of the 3000 cells, and in the second.
        for at in [0, 1500, 4500, 5000] {
            let folder = tempdir().unwrap();
            let monitor = Monitor::new();
            let (inner, reads) = (slots.source(), AtomicUsize::new(0));
            let source = Unsteady { inner, reads, at, monitor: &monitor, does };
            let made = transpose(&source, &folder.path().join("counts"), "", AMPLE, &monitor);
            assert_eq!(made.unwrap_err().class(), class, "{does:?} {at}");
            assert!(names_in(folder.path()).is_empty(), "{does:?} {at}");
        }
    }
}

#[test]
fn an_older_file_stays_until_another_is_whole() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("counts");
    let slots = Slots::of(&large());
    transpose(&slots.source(), &path, "old", AMPLE, &Monitor::new()).unwrap();
    let cancelled = Monitor::new();
    cancelled.cancel();
    transpose(&slots.source(), &path, "new", AMPLE, &cancelled).unwrap_err();
    assert!(Scratch::open(&path, "old").unwrap().is_some());
}

#[test]
fn a_cell_that_comes_twice_is_refused() {
    let folder = tempdir().unwrap();
    let refused = |entries: &[(u32, u32)]| {
        let path = folder.path().join("counts");
        let mut writer = ScratchWriter::create(&path, "", 3, 4).unwrap();
        for &(gene, cell) in entries {
            writer.push(gene, cell, 1.0).unwrap();
        }
        let made = writer.finish(Path::new("matrix.mtx"), AMPLE, &Monitor::new());
        assert!(names_in(folder.path()).is_empty());
        made.unwrap_err().to_string()
    };
    let twice = "can't read \"matrix.mtx\": gene 2 and cell 4 (counted from 1) have two entries";
    assert_eq!(refused(&[(1, 3), (1, 3)]), twice);
    assert_eq!(refused(&[(1, 3), (0, 3), (1, 0), (1, 3)]), twice);
    let many = [(2, 0), (2, 1), (2, 2), (2, 3), (2, 0)];
    assert!(refused(&many).contains("gene 3 has more entries than there are cells"));
}

#[test]
fn an_entry_out_of_range_is_refused() {
    let folder = tempdir().unwrap();
    let mut writer = ScratchWriter::create(&folder.path().join("counts"), "", 3, 4).unwrap();
    assert_eq!(writer.push(3, 0, 1.0).unwrap_err().class(), "sparse");
    assert_eq!(writer.push(0, 4, 1.0).unwrap_err().class(), "sparse");
}

#[test]
fn a_file_that_cannot_be_written_is_called_so() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("none/counts");
    let three = Csc::new(3, &[0, 1], &[2], &[4.0]).unwrap();
    let made = transpose(&three, &path, "", AMPLE, &Monitor::new());
    assert_eq!(made.unwrap_err().class(), "output_access");
    let made = ScratchWriter::create(&path, "", 3, 1).map(drop);
    assert_eq!(made.unwrap_err().class(), "output_access");
}

#[test]
fn a_file_that_does_not_fit_is_called_so_with_the_bytes_it_needs() {
    let folder = tempdir().unwrap();
    let mut writer = Command::new("sh");
    // No file may be written beyond 100 blocks, of 512 or 1024 bytes.
    writer.args(["-c", r#"trap '' XFSZ; ulimit -f 100; exec "$0" "$@""#]);
    writer.arg(env::current_exe().unwrap());
    writer.args(["--ignored", "--exact", "write", "--nocapture", "--quiet"]);
    writer.env("SCORIA_TEST_WRITE", folder.path().join("counts")).stdout(Stdio::null());
    let said = String::from_utf8(writer.output().unwrap().stderr).unwrap();
    assert!(said.starts_with("no space left for") && said.ends_with("bytes"), "{said}");
    assert!(names_in(folder.path()).is_empty());
}

/// Says on standard error what went wrong, and no more.
#[test]
#[ignore = "another test runs it, in a process of its own"]
fn write() {
    let Some(path) = env::var_os("SCORIA_TEST_WRITE") else { return };
    let made =
        transpose(&Slots::of(&large()).source(), Path::new(&path), "", AMPLE, &Monitor::new());
    eprint!("{}", made.unwrap_err());
}
