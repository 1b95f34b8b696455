//! The functions that R can call.
