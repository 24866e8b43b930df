//! What is published, and what is compared with what was published: heads of logs and trust files.

use convenio_log::Checkpoint;
use convenio_seal::{
    Envelope, LogOrigin, TrustFile, TrustedAgreement, TrustedNode, root::ratify_from, self_described_roots,
};

use crate::audit::Audit;
use crate::bundle::{Bundle, Opened};
use crate::problem::{Problems, Unusable};

/// Largest ratification file, bytes.
const MAX_ENVELOPE: u64 = 1024 * 1024;

/// The head of each log for the official gazette, in the very form of a trust file: `checkpoint <origin> <size> <root>`.
/// Only of the log `origin`, if one is named. Of two bundles the longer log counts. Nothing if integrity does not hold.
#[must_use]
pub fn heads(audit: &Audit, origin: Option<&str>) -> Vec<String> {
    if !audit.holds() {
        return Vec::new();
    }
    let mut logs: Vec<_> = audit.bundles().flat_map(|bundle| &bundle.manifest().logs).collect();
    logs.sort_by(|a, b| (&a.name, b.size).cmp(&(&b.name, a.size)));
    logs.dedup_by(|b, a| a.name == b.name);
    logs.retain(|log| origin.is_none_or(|origin| origin == log.name) && log.name.parse::<LogOrigin>().is_ok());
    let head = |name: &str, size, root| {
        let text = Checkpoint::new(name, size, root).ok()?.text();
        Some(format!("checkpoint {}", text.trim_end().replace('\n', " ")))
    };
    logs.into_iter().filter_map(|log| head(&log.name, log.size, log.root)).collect()
}

/// A trust file made of what a bundle says of itself: the roots and nodes that its ratifications name. This proves that whoever
/// holds those keys ratified, not whose they are, so that it is no trust before every line was compared with what both
/// states published; the file says so itself.
///
/// # Errors
/// [`Unusable`]: no bundle, or one without readable ratifications.
pub fn trust_export(path: &std::path::Path) -> Result<String, Unusable> {
    let bad = |problem: String| Unusable::Form { path: path.to_owned(), problem };
    let Opened::Bundle(bundle) = Bundle::open(path)? else { return Err(bad("the manifest cannot be read".into())) };
    let mut trust = TrustFile::default();
    for file in bundle.below("ratifications/") {
        let said = ratified(&bundle, file).ok_or_else(|| bad(format!("{file} is no ratification")))?;
        let agreement = TrustedAgreement { id: said.agreement.clone(), digest: said.digest };
        if !trust.agreements.contains(&agreement) {
            trust.agreements.push(agreement);
        }
        let node = TrustedNode { party: said.party().to_owned(), node: said.node.clone() };
        if trust.nodes.iter().any(|known| known.node == node.node && known.party != node.party) {
            return Err(bad(format!("{file} names a node that another ratification gives to another party")));
        }
        if !trust.nodes.contains(&node) {
            trust.nodes.push(node);
        }
        match trust.roots_of(said.party()) {
            None => trust.roots.push(said.roots),
            Some(known) if *known == said.roots => {}
            Some(_) => return Err(bad(format!("{file} names other roots of its party than another ratification"))),
        }
    }
    if trust.roots.is_empty() {
        return Err(bad("it holds no ratification".into()));
    }
    trust.agreements.sort_by(|a, b| (&a.id, a.digest).cmp(&(&b.id, b.digest)));
    trust.roots.sort_by(|a, b| a.party().cmp(b.party()));
    trust.nodes.sort_by(|a, b| (&a.party, &a.node).cmp(&(&b.party, &b.node)));
    Ok(format!(
        "# NOT TRUST YET: written from what a bundle says of itself. Compare every line below with what\n\
         # both states published (official gazette), then remove these lines.\n{trust}"
    ))
}

fn ratified(bundle: &Bundle, file: &str) -> Option<convenio_seal::RatifiedBy> {
    let bytes = bundle.read(file, MAX_ENVELOPE, &mut Problems::default())?;
    let envelope = Envelope::parse(&bytes).ok()?;
    self_described_roots(&ratify_from(&envelope).ok()?).ok()
}
