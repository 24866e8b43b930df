use convenio_agreement::digest::Files;
use convenio_agreement::lifecycle::{ActDef, Gate, Role, Subject, Terms};
use convenio_agreement::{Pack, pack};
use convenio_wire::r#type::v1::RecruiterKind;

use crate::fixture::{Copy, agreements, name, repository, sv_ca};

#[test]
fn the_real_pack_loads_and_is_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let pack = sv_ca();
    shared(&pack);
    assert_eq!(pack.id(), "sv-ca");
    assert!(pack::list(&agreements()).unwrap().contains(&"sv-ca".to_owned()));
    assert_eq!(pack.role_of("sv"), Some(Role::Origin));
    assert_eq!(pack.party(Role::Destination).id, "ca");
    assert_eq!(pack.role_of("gt"), None);
    assert!(pack.config().allows(RecruiterKind::LicensedAgency));
    assert!(!pack.config().allows(RecruiterKind::Unspecified));
    let paths: Vec<_> = pack.files().iter().map(|(path, _)| path.to_owned()).collect();
    assert!(paths.contains(&"agreements/sv-ca/agreement.toml".to_owned()));
    assert!(paths.contains(&"google/protobuf/descriptor.proto".to_owned()));
    assert!(paths.contains(&"buf/validate/validate.proto".to_owned()));
    assert_eq!(pack.message(&name("Candidate")).unwrap().class, "personal");
    assert!(pack.message(&name("JobOrderData")).is_none());
}

#[test]
fn every_pack_of_the_repository_loads() {
    let ids = pack::list(&repository()).unwrap();
    assert!(ids.len() >= 3, "{ids:?}");
    for id in ids {
        let pack = Pack::load(&repository(), &id).unwrap();
        assert_eq!(Pack::from_files(pack.files().clone()).unwrap().digest(), pack.digest(), "{id}");
    }
}

#[test]
fn the_lifecycle_is_that_of_the_file() {
    let pack = sv_ca();
    let lifecycle = pack.lifecycle();
    let nominate = lifecycle.transition("nominate").unwrap();
    assert_eq!(nominate.messages.len(), 2);
    assert!(nominate.gates[2].is(Gate::AgencyTwoLicences));
    assert!(lifecycle.transition("preselect").unwrap().is_local());
    let lead = lifecycle.act_of_lead(&name("Nomination")).unwrap();
    assert_eq!(lead, ActDef::Transition(nominate));
    assert!(lead.may_be_by(Role::Origin) && !lead.may_be_by(Role::Destination));
    assert!(lifecycle.act_of_lead(&name("Candidate")).is_none());
    let offered = lifecycle.state("OFFERED").unwrap();
    assert_eq!(lifecycle.governor(offered), Role::Destination);
    assert!(lifecycle.holds_seat(offered));
    assert_eq!(lifecycle.stage_name(lifecycle.state_at(offered).stage), "OFFERED");
    assert!(lifecycle.stage("POOL").unwrap() < lifecycle.stage("NOMINATED").unwrap());
    assert_eq!(lifecycle.fact("contract_observed").unwrap().terms, Some(Terms::Observed));
    assert_eq!(lifecycle.notice("job_order").unwrap().subject, Subject::JobOrders);
    assert_eq!(lifecycle.contradictions.len(), 3);
    for gate in Gate::ALL {
        assert_eq!(gate.to_string().parse(), Ok(*gate));
    }
}

#[test]
fn the_digest_is_stable_and_covers_each_file() {
    let pack = sv_ca();
    assert_eq!(pack.digest(), Pack::load(&agreements(), "sv-ca").unwrap().digest());
    for (path, bytes) in pack.files().iter() {
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut changed = pack.files().clone();
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1;
            changed.insert(path, bytes).unwrap();
            assert_ne!(changed.digest(), pack.digest(), "{path} byte {at}");
        }
    }
    let mut more = pack.files().clone();
    more.insert("x", Vec::new()).unwrap();
    assert_ne!(more.digest(), pack.digest());
}

#[test]
fn the_digest_is_the_documented_one() {
    let mut files = Files::new();
    files.insert("b", b"1".to_vec()).unwrap();
    files.insert("a", b"2".to_vec()).unwrap();
    // Computed with Python's hashlib.
    assert_eq!(hex::encode(files.digest()), EXPECTED_DIGEST);
}

const EXPECTED_DIGEST: &str = "fa72ea86448631837c01821c5099c490bcf34c460b8c8659cc966817bcc6079f";

#[test]
fn a_stored_pack_needs_nothing_but_its_own_tree() {
    let pack = sv_ca();
    let copy = Copy::new();
    let stored = Pack::read_from(copy.root()).unwrap();
    assert_eq!(stored.digest(), pack.digest());
    assert_eq!(stored.messages().count(), pack.messages().count());

    std::fs::remove_file(copy.root().join("google/protobuf/duration.proto")).unwrap();
    let error = Pack::read_from(copy.root()).unwrap_err();
    assert_eq!(error.file, "buf/validate/validate.proto");
    assert!(error.line.is_some(), "{error}");
    assert!(error.problem.contains("duration.proto"), "{error}");
}

#[test]
fn a_stored_pack_holds_nothing_else() {
    let copy = Copy::new();
    std::fs::write(copy.root().join("extra.proto"), "syntax = \"proto3\";").unwrap();
    let error = Pack::read_from(copy.root()).unwrap_err();
    assert_eq!(error.file, "extra.proto");

    let copy = Copy::new();
    let link = copy.root().join("agreements/sv-ca/link.proto");
    std::os::unix::fs::symlink("/etc/hostname", link).unwrap();
    assert!(Pack::read_from(copy.root()).unwrap_err().problem.contains("neither file"));
}

#[test]
fn the_id_of_a_pack_is_no_way_out_of_its_folder() {
    for id in ["../agreements/sv-ca", "..", "", "sv-ca/../sv-ca", "no-such"] {
        assert!(Pack::load(&agreements(), id).is_err(), "{id}");
    }
    assert!(Pack::load(std::path::Path::new("/no/such/agreements"), "sv-ca").is_err());
}
