use std::path::Path;

use super::*;
use crate::demo::orders;

fn seated(season: &Season) -> Vec<&Job> {
    season.workers.iter().filter(|job| job.order.is_some()).collect()
}

fn planned(workers: u32, seed: u64, planted: &[Violation]) -> Season {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let scenario = Scenario::load(&root.join("deploy/demo/sv-ca/scenario.toml"), "sv-ca").unwrap();
    let rows = orders::read(&root.join("deploy/demo/job-orders.csv"), &scenario).unwrap();
    let pack = Pack::load(&root.join("proto/agreements"), "sv-ca").unwrap();
    Season::plan(scenario, pack, &rows, workers, seed, &planted.iter().copied().collect()).unwrap()
}

#[test]
fn nobody_sits_on_a_seat_that_is_not_there() {
    let season = planned(14_000, 1, &Violation::ALL);
    assert_eq!(seated(&season).len() as u64, season.csv_seats);
    let mut taken = vec![0; season.orders.len()];
    for job in seated(&season) {
        taken[job.order.unwrap()] += 1;
    }
    assert!(season.orders.iter().zip(&taken).all(|(order, taken)| *taken <= order.seats));
    // The planted orders are additional.
    assert!(taken[season.csv_orders..].iter().all(|n| *n == 0));
}

#[test]
fn a_violation_left_out_leaves_the_rest_as_it_is() {
    let (all, four) = (planned(100, 1, &Violation::ALL), planned(100, 1, &Violation::ALL[..4]));
    assert_eq!(all.victims.len(), 5);
    let labels = |season: &Season| season.workers.iter().map(|j| j.placement.clone()).collect::<Vec<_>>();
    assert_eq!(labels(&all), labels(&four));
    assert!(four.planted(Violation::ALL[4]).is_none());
    assert_ne!(labels(&all), labels(&planned(100, 2, &Violation::ALL)));
}

#[test]
fn recruiters_are_all_kinds_and_agencies_stay_in_their_district() {
    let season = planned(2_000, 3, &[]);
    let of = |kind| season.workers.iter().filter(|j| j.recruiter == kind).count();
    assert!(of(value::RecruiterKind::PublicEmploymentService) > 1_000);
    assert!(of(value::RecruiterKind::LicensedAgency) > 300);
    assert!(of(value::RecruiterKind::EmployerDirect) > 100);
    for job in &season.workers {
        let Some(agency) = job.agency else { continue };
        assert_eq!(season.scenario.agencies[agency].district, season.order(job).unwrap().subdivision);
    }
}

#[test]
fn synthetic_terms_keep_the_streams_limits() {
    let season = planned(1, 9, &[]);
    for order in &season.orders {
        let housing = order.terms.housing.as_ref().and_then(|h| h.weekly_cost.as_ref()).unwrap();
        assert!((0..=3_000).contains(&housing.minor_units), "on-farm housing is at most CAD 30 a week");
        assert!(order.terms.wage_rate.as_ref().unwrap().minor_units >= 1_740);
        assert!(order.first_day < order.last_day);
        season.extension(order).unwrap();
    }
}
