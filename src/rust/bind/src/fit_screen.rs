//! Every gene against every perturbation, for `fit_screen()`.

use crate::guard::{listen, report};
use crate::input::Slots;
use extendr_api::prelude::*;
use scoria_core::design::Membership;
use scoria_core::engine::screen::{
    Comparison, Dispersion, Family, Options, Pairs, Reference, Resampling, StdErr, Test, fit_screen,
};
use scoria_core::result::ScreenBlock;
use scoria_core::{Error, Monitor, Result, pool};
use std::collections::HashMap;
