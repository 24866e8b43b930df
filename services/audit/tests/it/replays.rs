//! A replay from the logs alone comes to what the nodes themselves knew, at the end and at every index.

use convenio_agreement::lifecycle::Role;
use convenio_agreement::view::PlacementView;
use convenio_audit::{At, Audit, Exchange, History, Options, Visit};
use convenio_model::{Entropy, Ref, SeededEntropy};
use tempfile::TempDir;

use crate::export::draft;
use crate::integrity::{job, season, trust};
use crate::pair::{CA, Pair, SV, origin};
use crate::records::Job;

const ACTS: [(usize, &str); 18] = [
    (SV, "nominate"),
    (CA, "offer"),
    (CA, "decline"),
    (SV, "identified"),
    (CA, "contract_offered"),
    (SV, "contract"),
    (SV, "documented"),
    (SV, "oriented"),
    (CA, "permitted"),
    (SV, "ready"),
    (SV, "departed"),
    (CA, "admitted"),
    (CA, "employ"),
    (SV, "employment_confirmed"),
    (SV, "withdrawn"),
    (CA, "end"),
    (SV, "returned"),
    (SV, "close"),
];

struct Bundles {
    _dirs: [TempDir; 2],
    audit: Audit,
}

fn audited(pair: &Pair) -> Bundles {
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    draft(pair, SV).write(pair, dirs[0].path());
    draft(pair, CA).write(pair, dirs[1].path());
    let audit = Audit::open(dirs[0].path(), Some(dirs[1].path()), &trust(pair), &Options::default()).unwrap();
    assert!(audit.holds(), "{:#?}", audit.comparison());
    Bundles { _dirs: dirs, audit }
}

fn exchange(audit: &Audit) -> Exchange {
    let mut exchanges = audit.exchanges();
    assert_eq!(exchanges.len(), 1);
    exchanges.remove(0)
}

#[derive(Default)]
struct All(Vec<History>);

impl Visit for All {
    fn history(&mut self, history: History) {
        self.0.push(history);
    }
}

fn known(history: &History, role: Role) -> Option<PlacementView> {
    history.placement(role).cloned()
}

/// Seasons of several placements of one order, acts drawn at random; those that the rules do not give are not done.
fn random(seed: u64) -> (Pair, Vec<Job>) {
    let entropy = SeededEntropy::new(seed);
    let draw = |below: usize| {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % below as u64) as usize
    };
    let jobs: Vec<Job> = (1..=6).map(|number| job(number, None)).collect();
    let mut pair = Pair::new();
    pair.order(&jobs[0]);
    pair.sync();
    for _ in 0..400 {
        let (node, act) = ACTS[draw(ACTS.len())];
        let _ = pair.act(node, &jobs[draw(jobs.len())], act);
        if draw(3) == 0 {
            pair.sync();
        }
    }
    pair.sync();
    (pair, jobs)
}

#[test]
fn random_seasons_end_where_the_nodes_are() {
    let mut acts = 0;
    for seed in 1..=6 {
        let (pair, jobs) = random(seed);
        let bundles = audited(&pair);
        let mut all = All::default();
        let summary = bundles.audit.replay(&exchange(&bundles.audit), &At::End, &mut all).unwrap();
        assert_eq!((summary.disagreements, summary.indeterminate), (0, 0));
        for job in &jobs {
            let name = format!("placements/{}", job.placement);
            let history = all.0.iter().find(|history| history.subject == name);
            for (node, role) in [(SV, Role::Origin), (CA, Role::Destination)] {
                let replayed = history.and_then(|history| known(history, role));
                assert_eq!(
                    replayed.as_ref(),
                    pair.nodes[node].world.placement(job.placement),
                    "{seed} {name} {role:?}"
                );
            }
            for record in history.into_iter().flat_map(|history| &history.records) {
                assert_eq!((&record.act.unentitled, &record.divergence), (&None, &None), "{seed} {name}");
                acts += 1;
            }
        }
    }
    assert!(acts > 100, "{acts}");
}

#[test]
fn at_every_index_the_issuer_knew_what_its_node_knew() {
    let one = job(1, None);
    let mut pair = Pair::new();
    pair.order(&one);
    pair.sync();
    let mut stages: Vec<(usize, u64, PlacementView)> = Vec::new();
    let acts = [(SV, "nominate"), (CA, "offer"), (SV, "identified"), (CA, "contract_offered"), (SV, "contract")];
    for (node, act) in acts {
        pair.act(node, &one, act).unwrap();
        let view = pair.nodes[node].world.placement(one.placement).unwrap().clone();
        stages.push((node, pair.nodes[node].log.len() as u64, view));
        pair.sync();
    }
    let bundles = audited(&pair);
    let exchange = exchange(&bundles.audit);
    let name = format!("placements/{}", one.placement);
    for (node, size, view) in stages {
        let at = At::Index { origin: origin(node), size };
        let history = bundles.audit.history(&exchange, &name, &at).unwrap().unwrap();
        let role = if node == SV { Role::Origin } else { Role::Destination };
        assert_eq!(known(&history, role), Some(view), "{size}");
    }
    assert!(bundles.audit.history(&exchange, &name, &At::Time(0)).unwrap().is_none());
}

#[test]
fn seats_are_counted_across_placements() {
    // Three seats, four nominations; the fourth offer is against the rules and its issuer is shown.
    let jobs: Vec<Job> = (1..=4).map(|number| job(number, None)).collect();
    let mut pair = Pair::new();
    pair.order(&jobs[0]);
    pair.sync();
    for one in &jobs {
        season(&mut pair, one, &[(SV, "nominate")]);
    }
    for one in &jobs[..3] {
        season(&mut pair, one, &[(CA, "offer")]);
    }
    pair.force(CA, &jobs[3], "offer");
    pair.sync();
    let bundles = audited(&pair);
    let name = format!("placements/{}", Ref([4; 16]));
    let history = bundles.audit.history(&exchange(&bundles.audit), &name, &At::End).unwrap().unwrap();
    let unentitled: Vec<_> =
        history.records.iter().map(|record| record.act.unentitled.clone().map(|detail| detail.gate)).collect();
    assert_eq!(unentitled, [None, Some("seat_free".to_owned())]);
}
