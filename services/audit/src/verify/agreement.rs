//! Packs, their ratifications, and the policy.

use std::collections::{BTreeMap, BTreeSet};

use convenio_agreement::Pack;
use convenio_agreement::config::{Party, WitnessPolicy};
use convenio_agreement::digest::Files;
use convenio_log::VerifierKey;
use convenio_seal::{Envelope, TrustFile, check_counts, ratify_from, verify_ratify};

use crate::bundle::{Bundle, LogLine};
use crate::keys::{KeyBook, Opening, cosigner};
use crate::problem::{Check, Problem, Problems};

const PACKS: &str = "packs/";
const POLICY: &str = "policy";
const MAX_SMALL: u64 = 1024 * 1024;

/// Loads every pack.
pub(super) fn packs(bundle: &Bundle, trust: &TrustFile, problems: &mut Problems) -> BTreeMap<[u8; 32], Pack> {
    let folder = |path: &str| path[PACKS.len()..].split_once('/').map(|(folder, _)| folder.to_owned());
    let folders: BTreeSet<String> = bundle.below(PACKS).filter_map(folder).collect();
    let mut packs = BTreeMap::new();
    for folder in folders {
        let prefix = format!("{PACKS}{folder}/");
        let bad = |text: String| Problem::new(Check::Agreement, text).at(&prefix);
        let Some(pack) = load(bundle, &prefix, problems) else { continue };
        if hex::encode(pack.digest()) != folder {
            problems.push(bad("the files have another digest than their folder's name".into()));
            continue;
        }
        packs.insert(pack.digest(), pack);
    }
    for (digest, _) in packs.iter().filter(|(_, pack)| !trusted(pack, &packs, trust)) {
        let problem = Problem::new(Check::Trust, "the trust file does not name this digest, nor one that it amends");
        problems.push(problem.at(format!("{PACKS}{}/", hex::encode(digest))));
    }
    packs
}

/// Whether the trust file names a version, or one that it amends, through others in the bundle. That all parties' roots have
/// ratified it is checked as of every version.
pub(super) fn trusted(pack: &Pack, packs: &BTreeMap<[u8; 32], Pack>, trust: &TrustFile) -> bool {
    let mut at = Some(pack);
    // A digest covers the one that it amends: the chain ends.
    while let Some(version) = at {
        if trust.trusts(pack.id(), &version.digest()) {
            return true;
        }
        let Some(before) = version.amends() else { return false };
        if trust.trusts(pack.id(), &before) {
            return true;
        }
        at = packs.get(&before).filter(|before| before.id() == pack.id());
    }
    false
}

/// Checks who ratified the packs, and the policy.
pub(super) fn check(
    bundle: &Bundle,
    trust: &TrustFile,
    packs: &BTreeMap<[u8; 32], Pack>,
    openings: &[Opening],
    book: &KeyBook,
    problems: &mut Problems,
) {
    check_policy(bundle, packs, book, problems);
    for pack in packs.values() {
        let corridors: Vec<Pack> = pack.corridors().into_iter().filter(|corridor| has_log(bundle, corridor)).collect();
        let nodes = check_ratifications(bundle, trust, pack, &corridors, problems);
        for corridor in &corridors {
            let logs = bundle.manifest().logs.iter().zip(openings);
            for (line, opening) in logs.filter(|(line, _)| line.origin.agreement == corridor.id()) {
                check_nodes(line, &opening.keys.party, corridor, &nodes, problems);
            }
        }
    }
}

/// A log goes from the node that one party of its agreement ratified to the node that the other did.
fn check_nodes(line: &LogLine, issuer: &str, pack: &Pack, nodes: &BTreeMap<&str, String>, problems: &mut Problems) {
    let mut bad = |text: String| {
        problems.push(Problem::new(Check::Agreement, text).because("OTHER_PARTY").of(&line.name).entry(0));
    };
    let Some(own) = pack.parties().iter().find(|party| party.id == issuer) else {
        return bad(format!("opened by roots of `{issuer}`, which is no party of the agreement"));
    };
    for party in pack.parties() {
        let (node, what) = match party.id == own.id {
            true => (&line.origin.issuer, "issued by"),
            false => (&line.origin.recipient, "for"),
        };
        // Of a party without a good ratification is told where it is missing.
        if nodes.get(&*party.id).is_some_and(|ratified| ratified != node) {
            bad(format!("{what} `{node}`, which is not the node that `{}` ratified", party.id));
        }
    }
}

fn load(bundle: &Bundle, prefix: &str, problems: &mut Problems) -> Option<Pack> {
    let mut files = Files::new();
    let mut whole = true;
    for path in bundle.below(prefix) {
        let bytes = bundle.read(path, MAX_SMALL, problems);
        let Some(bytes) = bytes else {
            whole = false;
            continue;
        };
        if let Err(error) = files.insert(&path[prefix.len()..], bytes) {
            problems.push(Problem::new(Check::Agreement, error.to_string()).at(path));
            whole = false;
        }
    }
    if !whole {
        return None;
    }
    match Pack::from_files(files) {
        Ok(pack) => Some(pack),
        Err(error) => {
            problems.push(Problem::new(Check::Agreement, error.to_string()).at(prefix));
            None
        }
    }
}

/// Whether the bundle has a log of the agreement, or of this corridor of it.
fn has_log(bundle: &Bundle, corridor: &Pack) -> bool {
    bundle.manifest().logs.iter().any(|line| line.origin.agreement == corridor.id())
}

/// Checks that every party ratified a pack; returns the nodes that they named. Of a regional agreement these are the
/// parties whose logs are here: no node has what others exchange.
fn check_ratifications<'p>(
    bundle: &Bundle,
    trust: &TrustFile,
    pack: &'p Pack,
    corridors: &[Pack],
    problems: &mut Problems,
) -> BTreeMap<&'p str, String> {
    let mut nodes = BTreeMap::new();
    let here = |party: &Party| !pack.config().is_regional() || corridors.iter().any(|c| c.role_of(&party.id).is_some());
    for party in pack.parties().iter().filter(|party| here(party)) {
        let path = format!("ratifications/{}/{}.dsse.json", hex::encode(pack.digest()), party.id);
        // Who takes no part yet has not ratified; whoever reads its log finds out whether it had to.
        if !party.connected && bundle.below(&path).next().is_none() {
            continue;
        }
        let Some(bytes) = bundle.read(&path, MAX_SMALL, problems) else { continue };
        let Some(roots) = trust.roots_of(&party.id) else {
            let text = format!("the trust file names no root of `{}`", party.id);
            problems.push(Problem::new(Check::Trust, text).at(path));
            continue;
        };
        let said = Envelope::parse(&bytes).map_err(|error| error.to_string()).and_then(|envelope| {
            let ratify = ratify_from(&envelope).map_err(|error| error.to_string())?;
            verify_ratify(&ratify, roots).map_err(|error| error.to_string())
        });
        match said {
            Ok(said) => {
                if said.digest != pack.digest() || said.agreement != pack.agreement() {
                    problems.push(Problem::new(Check::Agreement, "ratifies another agreement").at(path));
                } else {
                    let rule = pack.ratification_rule(&party.id);
                    if let Err(why) = check_counts(&said, &rule, &trust.offices, None) {
                        let problem = Problem::new(Check::Agreement, why.to_string());
                        problems.push(problem.because(why.reason()).at(path));
                    }
                    nodes.insert(&*party.id, said.node);
                }
            }
            Err(text) => problems.push(Problem::new(Check::Agreement, text).at(path)),
        }
    }
    nodes
}

/// The policy must name a key of every log, mirrors that roots authorised, the pack's own witnesses, and nothing else. A
/// public key stands in it once, under the name of one of the logs that it signs.
fn check_policy(bundle: &Bundle, packs: &BTreeMap<[u8; 32], Pack>, book: &KeyBook, problems: &mut Problems) {
    let Some(policy) = super::witness::policy(bundle, POLICY, problems) else { return };
    let mut bad = |text: String| problems.push(Problem::new(Check::Policy, text).at(POLICY));
    let lines = &bundle.manifest().logs;
    let own = |line: &LogLine, key: &VerifierKey| {
        book.ring(&line.origin.issuer).all().any(|keys| *key.public_key() == keys.log.raw())
    };
    for log in policy.logs() {
        match lines.iter().find(|line| line.name == log.key().name()) {
            None => bad("names other logs than the bundle holds".into()),
            Some(line) if !own(line, log.key()) => bad("names other log keys than the roots authorised".into()),
            Some(_) => {}
        }
    }
    if lines.iter().any(|line| !policy.logs().iter().any(|log| own(line, log.key()))) {
        bad("names no key of a log that the bundle holds".into());
    }
    let nodes: BTreeSet<&str> = lines.iter().map(|line| line.origin.issuer.as_str()).collect();
    let required = packs.values().filter_map(|pack| match pack.witness_policy() {
        WitnessPolicy::Required { witnesses, .. } => Some(witnesses),
        WitnessPolicy::CollusionNotExcluded => None,
    });
    let third: Vec<_> = required.collect();
    for witness in policy.witnesses() {
        let key = witness.key();
        let of_node = nodes.iter().any(|node| {
            let ring = book.ring(node);
            cosigner(key.name(), node).is_some_and(|(mirror, version)| {
                ring.version(version).is_some_and(|keys| mirror && *key.public_key() == keys.mirror.raw())
            })
        });
        if !of_node && !third.iter().any(|witnesses| witnesses.iter().any(|own| own.key == *key)) {
            bad(format!("names a cosigner `{}` that the roots did not authorise", key.name()));
        }
    }
    if !policy.witnesses().is_empty() && policy.to_string().ends_with("quorum none\n") {
        bad("has mirrors, but no quorum".into());
    }
}
