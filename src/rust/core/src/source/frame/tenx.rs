use super::node::{Folder, Node};
use super::{Column, Frame};
use crate::Result;
use hdf5_metno::File;

/// What a 10x .h5 says of its cells and genes.
#[derive(Clone, Debug, PartialEq)]
pub struct TenX {
    /// The group with the counts: `matrix`, or until Cell Ranger 2 the genome.
    pub group: String,
    /// Barcodes alone.
    pub cells: Frame,
    /// By id, with `name`, and where they are there `feature_type` and `genome`.
    pub genes: Frame,
}

/// Whether it has the groups of a 10x .h5, of any version.
///
/// # Errors
/// Where the file is damaged.
pub fn is_10x(file: &File) -> Result<bool> {
    let root = Folder::root(file)?;
    Ok(matches!(root.find("matrix")?, Some(Node::Folder(_))) || !genomes(&root)?.is_empty())
}

/// Reads barcodes and features, of one `genome` where the file, of Cell Ranger 2, has
/// several.
///
/// # Errors
/// [`Error::InputData`](crate::Error::InputData) where there are none, or they are not as
/// many as the matrix has columns and rows.
pub fn read_10x(file: &File, genome: Option<&str>) -> Result<TenX> {
    let root = Folder::root(file)?;
    if let Some(Node::Folder(matrix)) = root.find("matrix")? {
        let features = matrix.folder("features")?;
        let mut columns = vec![("name".to_owned(), texts(&features, "name")?)];
        for name in ["feature_type", "genome"] {
            if features.find(name)?.is_some() {
                columns.push((name.to_owned(), texts(&features, name)?));
            }
        }
        return whole("matrix", &matrix, &features, "id", columns);
    }
    let group = find_genome(&root, genome)?;
    let matrix = root.folder(&group)?;
    let columns = vec![("name".to_owned(), texts(&matrix, "gene_names")?)];
    whole(&group, &matrix, &matrix, "genes", columns)
}

/// The one genome there is, or the one that is asked for.
fn find_genome(root: &Folder, wanted: Option<&str>) -> Result<String> {
    let genomes = genomes(root)?;
    let wrong = |reason| Err(root.at.wrong(reason));
    match (wanted, &genomes[..]) {
        (Some(wanted), _) if genomes.iter().any(|genome| genome == wanted) => Ok(wanted.into()),
        (None, [genome]) => Ok(genome.clone()),
        (_, []) => {
            wrong("it is no 10x file: it has no group \"matrix\", nor one of a genome".into())
        }
        (Some(wanted), _) => wrong(format!("it has the genomes {genomes:?}, not {wanted:?}")),
        (None, _) => wrong(format!("it has the genomes {genomes:?}: one must be asked for")),
    }
}

fn genomes(root: &Folder) -> Result<Vec<String>> {
    let mut genomes = vec![];
    for name in root.names()? {
        match root.find(&name) {
            Ok(Some(Node::Folder(folder))) if folder.find("gene_names")?.is_some() => {
                genomes.push(name);
            }
            _ => {}
        }
    }
    Ok(genomes)
}

fn whole(
    group: &str,
    matrix: &Folder,
    features: &Folder,
    id: &str,
    columns: Vec<(String, Vec<String>)>,
) -> Result<TenX> {
    let frame = |index, columns| Frame { index, columns, skipped: vec![] };
    let (ids, barcodes) = (texts(features, id)?, texts(matrix, "barcodes")?);
    let shape = matrix.table("shape")?;
    let extents = shape.wholes().map_err(|unread| shape.at.refused(unread))?;
    if extents != [ids.len() as i64, barcodes.len() as i64] {
        let (genes, cells) = (ids.len(), barcodes.len());
        return Err(shape.at.wrong(format!(
            "it says {extents:?}, where there are {genes} features and {cells} barcodes"
        )));
    }
    for (name, values) in &columns {
        if values.len() != ids.len() {
            let (found, expected) = (values.len(), ids.len());
            let reason = format!("it has {found} entries, where there are {expected} features");
            return Err(features.at.under(name).wrong(reason));
        }
    }
    let text = |values: Vec<String>| Column::Text(values.into_iter().map(Some).collect());
    let columns = columns.into_iter().map(|(name, values)| (name, text(values))).collect();
    Ok(TenX { group: group.to_owned(), cells: frame(barcodes, vec![]), genes: frame(ids, columns) })
}

fn texts(folder: &Folder, name: &str) -> Result<Vec<String>> {
    let table = folder.table(name)?;
    table.texts().map_err(|unread| table.at.refused(unread))
}
