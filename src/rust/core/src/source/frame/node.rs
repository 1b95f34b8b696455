use super::super::hdf5::has_attribute;
use super::table::Table;
use super::{Unread, text};
use crate::{Error, Result};
use hdf5_metno as hdf5;
use hdf5_metno::{Attribute, File, Group, LinkType, Location, LocationType};
use std::fmt::Display;
use std::path::PathBuf;

/// Where in a file something is, to say so where it cannot be used.
#[derive(Clone, Debug)]
pub struct At {
    path: PathBuf,
    name: String,
}

impl At {
    pub fn under(&self, name: &str) -> Self {
        let name = if self.name.is_empty() { name.into() } else { format!("{}/{name}", self.name) };
        Self { path: self.path.clone(), name }
    }

    pub fn wrong(&self, reason: impl Into<String>) -> Error {
        let dataset = if self.name.is_empty() { "/" } else { &self.name }.to_owned();
        let path = self.path.clone();
        Error::InputData { path, dataset, reason: reason.into() }
    }

    /// Of what HDF5 itself says.
    pub fn damaged(&self, error: impl Display) -> Error {
        self.wrong(format!("it is damaged ({error})"))
    }

    /// Where it must be read.
    pub fn refused(&self, unread: Unread) -> Error {
        match unread {
            Unread::Unknown(reason) => self.wrong(reason),
            Unread::Wrong(error) => error,
        }
    }
}

/// What a name leads to.
#[derive(Debug)]
pub enum Node {
    Folder(Folder),
    Table(Table),
}

impl Node {
    pub fn at(&self) -> &At {
        match self {
            Node::Folder(folder) => &folder.at,
            Node::Table(table) => &table.at,
        }
    }
}

/// A group.
#[derive(Debug)]
pub struct Folder {
    group: Group,
    pub at: At,
}

impl Folder {
    pub fn root(file: &File) -> Result<Self> {
        let at = At { path: file.filename().into(), name: String::new() };
        let group = file.group("/").map_err(|error| at.damaged(error))?;
        Ok(Self { group, at })
    }

    /// What is there under a name, or a path of names; None where nothing is.
    ///
    /// # Errors
    /// Where a link on the way leads elsewhere: even one within the file may pass through
    /// one to another file.
    pub fn find(&self, path: &str) -> Result<Option<Node>> {
        let mut names = path.split('/');
        let mut found = self.child(names.next().unwrap_or_default())?;
        for name in names {
            found = match found {
                Some(Node::Folder(folder)) => folder.child(name)?,
                _ => None,
            };
        }
        Ok(found)
    }

    fn child(&self, name: &str) -> Result<Option<Node>> {
        let at = self.at.under(name);
        let found = self.group.find_link(Default::default(), Default::default(), |link, info| {
            Ok((link == name).then_some(info.link_type))
        });
        match found.map_err(|error| self.at.damaged(error))? {
            None => return Ok(None),
            Some(LinkType::Hard) => {}
            Some(LinkType::Soft | LinkType::External) => {
                return Err(at.wrong("it is a link to elsewhere, which is not followed"));
            }
        }
        match self.group.loc_type_by_name(name).map_err(|error| at.damaged(error))? {
            LocationType::Group => {
                let group = self.group.group(name).map_err(|error| at.damaged(error))?;
                Ok(Some(Node::Folder(Folder { group, at })))
            }
            LocationType::Dataset => {
                let dataset = self.group.dataset(name).map_err(|error| at.damaged(error))?;
                Ok(Some(Node::Table(Table::of(dataset, at)?)))
            }
            _ => Err(at.wrong("it is neither a group nor a dataset")),
        }
    }

    pub fn node(&self, name: &str) -> Result<Node> {
        self.find(name)?.ok_or_else(|| self.at.under(name).wrong("it is not there"))
    }

    pub fn table(&self, name: &str) -> Result<Table> {
        match self.node(name)? {
            Node::Table(table) => Ok(table),
            Node::Folder(folder) => Err(folder.at.wrong("it is a group, not a dataset")),
        }
    }

    pub fn folder(&self, name: &str) -> Result<Folder> {
        match self.node(name)? {
            Node::Folder(folder) => Ok(folder),
            Node::Table(table) => Err(table.at.wrong("it is a dataset, not a group")),
        }
    }

    /// All names in it, in order.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = self.group.member_names().map_err(|error| self.at.damaged(error))?;
        names.sort();
        // The library takes it for granted that they are UTF-8.
        if names.iter().any(|name| str::from_utf8(name.as_bytes()).is_err()) {
            return Err(self.at.wrong("it has a name that is not UTF-8"));
        }
        Ok(names)
    }

    pub fn attribute_text(&self, name: &str) -> Result<Option<String>> {
        attribute_text(&self.group, &self.at, name)
    }

    pub fn attribute_texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        attribute_texts(&self.group, &self.at, name)
    }

    /// Extents of a sparse matrix, under the names that it has had.
    pub fn attribute_shape(&self) -> Result<Option<Vec<usize>>> {
        for name in ["shape", "h5sparse_shape"] {
            let Some(shape) = attribute(&self.group, &self.at, name)? else { continue };
            let extent = |extent| usize::try_from(extent).map_err(|_| "a negative one".to_owned());
            let read = match shape.size() {
                2 => shape.read_raw::<i64>().map_err(|error| error.to_string()),
                other => Err(format!("{other} numbers, not two")),
            };
            let extents = read.and_then(|extents| extents.into_iter().map(extent).collect());
            let wrong = |error| self.at.wrong(format!("its attribute {name:?}: {error}"));
            return extents.map(Some).map_err(wrong);
        }
        Ok(None)
    }

    pub fn location(&self) -> &Location {
        &self.group
    }
}

pub fn attribute(place: &Location, at: &At, name: &str) -> Result<Option<Attribute>> {
    match has_attribute(place, name) {
        Some(true) => place.attr(name).map(Some).map_err(|error| at.damaged(error)),
        Some(false) => Ok(None),
        None => Err(at.damaged("its attributes cannot be read")),
    }
}

/// One string.
pub fn attribute_text(place: &Location, at: &At, name: &str) -> Result<Option<String>> {
    match attribute_texts(place, at, name)?.map(<[String; 1]>::try_from) {
        None => Ok(None),
        Some(Ok([text])) => Ok(Some(text)),
        Some(Err(_)) => Err(at.wrong(format!("its attribute {name:?} is not one string"))),
    }
}

/// Strings; of no strings, the type may be any.
pub fn attribute_texts(place: &Location, at: &At, name: &str) -> Result<Option<Vec<String>>> {
    let Some(attribute) = attribute(place, at, name)? else { return Ok(None) };
    let read = || -> hdf5::Result<Vec<String>> {
        let size = attribute.space()?.size();
        if size == 0 {
            return Ok(vec![]);
        }
        if size > MOST_STRINGS {
            return Err(format!("{size} strings are too many").into());
        }
        text::of_attribute(&attribute)
    };
    read().map(Some).map_err(|error| at.wrong(format!("its attribute {name:?}: {error}")))
}

/// Of an attribute.
const MOST_STRINGS: usize = 1 << 16;
