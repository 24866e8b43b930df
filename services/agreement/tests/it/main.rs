//! Packs as a node loads them: the real one, and copies of it that are broken in one place.
#![allow(missing_docs, clippy::unwrap_used)]

mod arbitrary;
mod diff;
mod fixture;
mod format2;
mod gates;
mod hostile;
mod imports;
mod lint;
mod load;
mod projection;
mod refuse;
mod round;
mod south_south;
mod two_sides;
