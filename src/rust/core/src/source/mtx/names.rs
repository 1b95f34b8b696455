use super::text::Text;
use super::{MtxFiles, wrong_line};
use crate::Result;
use std::path::Path;

/// What genes are called; one of each for every gene, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    pub ids: Vec<String>,
    /// The same as the id where the file has no second column.
    pub names: Vec<String>,
    /// As "Gene Expression" or "CRISPR Guide Capture"; empty where the file has no third
    /// column.
    pub types: Vec<String>,
}

impl MtxFiles {
    /// What cells are called: the first column of the file.
    ///
    /// # Errors
    /// [`Error::InputFile`](crate::Error::InputFile) where it cannot be read, is no text
    /// in UTF-8, or lacks a name.
    pub fn read_barcodes(&self) -> Result<Vec<String>> {
        let mut barcodes = vec![];
        for_each_name(&self.barcodes, |mut fields| barcodes.push(fields.swap_remove(0)))?;
        Ok(barcodes)
    }

    /// What genes are called.
    ///
    /// # Errors
    /// As [`MtxFiles::read_barcodes`].
    pub fn read_features(&self) -> Result<Features> {
        // The third column of a table is the genome.
        let has_types = !is_table(&self.features);
        let mut features = Features::default();
        for_each_name(&self.features, |fields| {
            let mut fields = fields.into_iter();
            let id = fields.next().unwrap_or_default();
            features.names.push(fields.next().unwrap_or_else(|| id.clone()));
            features.types.push(fields.next().filter(|_| has_types).unwrap_or_default());
            features.ids.push(id);
        })?;
        Ok(features)
    }
}

pub(super) fn count_names(path: &Path) -> Result<u64> {
    let mut count = 0;
    for_each_name(path, |_| count += 1)?;
    Ok(count)
}

/// Shows the fields of every line, of which the first is not empty.
fn for_each_name(path: &Path, mut visit: impl FnMut(Vec<String>)) -> Result<()> {
    let is_table = is_table(path);
    let mut text = Text::open(path)?;
    let mut memory = vec![];
    if is_table {
        text.next_line(&mut memory)?;
    }
    // Blank lines may only end the file.
    let mut blank = None;
    while let Some(line) = text.next_line(&mut memory)? {
        let wrong = |number, reason| wrong_line(path, number, reason);
        let number = text.lines();
        if line.trim_ascii().is_empty() {
            blank = blank.or(Some(number));
            continue;
        }
        if let Some(blank) = blank {
            return Err(wrong(blank, "is blank"));
        }
        let line = str::from_utf8(line).map_err(|_| wrong(number, "is not text in UTF-8"))?;
        if line.contains('\0') {
            return Err(wrong(number, "holds a zero byte, which is no text"));
        }
        let fields = match is_table {
            true => comma_separated(line),
            false => line.split('\t').map(str::to_owned).collect(),
        };
        if fields[0].is_empty() {
            return Err(wrong(number, "has no name in its first column"));
        }
        visit(fields);
    }
    Ok(())
}

/// Whether a file has fields between commas and a line with their names, as Parse's have.
fn is_table(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix(".gz").unwrap_or(&name).ends_with(".csv")
}

/// The fields of a line, some perhaps in quotes; a quote within those is doubled.
fn comma_separated(line: &str) -> Vec<String> {
    let mut fields = vec![];
    let mut field = String::new();
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '"' if quoted && rest.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    fields.push(field);
    fields
}
