//! Configuration and composition, with real files, certificates, packs and ports.
#![allow(clippy::unwrap_used)]

mod it {
    mod config;
    mod fixture;
    mod life;
}
