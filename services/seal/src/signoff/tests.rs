use convenio_model::SeededEntropy;

use super::*;
use crate::root::{Grounds, RootError, RootSet, ratify_from, sign_ratification, verify_ratify};

const NOW: u64 = 1_800_000_000_000;

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&SeededEntropy::new(seed))
}

fn policy(k: usize, must: &[&str]) -> SignOffPolicy {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    SignOffPolicy { offices: list(&["minrex", "mitrab", "mtps"]), k, must: list(must), missing: Vec::new() }
}

fn said(office: &str) -> OfficeSaid {
    OfficeSaid {
        agreement: "sv-ca".into(),
        digest: [3; 32],
        party: "sv".into(),
        office: office.into(),
        officer_role: "Director".into(),
        time_ms: NOW,
        objection: None,
        acknowledged: Vec::new(),
    }
}

fn by(said: &OfficeSaid, key: &SigningKey) -> SaidBy {
    sign_off_from(&Envelope::parse(sign_off(said, key).unwrap().to_json().as_bytes()).unwrap()).unwrap()
}

/// A ratification with these sign-offs; the keys of `minrex` and `mitrab` are those of the seeds 21 and 22.
fn ratified(sign_offs: Vec<SaidBy>) -> RatifiedBy {
    let roots = RootSet::new("sv", 1, vec![key(1).public()]).unwrap();
    let offices = vec![("minrex".into(), key(21).public()), ("mitrab".into(), key(22).public())];
    let grounds = Grounds { offices, sign_offs, time_ms: NOW, ..Grounds::default() };
    RatifiedBy { grounds, ..RatifiedBy::new("sv-ca", [3; 32], "node.sv.example", roots) }
}

fn both() -> Vec<SaidBy> {
    vec![by(&said("minrex"), &key(21)), by(&said("mitrab"), &key(22))]
}

#[test]
fn enough_offices_with_every_one_that_must_suffice_and_cross_in_the_ratification() {
    let ratified = ratified(both());
    check_sign_offs(&ratified, Some(&policy(2, &["minrex"])), &[]).unwrap();
    check_sign_offs(&ratified, None, &[]).unwrap();

    let envelope = sign_ratification(&ratified, &[&key(1)]).unwrap();
    let read = verify_ratify(&ratify_from(&envelope).unwrap(), &ratified.roots).unwrap();
    assert_eq!(read, ratified);
    check_sign_offs(&read, Some(&policy(2, &["minrex"])), &[]).unwrap();
}

#[test]
fn a_ratification_without_grounds_is_of_the_first_form_and_satisfies_no_policy() {
    let roots = RootSet::new("sv", 1, vec![key(1).public()]).unwrap();
    let plain = RatifiedBy::new("sv-ca", [3; 32], "node.sv.example", roots);
    // Fields 1 to 6 of the released message and nothing behind them.
    let spki = key(1).public().spki_der().to_vec();
    let mut bytes = b"\x0a\x05sv-ca\x12\x20".to_vec();
    bytes.extend([3; 32]);
    bytes.extend(b"\x1a\x02sv\x22\x0fnode.sv.example\x2a\x2c");
    bytes.extend(spki);
    bytes.extend([0x30, 1]);
    assert_eq!(plain.to_payload(), bytes);
    assert_eq!(check_sign_offs(&plain, Some(&policy(1, &[])), &[]), Err(SignOffRefused::NoTime));
}

#[test]
fn too_few_a_missing_one_and_an_objection_are_told_apart() {
    let one = || vec![by(&said("minrex"), &key(21))];
    let check = |sign_offs, policy| check_sign_offs(&ratified(sign_offs), Some(&policy), &[]);
    assert_eq!(check(one(), policy(2, &["minrex"])), Err(SignOffRefused::TooFew { agreed: 1, needed: 2 }));
    assert_eq!(check(one(), policy(1, &["mitrab"])), Err(SignOffRefused::Missing("mitrab".into())));
    // k is met, but not by those who must.
    assert_eq!(check(both(), policy(2, &["mtps"])), Err(SignOffRefused::Missing("mtps".into())));

    let objects = OfficeSaid { objection: Some("no diagnosis".into()), ..said("mitrab") };
    let objected = || vec![by(&said("minrex"), &key(21)), by(&objects, &key(22))];
    assert_eq!(check(objected(), policy(1, &["mitrab"])), Err(SignOffRefused::Objected("mitrab".into())));
    // Of an office that need not agree an objection is no veto, and no agreement either.
    assert_eq!(check(objected(), policy(1, &["minrex"])), Ok(()));
    assert_eq!(check(objected(), policy(2, &["minrex"])), Err(SignOffRefused::TooFew { agreed: 1, needed: 2 }));
    // An office that the pack does not list counts for nothing.
    let unlisted = SignOffPolicy { offices: vec!["minrex".into()], ..policy(2, &[]) };
    assert_eq!(check(both(), unlisted), Err(SignOffRefused::TooFew { agreed: 1, needed: 2 }));
}

#[test]
fn a_sign_off_is_of_this_version_by_this_office_and_fresh() {
    let with = |change: &dyn Fn(&mut OfficeSaid)| {
        let mut said = said("minrex");
        change(&mut said);
        check_sign_offs(&ratified(vec![by(&said, &key(21))]), Some(&policy(1, &[])), &[])
    };
    let other = Err(SignOffRefused::Other("minrex".into()));
    assert_eq!(with(&|said| said.digest = [4; 32]), other);
    assert_eq!(with(&|said| said.agreement = "sv-es".into()), other);
    assert_eq!(with(&|said| said.party = "ca".into()), other);
    let age = Err(SignOffRefused::Age("minrex".into()));
    assert_eq!(with(&|said| said.time_ms = NOW - MAX_AGE_MS), Ok(()));
    assert_eq!(with(&|said| said.time_ms = NOW - MAX_AGE_MS - 1), age);
    assert_eq!(with(&|said| said.time_ms = NOW + MAX_SKEW_MS), Ok(()));
    assert_eq!(with(&|said| said.time_ms = NOW + MAX_SKEW_MS + 1), age);
}

#[test]
fn a_forged_office_does_not_count() {
    let check = |sign_offs, known: &[TrustedOffice]| {
        check_sign_offs(&ratified(sign_offs), Some(&policy(1, &["minrex"])), known)
    };
    // Signed by another office's key, or of an office whose key the ratification does not name.
    let forged = Err(SignOffRefused::Signature("minrex".into()));
    assert_eq!(check(vec![by(&said("minrex"), &key(22))], &[]), forged);
    let unnamed = check_sign_offs(&ratified(vec![by(&said("mtps"), &key(23))]), Some(&policy(1, &[])), &[]);
    assert_eq!(unnamed, Err(SignOffRefused::Signature("mtps".into())));

    // What the trust file says of an office binds the roots too.
    let line =
        |office: &str, seed: u64| TrustedOffice { party: "sv".into(), office: office.into(), key: key(seed).public() };
    assert_eq!(check(both(), &[line("minrex", 21), line("minrex", 90)]), Ok(()));
    assert_eq!(check(both(), &[line("minrex", 90)]), Err(SignOffRefused::OtherKey("minrex".into())));
}

#[test]
fn what_is_missing_from_the_policy_basis_is_acknowledged_by_name() {
    let missing = SignOffPolicy { missing: vec!["workers_consulted".into()], ..policy(1, &[]) };
    let mut ratified = ratified(both());
    let refused = check_sign_offs(&ratified, Some(&missing), &[]);
    assert_eq!(refused, Err(SignOffRefused::Unacknowledged("workers_consulted".into())));
    ratified.grounds.acknowledged = vec!["workers_consulted".into()];
    assert_eq!(check_sign_offs(&ratified, Some(&missing), &[]), Ok(()));
}

#[test]
fn a_ratification_replaces_what_the_pack_replaces_and_counts_from_its_time_on() {
    let mut ratified = ratified(both());
    let rule = |amends| RatificationRule { sign_off: Some(policy(2, &[])), amends };
    assert_eq!(check_counts(&ratified, &rule(Some([1; 32])), &[], None), Ok(()));
    ratified.grounds.amends = Some([1; 32]);
    assert_eq!(check_counts(&ratified, &rule(Some([1; 32])), &[], None), Ok(()));
    assert_eq!(check_counts(&ratified, &rule(Some([2; 32])), &[], None), Err(Uncounted::Amends));
    assert_eq!(check_counts(&ratified, &rule(None), &[], None).unwrap_err().reason(), "AMENDS");

    ratified.grounds.not_before_ms = NOW + 1;
    let first = rule(Some([1; 32]));
    assert_eq!(check_counts(&ratified, &first, &[], Some(NOW)).unwrap_err().reason(), "NOT_YET");
    assert_eq!(check_counts(&ratified, &first, &[], Some(NOW + 1)), Ok(()));
    assert_eq!(check_counts(&ratified, &first, &[], None), Ok(()));
    ratified.grounds.sign_offs.clear();
    assert_eq!(check_counts(&ratified, &first, &[], None).unwrap_err().reason(), "SIGN_OFF");
}

#[test]
fn lists_of_a_ratification_are_sorted_distinct_and_bounded() {
    let read = |change: &dyn Fn(&mut RatifiedBy)| {
        let mut ratified = ratified(both());
        change(&mut ratified);
        RatifiedBy::parse(&ratified.to_payload()).map(drop)
    };
    assert!(read(&|_| ()).is_ok());
    let field = |result, name| assert!(matches!(result, Err(RootError::Field(at)) if at == name), "{name}: {result:?}");
    field(read(&|r| r.grounds.offices.reverse()), "offices.office");
    field(read(&|r| r.grounds.offices[1].0 = "Mitrab".into()), "offices.office");
    // One key is one voice, and a root is no office.
    field(read(&|r| r.grounds.offices[1].1 = key(21).public()), "offices.spki");
    field(read(&|r| r.grounds.offices[1].1 = key(1).public()), "offices.spki");
    field(read(&|r| r.grounds.sign_offs.reverse()), "sign_offs");
    field(read(&|r| r.grounds.sign_offs[1] = r.grounds.sign_offs[0].clone()), "sign_offs");
    field(read(&|r| r.grounds.acknowledged = vec!["b_b".into(), "a_a".into()]), "acknowledged");
    field(read(&|r| r.grounds.acknowledged = vec!["a-a".into()]), "acknowledged");
    field(read(&|r| r.grounds.time_ms = u64::MAX), "time_ms");
    let many =
        |r: &mut RatifiedBy| r.grounds.acknowledged = (0..17u8).map(|n| format!("a{}", (b'a' + n) as char)).collect();
    assert!(matches!(read(&many), Err(RootError::TooLarge)));
}

#[test]
fn the_largest_ratification_fits_and_a_larger_one_is_refused() {
    let roots: Vec<_> = (100..116).map(|seed| key(seed).public()).collect();
    let office = |at: u64| format!("office-{}{}", "x".repeat(32), (b'a' + at as u8) as char);
    let full = |at: u64, length: usize| {
        let said = OfficeSaid {
            officer_role: "y".repeat(120),
            objection: Some("z".repeat(length)),
            ..OfficeSaid { office: office(at), ..said("minrex") }
        };
        by(&said, &key(200 + at))
    };
    let mut large = ratified(Vec::new());
    large.roots = RootSet::new("sv", 9, roots).unwrap();
    large.grounds.offices = (0..16).map(|at| (office(at), key(200 + at).public())).collect();
    large.grounds.sign_offs = (0..16).map(|at| full(at, 400)).collect();
    let payload = large.to_payload();
    assert!(payload.len() > 4 * 1024 && payload.len() <= crate::root::MAX_RATIFICATION, "{}", payload.len());
    assert_eq!(RatifiedBy::parse(&payload).unwrap(), large);

    let mut padded = payload.clone();
    padded.resize(crate::root::MAX_RATIFICATION + 1, 0);
    assert!(matches!(RatifiedBy::parse(&padded), Err(RootError::TooLarge)));
}

#[test]
fn every_changed_byte_of_a_sign_off_is_refused() {
    let good = by(&said("minrex"), &key(21));
    for at in 0..good.payload.len() {
        let mut payload = good.payload.clone();
        payload[at] ^= 1;
        let counted = SaidBy::read(payload, good.sig.clone()).is_ok_and(|bad| bad.is_by(&key(21).public()));
        assert!(!counted, "{at}");
    }
}

#[test]
fn fields_that_cannot_be_are_named() {
    let bad = |change: &dyn Fn(&mut OfficeSaid)| {
        let mut said = said("minrex");
        change(&mut said);
        sign_off(&said, &key(21)).map(drop)
    };
    let field =
        |result, name| assert!(matches!(result, Err(SignOffError::Field(at)) if at == name), "{name}: {result:?}");
    field(bad(&|said| said.agreement = "SV".into()), "agreement");
    field(bad(&|said| said.party = "s".into()), "party");
    field(bad(&|said| said.office = "A".into()), "office");
    field(bad(&|said| said.officer_role = "a\nb".into()), "officer_role");
    field(bad(&|said| said.time_ms = 0), "time_ms");
    field(bad(&|said| said.objection = Some(String::new())), "reason");
    field(bad(&|said| said.objection = Some("a".repeat(501))), "reason");
    field(bad(&|said| said.acknowledged = vec!["b_b".into(), "b_b".into()]), "acknowledged");
}
