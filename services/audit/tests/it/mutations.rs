//! Random changes of valid bundles, each to be found where it was made; and valid bundles, none to be accused.
//!
//! Each pair of bundles is judged against a trust file that pins a checkpoint of both logs. The share in every test
//! run follows from one seed; `cargo xtask mutations --count 10000 --seed 1 --valid 1000` plays any number.
//!
//! What no audit can detect, and is therefore not drawn:
//! - a past that *both* states rewrote together, past the pinned checkpoints and without an independent witness;
//! - entries that one state signed and dropped before the partner or a pin had seen them (an undelivered tail);
//! - a bundle that ends at an earlier, once valid head, where no pin, position or entangled checkpoint lies past it;
//! - cosignatures left out of the issuer's own log, and kept checkpoints left out: optional evidence, less of it;
//! - unknown signature lines on a checkpoint, which signed-note ignores: the manifest's signer answers for them;
//! - what the exporter says it refused locally (`evidence/refusals`): the word of one side;
//! - whether what was recorded is true.

mod forge;
mod site;
mod story;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use convenio_agreement::Pack;
use convenio_audit::{Comparison, Problem, TrustFile, compare};

use crate::export::draft;
use crate::pair::{CA, Pair, SV, origin, pack};
use forge::{Forger, Forgery, KINDS, Kind, Place, Scene};
use site::{Files, Site};
use story::{Dice, story};

/// What was played, by kind and forger.
#[derive(Default)]
struct Tally {
    valid: u64,
    found: BTreeMap<(Kind, Forger), u64>,
    faults: Vec<String>,
}

#[test]
fn a_share_of_the_mutations_is_found_and_no_valid_bundle_accused() {
    let tally = play(1, 4, 72);
    assert!(tally.faults.is_empty(), "{}", tally.faults.join("\n"));
    assert_eq!((tally.valid, tally.found.values().sum()), (4, 72));
    assert_eq!(tally.found.len(), 2 * KINDS.len(), "every kind by every forger");
}

/// `cargo xtask mutations` plays this with `MUTATIONS="<seed> <valid> <count>"`.
#[test]
#[ignore = "any number of mutations: cargo xtask mutations"]
fn mutations_in_any_number() {
    let words = std::env::var("MUTATIONS").unwrap_or_else(|_| "1 100 1000".into());
    let numbers: Vec<u64> = words.split(' ').map(|word| word.parse().unwrap()).collect();
    let [seed, valid, count] = numbers[..] else { panic!("MUTATIONS is `<seed> <valid> <count>`") };
    let tally = play(seed, valid, count);
    println!("{} valid bundle pairs, none accused", tally.valid);
    for ((kind, by), found) in &tally.found {
        println!("{:<10} {:<9} {found} found at the right place", format!("{kind:?}"), format!("{by:?}"));
    }
    println!("{} mutations, {} faults", tally.found.values().sum::<u64>(), tally.faults.len());
    assert!(tally.faults.is_empty(), "{}", tally.faults.join("\n"));
}

/// Plays `valid` pairs and `count` mutations of them on every core.
fn play(seed: u64, valid: u64, count: u64) -> Tally {
    let (tally, pack) = (Mutex::new(Tally::default()), pack());
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                let mut sites = [Site::new(), Site::new()];
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= valid {
                        break;
                    }
                    // Mutation m is of pair m mod valid.
                    let mutations = (number..count).step_by(valid as usize);
                    round(&pack, seed, number, mutations, &mut sites, &tally);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

/// One valid pair, and its mutations.
fn round(
    pack: &Pack,
    seed: u64,
    number: u64,
    mutations: impl Iterator<Item = u64>,
    sites: &mut [Site; 2],
    tally: &Mutex<Tally>,
) {
    let drawn = |number: u64| seed.wrapping_mul(1_000_003).wrapping_add(number);
    let pair = story(pack.clone(), drawn(number));
    let other = story(pack.clone(), drawn(number) ^ 1 << 60);
    let trust = pinned(&pair);
    let honest = [SV, CA].map(|node| sealed(&pair, node));
    let mut both = |sv: &Files, ca: &Files| {
        sites[SV].hold(sv);
        sites[CA].hold(ca);
        compare(sites[SV].path(), sites[CA].path(), &trust)
    };
    let fault = match both(&honest[SV], &honest[CA]) {
        Ok(found) if found.holds => None,
        Ok(found) => Some(format!("accused: {:#?}", problems(&found))),
        Err(error) => Some(error.to_string()),
    };
    if let Some(fault) = fault {
        tally.lock().unwrap().faults.push(format!("valid pair {number}: {fault}"));
        return;
    }
    tally.lock().unwrap().valid += 1;
    for mutation in mutations {
        let dice = Dice::new(drawn(mutation), "mutation");
        let drawn = mutation as usize;
        let (kind, by) = (KINDS[drawn % KINDS.len()], [Forger::Carrier, Forger::Exporter][drawn / KINDS.len() % 2]);
        let exporter = *dice.one(&[SV, CA]);
        let scene = Scene { pair: &pair, other: &other, exporter, honest: &honest[exporter], dice: &dice };
        let forged = scene.forge(kind, by);
        let found = match exporter {
            SV => both(&forged.files, &honest[CA]),
            _ => both(&honest[SV], &forged.files),
        };
        let fault = found.map_or_else(|error| Some(error.to_string()), |found| judge(&found, exporter, &forged));
        let mut tally = tally.lock().unwrap();
        match fault {
            Some(fault) => tally.faults.push(format!("mutation {mutation} of pair {number}, {}: {fault}", forged.what)),
            None => *tally.found.entry((kind, by)).or_default() += 1,
        }
    }
}

fn sealed(pair: &Pair, node: usize) -> Files {
    draft(pair, node).sealed("convenio-bundle/v1", &pair.nodes[node].keys.log)
}

/// The trust file with the last delivered head of each log.
fn pinned(pair: &Pair) -> TrustFile {
    let pin = |node: usize| {
        let size = *pair.nodes[node].cosigned.keys().last().unwrap();
        let text = pair.head(node, size).checkpoint().text();
        format!("checkpoint {} {size} {}\n", origin(node), text.lines().nth(2).unwrap())
    };
    TrustFile::parse(&format!("{}{}{}", pair.trust(), pin(SV), pin(CA))).unwrap()
}

/// Problems of the comparison, and of either bundle.
fn problems(found: &Comparison) -> Vec<&Problem> {
    found.a.problems.iter().chain(&found.b.problems).chain(&found.problems).collect()
}

/// Why the forgery was not found where it was made, if it was not.
fn judge(found: &Comparison, exporter: usize, forged: &Forgery) -> Option<String> {
    let (forged_side, honest_side) = if exporter == SV { (&found.a, &found.b) } else { (&found.b, &found.a) };
    if found.holds {
        return Some("not found".into());
    }
    if !honest_side.holds {
        return Some(format!("the honest bundle is accused: {:#?}", honest_side.problems));
    }
    let here = |problem: &&Problem| match &forged.place {
        Place::Files(paths) => problem.path.as_ref().is_some_and(|path| paths.contains(path)),
        Place::Log(origin) => problem.origin.as_ref() == Some(origin),
        Place::Entry(origin, index) => problem.origin.as_ref() == Some(origin) && problem.index == Some(*index),
    };
    let told: Vec<&Problem> = forged_side.problems.iter().chain(&found.problems).collect();
    (!told.iter().any(here)).then(|| format!("not at {:?}: {told:#?}", forged.place))
}
