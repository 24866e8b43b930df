//! One thing changed in a valid bundle, by someone without keys or by its exporter.

use convenio_log::{Checkpoint, NoteSigner, SignedCheckpoint, cosignature};
use convenio_seal::{SigningKey, open_entry, seal_entry};
use convenio_wire::exchange::v1::EntryParts;

use super::site::Files;
use super::story::Dice;
use crate::export::{Draft, Held, draft, folder, held, log_files};
use crate::pair::{Named, Pair, node_name, origin};

/// What is done to the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Flip,
    Swap,
    Drop,
    Duplicate,
    Splice,
    Resign,
    Reorder,
    Truncate,
    Policy,
}

pub const KINDS: [Kind; 9] = [
    Kind::Flip,
    Kind::Swap,
    Kind::Drop,
    Kind::Duplicate,
    Kind::Splice,
    Kind::Resign,
    Kind::Reorder,
    Kind::Truncate,
    Kind::Policy,
];

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Forger {
    /// Whoever carries the bundle: has no key.
    Carrier,
    /// The exporting state: has its own keys, signs log, checkpoint and manifest anew, and makes tiles fit.
    Exporter,
}

/// Where the audit must say it: a file of the bundle, or a log and the index of an entry in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Files(Vec<String>),
    Log(String),
    Entry(String, u64),
}

/// A forged bundle.
pub struct Forgery {
    pub what: String,
    pub place: Place,
    pub files: Files,
}

/// What a forger starts from: an honest pair, the exporter whose bundle is forged, and another pair of nodes.
pub struct Scene<'s> {
    pub pair: &'s Pair,
    pub other: &'s Pair,
    pub exporter: usize,
    pub honest: &'s Files,
    pub dice: &'s Dice,
}

impl Scene<'_> {
    pub fn forge(&self, kind: Kind, by: Forger) -> Forgery {
        loop {
            let forged = match by {
                Forger::Carrier => self.carried(kind),
                Forger::Exporter => self.exported(kind),
            };
            // A draw that changes nothing is no forgery.
            if let Some(forged) = forged
                && forged.files != *self.honest
            {
                return forged;
            }
        }
    }

    /// A file of the bundle; those of the pack, most of its bytes, are not drawn more often than others.
    fn file(&self) -> String {
        let packs = self.dice.chance(10);
        let paths: Vec<&String> = self.honest.keys().filter(|path| path.starts_with("packs/") == packs).collect();
        self.dice.one(&paths).to_string()
    }

    fn carried(&self, kind: Kind) -> Option<Forgery> {
        let mut files = self.honest.clone();
        let mut path = self.file();
        let data = files.get_mut(&path)?;
        let mut also = Vec::new();
        match kind {
            Kind::Flip if !data.is_empty() => {
                let at = self.dice.below(data.len());
                data[at] ^= 1 << self.dice.below(8);
            }
            Kind::Swap => {
                let other = self.file();
                let own = data.clone();
                let theirs = files.insert(other.clone(), own)?;
                files.insert(path.clone(), theirs);
                also.push(other);
            }
            Kind::Drop => drop(files.remove(&path)),
            Kind::Duplicate => {
                let data = data.clone();
                let new = format!("{path}{}", self.dice.one(&["0", ".p", ".copy", "-2"]));
                files.insert(new.clone(), data);
                also.push(new);
            }
            Kind::Splice => {
                let theirs = draft(self.other, self.exporter)
                    .sealed("convenio-bundle/v1", &self.other.nodes[self.exporter].keys.log);
                let foreign: Vec<&String> =
                    theirs.keys().filter(|other| other.starts_with("logs/") || !other.contains('/')).collect();
                path = self.dice.one(&foreign).to_string();
                files.insert(path.clone(), theirs[&path].clone());
            }
            Kind::Resign => {
                let key = SigningKey::from_seed(&[self.dice.below(200) as u8; 32]);
                let keys = [&key, &self.pair.nodes[1 - self.exporter].keys.log];
                files = draft(self.pair, self.exporter).sealed("convenio-bundle/v1", keys[self.dice.below(2)]);
                path = "manifest.sig".into();
            }
            Kind::Reorder => {
                path = "manifest".into();
                let text = String::from_utf8(files[&path].clone()).unwrap();
                let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
                let (a, b) = (self.dice.below(lines.len()), self.dice.below(lines.len()));
                let line = lines.remove(a);
                lines.insert(b, line);
                files.insert(path.clone(), lines.concat().into_bytes());
            }
            Kind::Truncate if !data.is_empty() => data.truncate(self.dice.below(data.len())),
            Kind::Policy => {
                path = "policy".into();
                let text = self.policy(&self.honest[&path], 5);
                files.insert(path.clone(), text);
            }
            _ => return None,
        }
        let what = format!("{kind:?} of {path}");
        // A change of the manifest shows in its signature.
        if path == "manifest" || also.iter().any(|path| path == "manifest") {
            also.push("manifest.sig".into());
        }
        if path == "manifest.sig" || also.iter().any(|path| path == "manifest.sig") {
            also.push("manifest".into());
        }
        also.push(path);
        Some(Forgery { what, place: Place::Files(also), files })
    }

    /// Another policy: one line less, no quorum, a key of other nodes; then what only its hash can show, since it
    /// asks for no less: a comment, a larger quorum.
    fn policy(&self, text: &[u8], ways: usize) -> Vec<u8> {
        let text = String::from_utf8(text.to_vec()).unwrap();
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let at = self.dice.below(lines.len());
        match self.dice.below(ways) {
            0 => drop(lines.remove(at)),
            1 => lines = vec![text.replace("quorum mirrors", "quorum none")],
            3 => lines.insert(at, "# nothing\n".into()),
            4 => lines = vec![text.replace("any ca sv", "all ca sv")],
            _ => {
                let theirs = &draft(self.other, self.exporter).files["policy"];
                let theirs = String::from_utf8(theirs.clone()).unwrap();
                lines[at] = theirs.split_inclusive('\n').nth(at).unwrap().to_owned();
            }
        }
        lines.concat().into_bytes()
    }

    fn exported(&self, kind: Kind) -> Option<Forgery> {
        let node = self.dice.below(2);
        let mut bundle = draft(self.pair, self.exporter);
        if kind == Kind::Policy {
            let text = self.policy(&bundle.files["policy"], 3);
            bundle.files.insert("policy".into(), text);
            let place = Place::Files(vec!["policy".into()]);
            return Some(self.seal(bundle, format!("{kind:?} signed by the exporter"), place));
        }
        let delivered = self.pair.nodes[node].cosigned.keys().last().copied()?;
        let size = if node == self.exporter { self.pair.nodes[node].log.len() as u64 } else { delivered };
        let mut log = held(self.pair, node, size);
        let (what, place) = self.change(kind, node, &mut log, delivered)?;
        bundle.files.retain(|path, _| !path.starts_with(&folder(node)));
        bundle.logs.retain(|line| !line.contains(&format!(" {} ", origin(node))));
        bundle.logs.push(log_files(node, &log, &mut bundle.files));
        bundle.logs.sort();
        let side = if node == self.exporter { "its own" } else { "the partner's" };
        Some(self.seal(bundle, format!("{kind:?} by the exporter in {side} log: {what}"), place))
    }

    fn seal(&self, bundle: Draft, what: String, place: Place) -> Forgery {
        let files = bundle.sealed("convenio-bundle/v1", &self.pair.nodes[self.exporter].keys.log);
        Forgery { what, place, files }
    }

    /// Changes a log below what is delivered of it, and makes everything fit for which the exporter has a key.
    fn change(&self, kind: Kind, node: usize, log: &mut Held, delivered: u64) -> Option<(String, Place)> {
        let name = origin(node);
        let at = self.dice.below(delivered as usize);
        let (mut what, mut place) = (format!("entry {at}"), Place::Entry(name.clone(), at as u64));
        match kind {
            Kind::Flip if self.dice.chance(30) => return self.flip_part(node, log),
            Kind::Flip => {
                let entry = &mut log.entries[at];
                let byte = self.dice.below(entry.len());
                entry[byte] ^= 1 << self.dice.below(8);
            }
            Kind::Swap | Kind::Reorder => {
                let last = self.dice.below(delivered as usize);
                let (first, last) = (at.min(last), at.max(last));
                let mut order: Vec<u64> = (0..log.entries.len() as u64).collect();
                if kind == Kind::Swap {
                    order.swap(first, last)
                } else {
                    order[first..=last].rotate_left(1)
                }
                rearrange(log, &order);
                (what, place) = (format!("entries {first} to {last}"), Place::Entry(name.clone(), first as u64));
            }
            Kind::Drop if self.dice.chance(30) => return drop_part(self.dice, node, log),
            Kind::Drop => {
                let order: Vec<u64> = (0..log.entries.len() as u64).filter(|index| *index != at as u64).collect();
                rearrange(log, &order);
                if at + 1 == delivered as usize {
                    place = Place::Log(name.clone());
                }
            }
            Kind::Duplicate => {
                let order = (0..log.entries.len() as u64).flat_map(|i| [i].repeat(1 + usize::from(i == at as u64)));
                rearrange(log, &order.collect::<Vec<_>>());
                place = Place::Entry(name.clone(), at as u64 + 1);
            }
            Kind::Splice => log.entries[at] = self.foreign_entry(node, at)?,
            Kind::Resign => return self.resign(node, log, at),
            Kind::Truncate => return self.truncate(node, log, delivered),
            Kind::Policy => return None,
        }
        self.fit(node, log);
        Some((what, place))
    }

    /// Signs the head anew where the exporter can; where it cannot, the partner's checkpoint stays as it was.
    fn fit(&self, node: usize, log: &mut Held) {
        if node != self.exporter {
            return;
        }
        let size = log.entries.len() as u64;
        log.kept.retain(|kept, signed| root(&log.entries, *kept) == Some(signed.checkpoint().root()));
        if root(&log.entries, size) != Some(log.checkpoint.checkpoint().root()) {
            log.checkpoint = signed(&Named(origin(node), &self.pair.nodes[node].keys.log), &log.entries);
        }
    }

    fn flip_part(&self, node: usize, log: &mut Held) -> Option<(String, Place)> {
        let (index, entry) = self.any_part(log)?;
        let at = self.dice.below(entry.parts.len());
        let part = &mut entry.parts[at];
        let bytes = if self.dice.chance(50) { &mut part.salt } else { &mut part.part };
        if bytes.is_empty() {
            return None;
        }
        let byte = self.dice.below(bytes.len());
        bytes[byte] ^= 1 << self.dice.below(8);
        Some((format!("part {at} of entry {index}"), Place::Entry(origin(node), index)))
    }

    fn any_part<'h>(&self, log: &'h mut Held) -> Option<(u64, &'h mut EntryParts)> {
        let indices: Vec<u64> = log.parts.keys().copied().collect();
        let index = *self.dice.one(if indices.is_empty() { return None } else { &indices });
        Some((index, log.parts.get_mut(&index)?))
    }

    /// An entry of another agreement, of other nodes, of the partner, or of this log's own key for another agreement.
    fn foreign_entry(&self, node: usize, at: usize) -> Option<Vec<u8>> {
        let own = &self.pair.nodes[node];
        match self.dice.below(3) {
            0 => self.other.nodes[node].log.get(at).cloned(),
            1 => Some(self.dice.one(&self.pair.nodes[1 - node].log).clone()),
            _ => {
                let mut statement = open_entry(&own.log[at]).unwrap().statement;
                statement.log_origin = statement.log_origin.replace("/sv-ca/", "/sv-mx/");
                seal_entry(&statement, &own.keys.record).ok()
            }
        }
    }

    fn resign(&self, node: usize, log: &mut Held, at: usize) -> Option<(String, Place)> {
        let stranger = SigningKey::from_seed(&[self.dice.below(200) as u8; 32]);
        let own = node == self.exporter;
        match self.dice.below(3) {
            0 => {
                let statement = open_entry(&log.entries[at]).unwrap().statement;
                log.entries[at] = seal_entry(&statement, &stranger).ok()?;
                self.fit(node, log);
                Some((format!("entry {at} under another key"), Place::Entry(origin(node), at as u64)))
            }
            // Its own past told anew under its own key: the partner holds what it said first.
            1 if own => {
                let mut statement = open_entry(&log.entries[at]).unwrap().statement;
                statement.time_ms += 1;
                log.entries[at] = seal_entry(&statement, &self.pair.nodes[node].keys.record).ok()?;
                self.fit(node, log);
                Some((format!("entry {at} rewritten"), Place::Entry(origin(node), at as u64)))
            }
            1 => {
                // Without the partner's log key: a cosignature by another mirror of the same name.
                let text = log.checkpoint.checkpoint().clone();
                let line = log.checkpoint.note().signatures().first()?.clone();
                let mut alone = SignedCheckpoint::parse(format!("{}\n{line}", text.text()).as_bytes()).ok()?;
                let mirror = Named(format!("{}/mirror/1", node_name(1 - node)), &stranger);
                cosignature::append(&mut alone, &mirror, 1_714_000_000).ok()?;
                log.checkpoint = alone;
                Some(("cosignature by another key".into(), Place::Log(origin(node))))
            }
            _ => {
                log.checkpoint = signed(&Named(origin(node), &stranger), &log.entries);
                Some(("checkpoint under another key".into(), Place::Log(origin(node))))
            }
        }
    }

    /// A shorter log: its own with a head signed anew, the partner's at an older cosigned head.
    fn truncate(&self, node: usize, log: &mut Held, delivered: u64) -> Option<(String, Place)> {
        let end = if node == self.exporter {
            4 + self.dice.below((delivered as usize).checked_sub(4).filter(|rest| *rest > 0)?) as u64
        } else {
            let older: Vec<u64> = log.kept.keys().copied().collect();
            *self.dice.one(if older.is_empty() { return None } else { &older })
        };
        let head = log.kept.remove(&end);
        log.entries.truncate(end as usize);
        log.parts.retain(|index, _| *index < end);
        log.kept.retain(|size, _| *size < end);
        log.checkpoint = match head {
            Some(head) => head,
            None => signed(&Named(origin(node), &self.pair.nodes[node].keys.log), &log.entries),
        };
        Some((format!("to {end} entries"), Place::Log(origin(node))))
    }
}

fn drop_part(dice: &Dice, node: usize, log: &mut Held) -> Option<(String, Place)> {
    let indices: Vec<u64> = log.parts.keys().copied().collect();
    let index = *dice.one(if indices.is_empty() { return None } else { &indices });
    let entry = log.parts.get_mut(&index)?;
    let at = dice.below(entry.parts.len());
    let part = &mut entry.parts[at];
    if part.part.is_empty() {
        return None;
    }
    *part = Default::default();
    Some((format!("part {at} of entry {index}"), Place::Entry(origin(node), index)))
}

/// The log with its entries in another order, their parts with them.
fn rearrange(log: &mut Held, order: &[u64]) {
    log.entries = order.iter().map(|index| log.entries[*index as usize].clone()).collect();
    let parts = order.iter().zip(0u64..).filter_map(|(from, to)| {
        let parts = log.parts.get(from)?.parts.clone();
        Some((to, EntryParts { index: to, parts }))
    });
    log.parts = parts.collect();
}

fn signed(signer: &Named<'_>, entries: &[Vec<u8>]) -> SignedCheckpoint {
    let size = entries.len() as u64;
    Checkpoint::new(signer.name(), size, root(entries, size).unwrap()).unwrap().sign(signer).unwrap()
}

fn root(entries: &[Vec<u8>], size: u64) -> Option<convenio_log::Hash> {
    let entries = entries.get(..size as usize)?;
    let tree: convenio_log::MemoryTree = entries.iter().map(|entry| convenio_log::leaf_hash(entry)).collect();
    Some(tree.root())
}
