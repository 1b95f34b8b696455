//! Every gene against every perturbation, for `fit_screen()`.

use crate::column::column;
use crate::counts::{Counts, Held};
use crate::guard::{listen, report};
use crate::input::Named;
use extendr_api::prelude::*;
use scoria_core::design::Membership;
use scoria_core::engine::screen::{
    Comparison, Dispersion, Family, Options, Pairs, Reference, Resampling, StdErr, Strata, Test,
    fit_screen,
};
use scoria_core::result::{
    Fingerprint, GeneColumns, Layout, PairsOf, Part, ScreenBlock, ScreenFile, ScreenReader,
    ScreenSink, Values,
};
use scoria_core::{Error, Monitor, Result, pool};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// @noRd
#[extendr]
fn rust_fit_screen(counts: Robj, screen: List, options: List, progress: Function) -> Robj {
    report(|| {
        let start = Instant::now();
        let (screen, named) = (Named::of(screen), Named::of(options));
        let options = read_options(&named)?;
        let pool = pool(named.whole("threads")?)?;
        let held = Held::of(&counts)?;
        let counts = held.counts()?;
        let opened = counts.open()?;
        let (design, offset) = (screen.doubles("design")?, screen.doubles("offset")?);
        let offsets = screen.integers("perturbation_p")?;
        let membership =
            Membership::new(offsets, screen.integers("perturbation_i")?, offset.len())?;
        let reference = read_reference(&screen)?;
        let listed = read_pairs(&screen)?;
        let pairs = match &listed {
            None => Pairs::All,
            Some((offsets, perturbations)) => Pairs::Some { offsets, perturbations },
        };
        let strata = match screen.integers_or_none("strata")? {
            None => None,
            Some(of) => Some(Strata {
                of: of.iter().map(|&stratum| stratum as u16).collect(),
                count: screen.whole("n_strata")?,
            }),
        };
        let output = match named.text_or_none("output")? {
            None => None,
            Some(path) => Some(Output {
                path: path.into(),
                resume: named.flag("resume")?,
                layout: Layout {
                    genes: screen.whole("n_genes")?,
                    pairs_of_gene: match &listed {
                        None => PairsOf::All { perturbations: membership.len() },
                        Some((first, _)) => PairsOf::Listed { first: first.clone() },
                    },
                    with_theta: options.dispersion == Dispersion::Pair,
                },
                fingerprint: fingerprint(counts, &screen, &named)?,
                description: named.bytes("description")?.to_vec(),
            }),
        };
        let compare = || Comparison::new(design, offset, &membership, &reference, strata);
        let comparison = pool.install(compare)?;
        // By this thread, as everything that needs HDF5's library.
        let mut file = output.as_ref().map(Output::open).transpose()?;
        let monitor = Monitor::new();
        let block = listen(Some(&progress), &monitor, || {
            opened.with(&pool, |source| {
                let fit = |sink: &mut dyn ScreenSink| {
                    fit_screen(source, &comparison, pairs, &options, &monitor, sink)
                };
                let Some(file) = &mut file else {
                    let mut block = ScreenBlock::default();
                    return fit(&mut block).map(|()| Some(block));
                };
                fit(file).map(|()| None)
            })
        })?;
        if let Some(file) = file {
            file.finish()?;
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(match (block, output) {
            (Some(block), _) => list!(
                genes = gene_list(&block.genes),
                pairs = pair_list(block),
                seconds = seconds,
                peak_bytes = peak_bytes()
            ),
            (None, output) => {
                let path = output.map(|output| output.path).unwrap_or_default();
                let genes = read_genes(&ScreenReader::open(&path)?)?;
                let path = path.to_string_lossy().into_owned();
                list!(path = path, genes = genes, seconds = seconds, peak_bytes = peak_bytes())
            }
        })
    })
}

/// @noRd
#[extendr]
fn rust_open_screen(path: &str) -> Robj {
    report(|| {
        let file = ScreenReader::open(Path::new(path))?;
        Ok(list!(
            description = Raw::from_bytes(file.description()),
            genes = read_genes(&file)?,
            n_pairs = file.layout().pairs() as f64,
            genes_done = file.genes_done() as f64,
            complete = file.is_complete()
        ))
    })
}

/// Pairs are counted from one; `to` is among them.
/// @noRd
#[extendr]
fn rust_read_screen(path: &str, column: &str, from: f64, to: f64) -> Robj {
    report(|| {
        let file = ScreenReader::open(Path::new(path))?;
        let range = from as usize - 1..to as usize;
        Ok(as_robj(file.read_ranges(&format!("pairs/{column}"), &[range])?))
    })
}

/// A file that results go to.
struct Output {
    path: PathBuf,
    resume: bool,
    layout: Layout,
    fingerprint: Fingerprint,
    description: Vec<u8>,
}

impl Output {
    /// Of an existing file only where it is to be gone on with.
    fn open(&self) -> Result<ScreenFile> {
        let Self { path, layout, fingerprint, description, .. } = self;
        match self.resume && path.exists() {
            true => ScreenFile::resume(path, layout, fingerprint),
            false => ScreenFile::create(path, layout, fingerprint, description),
        }
    }
}

/// What the results depend on, named as a user would.
fn fingerprint(counts: Counts<'_>, screen: &Named, options: &Named) -> Result<Fingerprint> {
    let mut print = Fingerprint::new()
        .with("counts", &counts.parts())
        .with("model matrix", &[Part::F64(screen.doubles("design")?)])
        .with("size factors or offsets", &[Part::F64(screen.doubles("offset")?)]);
    let optional = |name| Ok::<_, Error>(screen.integers_or_none(name)?.unwrap_or(&[]));
    let (starts, cells) = (screen.integers("perturbation_p")?, screen.integers("perturbation_i")?);
    print = print
        .with("perturbation", &[Part::I32(starts), Part::I32(cells)])
        .with("reference", &[Part::I32(optional("reference_cells")?)])
        .with("strata", &[Part::I32(optional("strata")?)]);
    let pairs = screen.doubles_or_none("pair_p")?.unwrap_or(&[]);
    print = print.with("pairs", &[Part::F64(pairs), Part::I32(optional("pair_i")?)]);
    for name in ["family", "dispersion", "test", "se", "resampling"] {
        print = print.with(name, &[Part::Text(options.text(name)?)]);
    }
    let tuning = [options.number("tolerance")?, options.whole("max_iterations")? as f64];
    print = print.with("tolerance", &[Part::F64(&tuning)]);
    Ok(print.with("formula, names or version", &[Part::U8(options.bytes("description")?)]))
}

fn read_genes(file: &ScreenReader) -> Result<List> {
    let column = |name: &str| file.read(&format!("genes/{name}")).map(as_robj);
    Ok(list!(
        status = column("status")?,
        mean = column("mean")?,
        theta = column("theta")?,
        dispersion = column("dispersion")?,
        log_likelihood = column("log_likelihood")?,
        iterations = column("iterations")?
    ))
}

fn as_robj(values: Values) -> Robj {
    match values {
        Values::F64(values) => values.into(),
        Values::U8(values) => as_integers(&values).into(),
    }
}

fn read_options(named: &Named) -> Result<Options> {
    let wrong = |name: &'static str| Named::wrong(name, "one of the names that fit_screen() takes");
    Ok(Options {
        family: match named.text("family")? {
            "negbinomial" => Family::NegativeBinomial,
            "poisson" => Family::Poisson,
            "quasipoisson" => Family::QuasiPoisson,
            _ => return Err(wrong("family")),
        },
        dispersion: match named.text("dispersion")? {
            "null" => Dispersion::Null,
            "pair" => Dispersion::Pair,
            "trend" => Dispersion::Trend,
            _ => return Err(wrong("dispersion")),
        },
        test: match named.text("test")? {
            "wald" => Test::Wald,
            "lrt" => Test::LikelihoodRatio,
            "score" => Test::Score,
            "calibrated" => Test::Calibrated,
            _ => return Err(wrong("test")),
        },
        resampling: match named.text("resampling")? {
            "permutation" => Resampling::Permutation,
            "conditional" => Resampling::Conditional,
            _ => return Err(wrong("resampling")),
        },
        std_err: match named.text("se")? {
            "expected" => StdErr::Expected,
            "observed" => StdErr::Observed,
            "sandwich" => StdErr::Sandwich,
            _ => return Err(wrong("se")),
        },
        tolerance: named.number("tolerance")?,
        max_iterations: named.whole("max_iterations")?,
        memory_limit: named.number_or_none("memory_limit")?.map(|limit| limit as usize),
    })
}

pub fn read_reference(screen: &Named) -> Result<Reference> {
    Ok(match screen.integers_or_none("reference_cells")? {
        None => Reference::Complement,
        Some(cells) => Reference::Cells(cells.iter().map(|&cell| cell as u32).collect()),
    })
}

/// Where each gene's pairs begin and end, and each pair's perturbation.
pub fn read_pairs(screen: &Named) -> Result<Option<(Vec<usize>, Vec<u32>)>> {
    let Some(offsets) = screen.doubles_or_none("pair_p")? else { return Ok(None) };
    let offsets = offsets.iter().map(|&offset| offset as usize).collect();
    let perturbations = screen.integers("pair_i")?.iter().map(|&k| k as u32).collect();
    Ok(Some((offsets, perturbations)))
}

fn gene_list(genes: &GeneColumns) -> List {
    list!(
        status = as_integers(&genes.status),
        mean = &genes.mean,
        theta = &genes.theta,
        dispersion = &genes.dispersion,
        log_likelihood = &genes.log_likelihood,
        iterations = as_integers(&genes.iterations)
    )
}

/// Column by column, each freed as it is copied.
fn pair_list(block: ScreenBlock) -> List {
    let pairs = block.pairs;
    list!(
        estimate = column(pairs.estimate),
        std_err = column(pairs.std_err),
        statistic = column(pairs.statistic),
        p_value = column(pairs.p_value),
        theta = column(pairs.theta),
        error_bound = pairs.error_bound.into_iter().map(f64::from).collect::<Vec<_>>(),
        status = as_integers(&pairs.status),
        passes = as_integers(&pairs.passes),
        refreshes = as_integers(&pairs.refreshes)
    )
}

fn as_integers(values: &[u8]) -> Vec<i32> {
    values.iter().map(|&value| i32::from(value)).collect()
}

/// The most memory that this process has held, R's own included; NA where the
/// system does not tell.
fn peak_bytes() -> Rfloat {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kilobytes.map_or(Rfloat::na(), |kilobytes| Rfloat::from(1024.0 * kilobytes))
}

extendr_module! {
    mod fit_screen;
    fn rust_fit_screen;
    fn rust_open_screen;
    fn rust_read_screen;
}
