//! What a record costs beside its signature: `cargo bench -p convenio-agreement --bench record`.
//!
//! For every message of the pack with the most fields: projecting it, rules included; and accepting it, less what merely
//! decoding it costs. Medians over the messages, in microseconds of this thread on its processor, and as a ratio to one
//! verification of an Ed25519 signature in the same run.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use convenio_agreement::lifecycle::StageId;
use convenio_agreement::plan::Sources;
use convenio_agreement::{Pack, pack};
use prost_reflect::DynamicMessage;
use rustix::time::{ClockId, clock_gettime};

#[path = "../tests/it/arbitrary.rs"]
mod arbitrary;

/// Calls of one measure, and measures of which the fastest counts.
const BATCH: u32 = 200;
const ROUNDS: usize = 9;
/// Draws of arbitrary records, until each message could be built.
const DRAWS: u8 = 32;

fn agreements() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/agreements")
}

/// Processor time of this thread, microseconds.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Microseconds of one call.
fn cost(mut call: impl FnMut()) -> f64 {
    let measure = |call: &mut dyn FnMut()| {
        let start = now();
        (0..BATCH).for_each(|_| call());
        (now() - start) / f64::from(BATCH)
    };
    (0..ROUNDS).map(|_| measure(&mut call)).fold(f64::INFINITY, f64::min)
}

fn ed25519() -> f64 {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let message = [42; 400];
    let signature = pair.sign(&message);
    let key = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
    cost(|| key.verify(black_box(&message), signature.as_ref()).unwrap())
}

/// The pack with the most fields that may cross.
fn largest() -> Pack {
    let packs = pack::list(&agreements()).unwrap().into_iter().map(|id| Pack::load(&agreements(), &id).unwrap());
    packs.max_by_key(|pack| pack.messages().map(|plan| plan.fields.len()).sum::<usize>()).unwrap()
}

/// What one message costs, microseconds.
struct Measured {
    name: String,
    fields: usize,
    bytes: usize,
    project: f64,
    validate: f64,
    decode: f64,
}

fn measure(pack: &Pack, name: &str, sources: &Sources, stage: StageId) -> Option<Measured> {
    let bytes = pack.project(name, sources, stage).ok()?;
    let plan = pack.message(name).unwrap();
    let decode = cost(|| {
        black_box(DynamicMessage::decode(plan.descriptor.clone(), bytes.as_slice()).unwrap());
    });
    let accept = cost(|| {
        black_box(pack.accept(name, black_box(&bytes), stage).unwrap());
    });
    let project = cost(|| {
        black_box(pack.project(name, black_box(sources), stage).unwrap());
    });
    let (name, fields) = (plan.descriptor.name().to_owned(), plan.fields.len());
    Some(Measured { name, fields, bytes: bytes.len(), project, validate: accept - decode, decode })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let pack = largest();
    let stage = pack.lifecycle().stage(pack.config().stages.last().unwrap()).unwrap();
    let before = ed25519();
    let mut all: Vec<Measured> = Vec::new();
    for plan in pack.messages() {
        let mut draws = (0..DRAWS).map(|seed| arbitrary::sources(&pack, &mut arbitrary::Dice::new(seed), plan.name()));
        match draws.find_map(|sources| measure(&pack, plan.name(), &sources, stage)) {
            Some(measured) => all.push(measured),
            None => {
                let sources = arbitrary::sources(&pack, &mut arbitrary::Dice::new(0), plan.name());
                let why = pack.project(plan.name(), &sources, stage).err();
                println!("{} was never lawful in {DRAWS} draws: {why:?}", plan.name());
            }
        }
    }
    let verify = f64::midpoint(before, ed25519());
    println!("{}: {} messages; Ed25519 verification {verify:.1} µs", pack.id(), all.len());
    println!("{:<28} {:>6} {:>6} {:>10} {:>10} {:>10}", "message", "fields", "bytes", "project", "validate", "decode");
    for m in &all {
        println!(
            "{:<28} {:>6} {:>6} {:>8.2}µs {:>8.2}µs {:>8.2}µs",
            m.name, m.fields, m.bytes, m.project, m.validate, m.decode
        );
    }
    for (what, values) in [
        ("projection with validation", all.iter().map(|m| m.project).collect::<Vec<_>>()),
        ("validation on top of decoding", all.iter().map(|m| m.validate).collect()),
        ("both", all.iter().map(|m| m.project + m.validate).collect()),
    ] {
        let median = median(values);
        println!("median {what}: {median:.2} µs, {:.2} of a verification", median / verify);
    }
}
