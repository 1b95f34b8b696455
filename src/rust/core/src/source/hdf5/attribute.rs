use hdf5_metno::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5_metno::{Attribute, Location};

/// Letters of a text of fixed length: longer ones are cut off.
const LONGEST: usize = 256;

/// The text of an attribute, in whichever of HDF5's ways it is stored; None where there
/// is none of that name, or it is no text.
pub fn text_attribute(location: &Location, name: &str) -> Option<String> {
    let attribute = existing(location, name)?;
    if attribute.size() != 1 {
        return None;
    }
    match attribute.dtype().ok()?.to_descriptor().ok()? {
        TypeDescriptor::VarLenUnicode => {
            attribute.read_scalar::<VarLenUnicode>().ok().map(|text| text.to_string())
        }
        TypeDescriptor::VarLenAscii => {
            attribute.read_scalar::<VarLenAscii>().ok().map(|text| text.to_string())
        }
        TypeDescriptor::FixedUnicode(_) => {
            attribute.read_scalar::<FixedUnicode<LONGEST>>().ok().map(|text| text.to_string())
        }
        TypeDescriptor::FixedAscii(_) => {
            attribute.read_scalar::<FixedAscii<LONGEST>>().ok().map(|text| text.to_string())
        }
        _ => None,
    }
}

/// Two whole numbers: the shape of a matrix.
pub fn shape_attribute(location: &Location, name: &str) -> Option<[usize; 2]> {
    let attribute = existing(location, name).filter(|attribute| attribute.size() == 2)?;
    let values: [i64; 2] = attribute.read_raw().ok()?.try_into().ok()?;
    let [first, second] = values.map(usize::try_from);
    Some([first.ok()?, second.ok()?])
}

/// Asked for by its name alone: HDF5 reports an error where there is none.
fn existing(location: &Location, name: &str) -> Option<Attribute> {
    let names = location.attr_names().ok()?;
    names.iter().any(|found| found == name).then(|| location.attr(name).ok())?
}
