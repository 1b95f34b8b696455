use super::screen_file::check_shape;
use crate::source::frame::Frame;
use crate::{Error, Result};

/// What an .h5ad of results has: matrices of groups x genes, and what is said of both.
#[derive(Clone, Debug)]
pub struct H5adLayout {
    /// One row a group of cells, such as a perturbation: `obs`.
    pub groups: Frame,
    /// `var`.
    pub genes: Frame,
    /// The first is `X`.
    pub layers: Vec<Layer>,
    /// What goes to `uns`, by name; parts of a name are separated by slashes.
    pub settings: Vec<(String, Setting)>,
    pub ranking: Option<Ranking>,
}

#[derive(Clone, Debug)]
pub struct Layer {
    pub name: String,
    pub kind: LayerKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LayerKind {
    F64,
    F32,
    U8,
    Logical,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    Text(String),
    Texts(Vec<String>),
    Number(f64),
    Integer(i32),
    Logical(bool),
}

/// Every group's genes by decreasing score, as scanpy's `rank_genes_groups` has them:
/// which layers, all of [`LayerKind::F64`], its columns are.
#[derive(Clone, Debug)]
pub struct Ranking {
    pub scores: usize,
    pub pvals: usize,
    pub pvals_adj: usize,
    pub logfoldchanges: usize,
    /// `groupby`, `reference`, `method`, `use_raw` and `corr_method`.
    pub params: Vec<(String, Setting)>,
}

impl Ranking {
    /// In the order in which they are stored.
    pub(super) fn columns(&self) -> [(&'static str, usize); 4] {
        [
            ("scores", self.scores),
            ("pvals", self.pvals),
            ("pvals_adj", self.pvals_adj),
            ("logfoldchanges", self.logfoldchanges),
        ]
    }
}

impl LayerKind {
    pub(super) fn size(self) -> usize {
        match self {
            LayerKind::F64 => 8,
            LayerKind::F32 => 4,
            LayerKind::U8 | LayerKind::Logical => 1,
        }
    }

    /// Values as they are stored.
    pub(super) fn bytes(self, values: &[f64]) -> Vec<u8> {
        match self {
            LayerKind::F64 => values.iter().flat_map(|value| value.to_ne_bytes()).collect(),
            LayerKind::F32 => {
                values.iter().flat_map(|&value| (value as f32).to_ne_bytes()).collect()
            }
            LayerKind::U8 => values.iter().map(|&value| value as u8).collect(),
            LayerKind::Logical => values.iter().map(|&value| u8::from(value != 0.0)).collect(),
        }
    }
}

impl H5adLayout {
    pub(super) fn shape(&self) -> [usize; 2] {
        [self.groups.index.len(), self.genes.index.len()]
    }

    /// Of all matrices.
    pub(super) fn bytes(&self) -> u64 {
        let [groups, genes] = self.shape().map(|extent| extent as u64);
        self.layers.iter().map(|layer| groups * genes * layer.kind.size() as u64).sum()
    }

    /// # Errors
    /// Where parts of it do not belong together.
    pub(super) fn check(&self) -> Result<()> {
        for frame in [&self.groups, &self.genes] {
            for (_, column) in &frame.columns {
                check_shape("entries of a column", column.len(), frame.index.len())?;
            }
        }
        let columns = self.ranking.as_ref().map(Ranking::columns);
        for (name, layer) in columns.into_iter().flatten() {
            if self.layers.get(layer).is_none_or(|layer| layer.kind != LayerKind::F64) {
                let (value, expected) = (layer.to_string(), "a layer of doubles");
                return Err(Error::Argument { name, value, expected });
            }
        }
        Ok(())
    }
}
