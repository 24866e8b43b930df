//! The commands as an officer and an operator run them: real processes, files and ports.
#![allow(clippy::unwrap_used)]

mod it {
    mod ceremony;
    mod demo;
    mod input;
    mod negotiation;
    mod packs;
    mod recovery;
    mod run;
    mod state;
}
