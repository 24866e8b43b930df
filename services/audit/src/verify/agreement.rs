//! Packs, their ratifications, and the policy.

use std::collections::{BTreeMap, BTreeSet};

use convenio_agreement::Pack;
use convenio_agreement::digest::Files;
use convenio_log::Policy;
use convenio_seal::{Envelope, TrustFile, ratify_from, verify_ratify};

use crate::bundle::Bundle;
use crate::keys::{LogKeys, is_cosigner};
use crate::problem::{Check, Problem, Problems};

const PACKS: &str = "packs/";
const POLICY: &str = "policy";
const MAX_SMALL: u64 = 1024 * 1024;

/// Loads every pack and checks who ratified it; checks the policy.
pub(super) fn check(
    bundle: &Bundle,
    trust: &TrustFile,
    keys: &[Option<LogKeys>],
    problems: &mut Problems,
) -> BTreeMap<[u8; 32], Pack> {
    check_policy(bundle, keys, problems);
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
        if !trust.trusts(pack.id(), &pack.digest()) {
            problems.push(Problem::new(Check::Trust, "the trust file does not name this digest").at(&prefix));
        }
        check_ratifications(bundle, trust, &pack, keys, problems);
        packs.insert(pack.digest(), pack);
    }
    packs
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

fn check_ratifications(
    bundle: &Bundle,
    trust: &TrustFile,
    pack: &Pack,
    keys: &[Option<LogKeys>],
    problems: &mut Problems,
) {
    for party in pack.parties() {
        let path = format!("ratifications/{}/{}.dsse.json", hex::encode(pack.digest()), party.id);
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
                let issuers = keys.iter().flatten().map(|keys| &keys.issuer);
                let own = issuers.filter(|issuer| issuer.party == party.id).all(|issuer| issuer.node == said.node);
                if said.digest != pack.digest() || said.agreement != pack.id() || !own {
                    let text = "ratifies another agreement, or for another node";
                    problems.push(Problem::new(Check::Agreement, text).at(path));
                }
            }
            Err(text) => problems.push(Problem::new(Check::Agreement, text).at(path)),
        }
    }
}

/// The policy must name the keys of the logs and their partners' mirrors, and nothing else.
fn check_policy(bundle: &Bundle, keys: &[Option<LogKeys>], problems: &mut Problems) {
    let Some(bytes) = bundle.read(POLICY, MAX_SMALL, problems) else { return };
    let mut bad = |text: String| problems.push(Problem::new(Check::Policy, text).at(POLICY));
    let policy = match Policy::parse(&bytes) {
        Ok(policy) => policy,
        Err(error) => return bad(error.to_string()),
    };
    let known: Vec<&LogKeys> = keys.iter().flatten().collect();
    let named: BTreeSet<String> = policy.logs().iter().map(|log| log.key().to_string()).collect();
    let expected: BTreeSet<String> = known.iter().map(|keys| keys.log.to_string()).collect();
    if named != expected {
        bad("names other log keys than the roots authorised".into());
    }
    for witness in policy.witnesses() {
        let key = witness.key();
        let authorised = known
            .iter()
            .map(|keys| &keys.issuer)
            .any(|issuer| is_cosigner(key.name(), &issuer.node, "mirror") && *key.public_key() == issuer.mirror.raw());
        if !authorised {
            bad(format!("names a cosigner `{}` that the roots did not authorise", key.name()));
        }
    }
    if !policy.witnesses().is_empty() && policy.to_string().ends_with("quorum none\n") {
        bad("has mirrors, but no quorum".into());
    }
}
