//! Data frames and 10x features, in every form in which they have been written.

#[path = "frame/fixture.rs"]
mod fixture;
#[path = "frame/encodings.rs"]
mod encodings;
#[path = "frame/earlier.rs"]
mod earlier;
#[path = "frame/refusal.rs"]
mod refusal;
#[path = "frame/matrices.rs"]
mod matrices;
#[path = "frame/tenx.rs"]
mod tenx;
