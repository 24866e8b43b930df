//! Keys that change while the exchange goes on: new ones, and revocations of old ones, both signed by roots.

use std::sync::Arc;

use convenio_model::SeededEntropy;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::rotation::{sign_keys, sign_revocation};
use convenio_wire::exchange::v1::KeyRevocation;

use super::watch::{Violation, need};
use super::world::World;

/// Manifests that a state has in a run at most.
const VERSIONS: u64 = 4;

/// A state's keys of a version; the first are those of the treaty.
pub(super) fn keys_of(party: &str, version: u64) -> Arc<NodeKeys> {
    Arc::new(NodeKeys::generate(&SeededEntropy::labelled(1, &format!("{party}/keys/{version}"))))
}

impl World {
    /// The roots of a state sign new keys, and its node takes them.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) async fn rotate(&mut self, state: usize, met: bool) -> Result<Vec<usize>, Violation> {
        let version = self.states[state].core().own_keys().version + 1;
        if version > VERSIONS {
            return Ok(Vec::new());
        }
        let party = &self.accord.parties[state];
        let keys = keys_of(&party.party, version);
        let manifest = keys.manifest(&party.party, &party.node, version);
        let file = sign_keys(&manifest, &party.signers()).map_err(|e| e.to_string())?.to_json().into_bytes();
        self.states[state].manifests.insert(version, file.clone());
        let core = self.states[state].core();
        core.hold_keys(keys);
        let changed = core.change_keys(&file).await;
        need(met || changed.as_ref().is_ok_and(|changed| *changed), || format!("new keys are not taken: {changed:?}"))?;
        Ok(vec![state])
    }

    /// The roots of a state revoke the keys before its last ones, good up to where those begin.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) async fn revoke(&mut self, state: usize, met: bool) -> Result<Vec<usize>, Violation> {
        let version = self.states[state].core().manifest_version();
        if version < 2 {
            return Ok(Vec::new());
        }
        let party = &self.accord.parties[state];
        let old = if version == 2 { party.keys.clone() } else { keys_of(&party.party, version - 1) };
        let links: Vec<_> = self.accord.links_of(state).collect();
        for (link, origin) in links {
            let Some(good) = self.watch.links[link][usize::from(!origin)].rotated(version) else { continue };
            for (of, key) in [("record", old.record.public()), ("log", old.log.public())] {
                let said = KeyRevocation {
                    party: party.party.clone(),
                    node: party.node.clone(),
                    key_id: key.key_id().to_vec(),
                    r#use: of.to_owned(),
                    log_origin: good.0.clone(),
                    last_good_size: good.1,
                    last_good_root: good.2.as_bytes().to_vec(),
                    reason: "superseded".to_owned(),
                };
                let file = sign_revocation(&said, &party.signers()).map_err(|e| e.to_string())?;
                let file = file.to_json().into_bytes();
                let known = &mut self.states[state].revocations;
                if !known.contains(&file) {
                    known.push(file.clone());
                }
                let taken = self.states[state].core().change_keys(&file).await;
                need(met || taken.is_ok(), || format!("a revocation is not taken: {taken:?}"))?;
            }
        }
        Ok(vec![state])
    }
}
