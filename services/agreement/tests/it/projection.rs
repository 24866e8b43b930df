//! Projection proved: for arbitrary content of every registry record, what crosses at a stage is exactly what the
//! agreement lets cross at it. Played over every pack of the repository.

use std::collections::BTreeMap;

use convenio_agreement::Pack;
use convenio_agreement::matrix::Matrix;
use convenio_agreement::plan::{MessagePlan, Transform};
use prost_reflect::DynamicMessage;

use crate::arbitrary::{CANARY, Dice, sources};
use crate::fixture::repository;

/// Arbitrary records for each message of each pack.
const CASES: u8 = 3;
/// What crossed holds the disclosed fields alone, each reduced as the plan says.
fn check(pack: &Pack, plan: &MessagePlan, bytes: &[u8], stage: usize) {
    let what = || format!("{} {} at stage {stage}", pack.id(), plan.name());
    let message = DynamicMessage::decode(plan.descriptor.clone(), bytes).unwrap();
    assert_eq!(message.unknown_fields().count(), 0, "{}", what());
    for (field, value) in message.fields() {
        let of = plan.fields.iter().find(|of| of.field.number() == field.number());
        let of = of.unwrap_or_else(|| panic!("{} is not planned: {}", field.name(), what()));
        assert!(of.stage.index() <= stage, "{} crosses before its stage: {}", field.name(), what());
        if of.transform == Transform::LastFour {
            assert!(value.as_str().unwrap().chars().count() <= 4, "{}", what());
        }
    }
    assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{}", what());
}

#[test]
fn only_what_is_disclosed_crosses_whatever_the_registry_holds() {
    for id in convenio_agreement::pack::list(&repository()).unwrap() {
        let pack = Pack::load(&repository(), &id).unwrap();
        let stages: Vec<_> = pack.config().stages.iter().map(|name| pack.lifecycle().stage(name).unwrap()).collect();
        let mut crossed: BTreeMap<&str, usize> = BTreeMap::new();
        let mut refused: BTreeMap<&str, String> = BTreeMap::new();
        let drawn = pack.messages().flat_map(|plan| (0..CASES).map(move |case| (plan.name(), case)));
        for (focus, case) in drawn {
            let sources = sources(&pack, &mut Dice::new(case), focus);
            for (plan, (index, stage)) in
                pack.messages().flat_map(|plan| stages.iter().enumerate().map(move |stage| (plan, stage)))
            {
                match pack.project(plan.name(), &sources, *stage) {
                    Ok(bytes) => {
                        check(&pack, plan, &bytes, index);
                        *crossed.entry(plan.name()).or_default() += usize::from(index + 1 == stages.len());
                    }
                    Err(error) => {
                        let shown = error.to_string();
                        assert!(!shown.contains(CANARY), "{id} {}: {shown}", plan.name());
                        refused.insert(plan.name(), shown);
                    }
                }
            }
        }
        // A property of what never crosses at all would prove nothing.
        for plan in pack.messages() {
            let name = plan.name();
            assert!(crossed.get(name).is_some_and(|n| *n > 0), "{id} {name} never crossed: {:?}", refused.get(name));
        }
    }
}

#[test]
fn the_matrix_of_sv_ca_is_the_one_on_file() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sv-ca.csv");
    let matrix = Matrix::of(&Pack::load(&repository(), "sv-ca").unwrap());
    let csv = matrix.to_csv();
    if std::env::var_os("CONVENIO_GOLDEN").is_some() {
        std::fs::write(&path, &csv).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(csv, golden, "if the change is meant: CONVENIO_GOLDEN=1 cargo test -p convenio-agreement matrix");
    let birth: Vec<_> = matrix.rows.iter().filter(|row| row.source == "worker.birth_date").collect();
    assert_eq!(birth.iter().map(|row| row.reduction).collect::<Vec<_>>(), ["year", "whole"]);
    assert!(birth.iter().all(|row| row.direction() == "origin to destination"));
}
