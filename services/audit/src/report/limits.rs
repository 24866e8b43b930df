//! What a report cannot show, said in it.

use std::collections::{BTreeMap, BTreeSet};

use convenio_agreement::config::WitnessPolicy;
use convenio_log::{SignedCheckpoint, cosignature};
use convenio_seal::{LogOrigin, TrustFile};
use serde::Serialize;

use crate::audit::Audit;
use crate::bundle::{Bundle, MAX_FILE, log_folder};
use crate::language::Catalogue;
use crate::problem::Problems;

/// Something that the report cannot show, or what bounds that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Stable code.
    pub code: &'static str,
    /// For people.
    pub text: String,
}

pub(super) fn of(audit: &Audit, trust: &TrustFile, say: &Catalogue) -> Vec<Limit> {
    let limit = |code, text| Limit { code, text };
    let mut found = vec![match witnesses(audit) {
        Some(names) => {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            limit("INDEPENDENT_WITNESS", say.with("limit-witnessed", [("names", names.into())]))
        }
        None => limit("COLLUSION_NOT_EXCLUDED", say.say("limit-collusion")),
    }];
    let logs: Vec<_> =
        audit.bundles().flat_map(|bundle| &bundle.manifest().logs).map(|log| log.name.as_str()).collect();
    let pinned = trust.checkpoints.iter().filter(|pinned| logs.contains(&&*pinned.origin.to_string())).count();
    if pinned > 0 {
        found.push(limit("PINNED", say.with("limit-pinned", [("count", pinned.into())])));
    }
    found.push(limit("OUTSIDE_THE_LOGS", say.say("limit-outside")));
    if audit.refusals().next().is_some() {
        found.push(limit("WORD_OF_ONE_SIDE", say.say("limit-word")));
    }
    found.push(limit("STATED_NOT_TRUE", say.say("limit-values")));
    found
}

/// The independent witnesses, if the agreements name some and a quorum of them cosigned the latest head of every log. Each
/// state has the cosignatures of its own logs: those of the partner's may stand in the other bundle.
fn witnesses(audit: &Audit) -> Option<BTreeSet<String>> {
    let all = audit.bundles().flat_map(|bundle| &bundle.manifest().logs);
    let logs: BTreeSet<(&str, u64)> = all.map(|log| (log.name.as_str(), log.size)).collect();
    let mut names = BTreeSet::new();
    // Of two sizes of one log the larger one is what there is; that they are of one past was compared.
    let largest: BTreeMap<&str, u64> = logs.into_iter().collect();
    let mut known = 0;
    for (name, size) in largest {
        let Ok(origin) = name.parse::<LogOrigin>() else { continue };
        names.extend(audit.bundles().find_map(|bundle| witnessed(audit, bundle, &origin, size))?);
        known += 1;
    }
    (known > 0 && audit.holds()).then_some(names)
}

/// The witnesses of one log's latest head, if they are a quorum under every version of its agreement.
fn witnessed(audit: &Audit, bundle: &Bundle, origin: &LogOrigin, size: u64) -> Option<BTreeSet<String>> {
    let path = format!("{}checkpoint", log_folder(&origin.to_string()));
    let head = SignedCheckpoint::parse(&bundle.read(&path, MAX_FILE, &mut Problems::default())?).ok()?;
    if head.checkpoint().size() != size {
        return None;
    }
    let mut names = BTreeSet::new();
    let packs = audit.packs().filter(|pack| pack.corridor(&origin.agreement).is_some());
    for pack in packs {
        let WitnessPolicy::Required { quorum, witnesses } = pack.witness_policy() else { return None };
        let signed = witnesses.iter().filter(|witness| cosignature::verify(&head, &witness.key).is_ok());
        let signed: Vec<String> = signed.map(|witness| witness.name.clone()).collect();
        if signed.len() < *quorum {
            return None;
        }
        names.extend(signed);
    }
    (!names.is_empty()).then_some(names)
}
