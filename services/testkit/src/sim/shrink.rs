//! Cutting a failing list of operations down to a short one that fails as well (delta debugging).

use std::fmt::Write;

use super::op::Op;
use super::run::{Failure, replay};

/// Runs that shrinking may take.
const TRIES: usize = 400;

/// A failure with as few operations as were found to be enough.
#[must_use]
pub fn shrink(failure: Failure) -> Failure {
    let mut tries = 0;
    let plan = failure.plan;
    let kind = kind(&failure.what);
    // Another failure on the way is another story.
    let replayed = |ops: &[Op]| replay(plan, ops).err().filter(|found| self::kind(&found.what) == kind);
    // What was drawn must fail as a list too.
    let Some(mut least) = replayed(&failure.ops) else { return failure };
    let mut chunk = least.ops.len().div_ceil(2);
    while chunk > 0 && tries < TRIES {
        let mut at = 0;
        while at < least.ops.len() && tries < TRIES {
            let mut fewer = least.ops.clone();
            fewer.drain(at..(at + chunk).min(fewer.len()));
            tries += 1;
            match replayed(&fewer) {
                Some(failure) => least = failure,
                None => at += chunk,
            }
        }
        chunk /= 2;
    }
    least
}

/// A failure without its numbers.
fn kind(what: &str) -> String {
    what.chars().filter(|c| c.is_ascii_alphabetic() || *c == ' ').take(40).collect()
}

/// The test that a failure becomes.
#[must_use]
pub fn code(failure: &Failure) -> String {
    let Failure { plan, ops, what } = failure;
    let what = what.lines().next().unwrap_or_default();
    let mut text = format!(
        "/// {what}\n#[test]\nfn repro_seed_{}() {{\n    use convenio_testkit::sim::Fault::*;\n    use convenio_testkit::sim::Op::*;\n    let ops = [\n",
        plan.seed
    );
    for op in ops {
        // A list of these is Rust: every variant prints as it is written.
        let _ = writeln!(text, "        {op:?},");
    }
    let _ = write!(text, "    ];\n    replay({plan:?}, &ops).unwrap();\n}}\n");
    text
}
