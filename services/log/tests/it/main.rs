//! The log's formats from outside: vectors that other programs made, and properties of what is read and written.
#![allow(clippy::unwrap_used)]

mod properties;
mod vectors;
