//! Whole runs: from a seed, or from a list of operations.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::OnceLock;

use convenio_log::Hash;
use tempfile::TempDir;

use super::draw::Draw;
use super::op::Op;
use super::watch::Violation;
use super::world::World;

/// Operations of a run at least, and how many more at most.
const OPS: (u64, u64) = (40, 70);
/// One run in so many begins with empty databases; the others with ones that were opened and know an order and an agency.
const FROM_NOTHING: u64 = 16;
/// One run in so many exports bundles and has them audited: of two states, and of three.
const AUDITED: [u64; 2] = [8, 16];

/// Which run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Seed.
    pub seed: u64,
    /// Two states, or three.
    pub states: usize,
}

impl Plan {
    /// Whether its bundles are audited at the end.
    fn audited(self) -> bool {
        match self.states {
            2 => self.seed % AUDITED[0] == 1,
            // Those of three states have seeds that four divides.
            _ => self.seed % AUDITED[1] == 4,
        }
    }

    /// The run of a seed: every fourth has three states.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self { seed, states: if seed.is_multiple_of(4) { 3 } else { 2 } }
    }
}

/// What a run left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// Operations.
    pub ops: Vec<Op>,
    /// Origin, size and root of every own log.
    pub heads: Vec<(String, u64, Hash)>,
    /// What was decided and what placements came to, each with how often.
    pub tally: BTreeMap<String, u64>,
}

type Left = (Vec<(String, u64, Hash)>, BTreeMap<String, u64>);

/// A run in which something did not hold.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Which run.
    pub plan: Plan,
    /// Operations, the last one being where it showed, unless it showed when everything had stopped.
    pub ops: Vec<Op>,
    /// What does not hold.
    pub what: Violation,
}

/// Draws a run and plays it.
///
/// # Errors
/// [`Failure`].
pub fn simulate(plan: Plan) -> Result<Played, Failure> {
    let mut ops = Vec::new();
    let played = guarded(plan, async |world: &mut World| {
        let mut draw = Draw::new(plan.seed, world.accord.links.len());
        draw.prelude();
        let mut left = OPS.0 + draw.below(OPS.1);
        while left > 0 || draw.is_due() {
            left = left.saturating_sub(1);
            let from = ops.len();
            ops.push(draw.next(world));
            if let Some(Op::Together { count }) = ops.last() {
                (0..*count).for_each(|_| ops.push(draw.request(world)));
            }
            world.play(&ops[from..]).await.map_err(|(_, what)| what)?;
        }
        Ok(())
    });
    match played {
        Ok((heads, tally)) => Ok(Played { ops, heads, tally }),
        Err(what) => Err(Failure { plan, ops, what }),
    }
}

/// Plays a list of operations with the keys and ids of a seed.
///
/// # Errors
/// [`Failure`].
pub fn replay(plan: Plan, ops: &[Op]) -> Result<Played, Failure> {
    let mut played = ops.len();
    let done = guarded(plan, async |world: &mut World| {
        world.play(ops).await.map_err(|(at, what)| {
            played = at + 1;
            what
        })
    });
    match done {
        Ok((heads, tally)) => Ok(Played { ops: ops.to_vec(), heads, tally }),
        Err(what) => Err(Failure { plan, ops: ops[..played].to_vec(), what }),
    }
}

/// A world, what happens in it, and its end; a panic is a violation too.
fn guarded(plan: Plan, happens: impl AsyncFnOnce(&mut World) -> Result<(), Violation>) -> Result<Left, Violation> {
    let template = (!plan.seed.is_multiple_of(FROM_NOTHING)).then(|| template(plan.states));
    let run = AssertUnwindSafe(|| {
        runtime().block_on(async {
            let mut world = World::new(plan.states, plan.seed);
            if let Some(template) = template {
                copied(template.path(), &world);
            }
            world.start().await?;
            happens(&mut world).await?;
            world.settle().await?;
            if plan.audited() {
                world.audit().await?;
            }
            let left = (world.heads(), world.tally());
            world.end().await;
            Ok(left)
        })
    });
    catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default())
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Databases of states that have greeted each other and know an order and an agency: opening takes longer than a run.
fn template(states: usize) -> &'static TempDir {
    static TEMPLATES: [OnceLock<TempDir>; 2] = [const { OnceLock::new() }; 2];
    TEMPLATES[states - 2].get_or_init(|| {
        let kept = TempDir::new().expect("a temporary folder");
        runtime().block_on(async {
            let mut world = World::new(states, 0);
            world.start().await.expect("states start");
            for link in (0u8..).take(world.accord.links.len()) {
                let licence = |by_origin| Op::Licence { link, agency: 0, by_origin, active: true };
                let order = Op::Order { link, order: 0, seats: 2, open: true, wage: 1720 };
                let ops = [licence(true), licence(false), order, Op::Exchange { link }, Op::Exchange { link }];
                world.play(&ops).await.expect("a beginning without faults");
            }
            world.end().await;
            for state in &world.states {
                let to = kept.path().join(&world.accord.parties[state.at].party);
                fs::create_dir(&to).expect("a folder");
                copy(&state.dir, &to);
            }
        });
        kept
    })
}

fn copied(template: &Path, world: &World) {
    for state in &world.states {
        copy(&template.join(&world.accord.parties[state.at].party), &state.dir);
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
    }
}
