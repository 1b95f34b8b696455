//! The functions that R can call. Each one only translates: the work is in the
//! core, and every failure is reported as a value.

mod guard;
mod input;
mod counts;
mod column;
mod fit_models;
mod zero_inflated;
mod fit_mixed;
mod fit_screen;
mod h5ad_result;
mod dispersions;
mod files;
mod test_groups;
mod shrink;
mod ash;
mod mash;
mod simulate;

use extendr_api::prelude::*;

extendr_module! {
    mod scoria;
    use fit_models;
    use zero_inflated;
    use fit_mixed;
    use fit_screen;
    use h5ad_result;
    use dispersions;
    use files;
    use test_groups;
    use shrink;
    use ash;
    use mash;
    use simulate;
}
