//! Examples of an agreement that can be played: `agreements/<id>/examples/*.toml`, steps of the states' own systems against
//! real nodes.
//!
//! A [`Script`] is read and checked whole before anything is called; a [`Stage`] knows the messages of the agreements that
//! it is played under; a [`Player`] plays it once for everybody and once for each worker. Every value that a script does
//! not give itself is drawn from a seed, so that a play can be repeated.

mod calendar;
mod call;
mod codec;
mod draw;
mod file;
mod people;
mod play;
mod state;
mod value;

pub use calendar::{BadDay, Day};
pub use call::{Nodes, Stage, StageError, passes};
pub use draw::{Draw, id};
pub use file::{Expected, Script, ScriptError, Step, When, list};
pub use play::{PlayError, Played, Player};
