//! R's objects as slices that the core borrows.

use extendr_api::prelude::*;
use scoria_core::{Error, Result};
use std::collections::HashMap;

/// A named list from R, its entries borrowed as slices.
pub struct Named(HashMap<&'static str, Robj>);

impl Named {
    pub fn of(list: List) -> Self {
        Self(list.try_into().expect("a list of R values"))
    }

    pub fn doubles(&self, name: &'static str) -> Result<&[f64]> {
        self.doubles_or_none(name)?.ok_or(Self::wrong(name, "a double vector"))
    }

    /// None where the entry is NULL.
    pub fn doubles_or_none(&self, name: &'static str) -> Result<Option<&[f64]>> {
        match self.0.get(name).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => {
                value.as_real_slice().ok_or(Self::wrong(name, "a double vector")).map(Some)
            }
        }
    }

    pub fn integers(&self, name: &'static str) -> Result<&[i32]> {
        self.integers_or_none(name)?.ok_or(Self::wrong(name, "an integer vector"))
    }

    pub fn integers_or_none(&self, name: &'static str) -> Result<Option<&[i32]>> {
        match self.0.get(name).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => {
                value.as_integer_slice().ok_or(Self::wrong(name, "an integer vector")).map(Some)
            }
        }
    }

    /// One number; None where the entry is NULL.
    pub fn number_or_none(&self, name: &'static str) -> Result<Option<f64>> {
        match self.doubles_or_none(name)? {
            None => Ok(None),
            Some(&[number]) => Ok(Some(number)),
            Some(_) => Err(Self::wrong(name, "one number")),
        }
    }

    pub fn number(&self, name: &'static str) -> Result<f64> {
        self.number_or_none(name)?.ok_or(Self::wrong(name, "one number"))
    }

    pub fn text(&self, name: &'static str) -> Result<&str> {
        self.text_or_none(name)?.ok_or(Self::wrong(name, "a string"))
    }

    pub fn text_or_none(&self, name: &'static str) -> Result<Option<&str>> {
        match self.0.get(name).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => value.as_str().ok_or(Self::wrong(name, "a string")).map(Some),
        }
    }

    pub fn texts(&self, name: &'static str) -> Result<Vec<String>> {
        let value = self.0.get(name).and_then(Robj::as_string_vector);
        value.ok_or(Self::wrong(name, "a character vector"))
    }

    pub fn list(&self, name: &'static str) -> Result<List> {
        self.list_or_none(name)?.ok_or(Self::wrong(name, "a list"))
    }

    pub fn list_or_none(&self, name: &'static str) -> Result<Option<List>> {
        match self.0.get(name).filter(|value| !value.is_null()) {
            None => Ok(None),
            Some(value) => value.as_list().ok_or(Self::wrong(name, "a list")).map(Some),
        }
    }

    pub fn flag(&self, name: &'static str) -> Result<bool> {
        let value = self.0.get(name).and_then(Robj::as_bool);
        value.ok_or(Self::wrong(name, "TRUE or FALSE"))
    }

    pub fn bytes(&self, name: &'static str) -> Result<&[u8]> {
        let value = self.0.get(name).and_then(Robj::as_raw_slice);
        value.ok_or(Self::wrong(name, "a raw vector"))
    }

    /// One whole number, not negative.
    pub fn whole(&self, name: &'static str) -> Result<usize> {
        let value = self.0.get(name).and_then(Robj::as_integer);
        let whole = value.and_then(|value| usize::try_from(value).ok());
        whole.ok_or(Self::wrong(name, "a whole number"))
    }

    pub fn wrong(name: &'static str, expected: &'static str) -> Error {
        Error::Argument { name, value: "missing or of another type".into(), expected }
    }
}
