//! Every format over its corpus, and over thousands of mutations of it that follow from a seed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use convenio_fuzz::{TARGETS, play};
use convenio_model::{Entropy, SeededEntropy};

/// Whether a format accepts these bytes.
type Accepts<'a> = &'a dyn Fn(&[u8]) -> bool;

/// Mutations of each format.
const MUTATIONS: usize = 3_000;

/// What is put into inputs beside their own bytes: what the formats set their parts off with.
const TOKENS: &[&[u8]] = &[
    b"\n",
    b"\n\n",
    "\u{2014} ".as_bytes(),
    b"+",
    b" ",
    b"=",
    b"0",
    b"-1",
    b"9223372036854775808",
    b"18446744073709551616",
    b".p/",
    b"/x",
    b"old 0\n",
    b"\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\r\n",
    "\u{feff}".as_bytes(),
];

#[test]
fn every_format_holds_over_its_corpus_and_its_mutations() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name}");
        seeds.iter().for_each(|seed| target(seed));
        let dice = SeededEntropy::labelled(1, name);
        for _ in 0..MUTATIONS {
            let mut input = seeds[below(&dice, seeds.len())].clone();
            for _ in 0..=below(&dice, 4) {
                mutate(&mut input, &seeds, &dice);
            }
            // An assertion names the format and the input, so that it can join the corpus.
            let held = std::panic::catch_unwind(|| play(name, &input));
            assert!(held.is_ok(), "{name} fails on {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn each_format_has_a_corpus_and_a_target_of_libfuzzer() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, listed("corpus", ""));
    assert_eq!(names, listed("libfuzzer/targets", ".rs"));
}

/// A corpus that nothing is read from would prove nothing: each format accepts some of its own.
#[test]
fn the_corpus_is_of_its_format() {
    use convenio_agreement::Pack;
    use convenio_log::{Note, Policy, SignedCheckpoint, TlogProof, VerifierKey, witness::AddCheckpoint};
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap_or_default();
    let accepted: [(&str, Accepts<'_>); 11] = [
        ("pack", &|bytes| convenio_fuzz::pack_files(bytes).is_some_and(|files| Pack::from_files(files).is_ok())),
        ("note", &|bytes| Note::parse(bytes).is_ok()),
        ("checkpoint", &|bytes| SignedCheckpoint::parse(bytes).is_ok()),
        ("tlog_proof", &|bytes| TlogProof::parse(bytes).is_ok()),
        ("witness_request", &|bytes| AddCheckpoint::parse(bytes).is_ok()),
        ("policy", &|bytes| Policy::parse(bytes).is_ok()),
        ("vkey", &|bytes| text(bytes).parse::<VerifierKey>().is_ok()),
        ("entry", &|bytes| convenio_seal::open_entry(bytes).is_ok()),
        ("envelope", &|bytes| convenio_seal::Envelope::parse(bytes).is_ok()),
        ("trust", &|bytes| convenio_seal::TrustFile::parse(&text(bytes)).is_ok()),
        ("key_manifest", &|bytes| convenio_seal::ManifestKeys::parse(bytes).is_ok()),
    ];
    for (name, accepts) in accepted {
        assert!(seeds(name).iter().any(|seed| accepts(seed)), "{name}");
    }
}

fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &SeededEntropy) {
    let at = below(dice, input.len() + 1);
    let end = at + below(dice, (input.len() - at + 1).min(40));
    match below(dice, 7) {
        0 if at < input.len() => input[at] ^= 1 << below(dice, 8),
        1 if at < input.len() => input[at] = below(dice, 256) as u8,
        2 => drop(input.drain(at..end)),
        3 => {
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        4 => drop(input.splice(at..at, TOKENS[below(dice, TOKENS.len())].iter().copied())),
        5 => {
            let other = &seeds[below(dice, seeds.len())];
            let from = below(dice, other.len() + 1);
            input.splice(at.., other[from..].iter().copied());
        }
        _ => input.truncate(at),
    }
}

fn below(dice: &SeededEntropy, end: usize) -> usize {
    let mut bytes = [0; 8];
    dice.fill(&mut bytes);
    (u64::from_be_bytes(bytes) % end.max(1) as u64) as usize
}

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder("corpus").join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn listed(path: &str, suffix: &str) -> BTreeSet<String> {
    let names = fs::read_dir(folder(path)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.strip_suffix(suffix).unwrap_or(&name).to_owned()).collect()
}
