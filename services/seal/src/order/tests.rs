use convenio_model::SeededEntropy;
use convenio_wire::exchange::v1::{ResumptionOrder, SuspensionOrder, TerminationNotice};

use super::*;

fn roots(party: &str, seed: u64) -> (Vec<SigningKey>, RootSet) {
    let entropy = SeededEntropy::new(seed);
    let keys: Vec<_> = (0..3).map(|_| SigningKey::generate(&entropy)).collect();
    let set = RootSet::new(party, 2, keys.iter().map(SigningKey::public).collect()).unwrap();
    (keys, set)
}

fn order(number: u64, order: Order) -> AgreementOrder {
    let (agreement, party) = ("sv-ca".to_owned(), "sv".to_owned());
    AgreementOrder { agreement, party, number, reason_code: "force-majeure".to_owned(), order: Some(order) }
}

#[test]
fn an_order_holds_with_enough_roots_of_its_own_party() {
    let (keys, set) = roots("sv", 1);
    let (_, others) = roots("ca", 2);
    let said = order(3, Order::Resume(ResumptionOrder { of: 2 }));
    let (entry, read) = order_from(&sign_order(&said, &[&keys[0], &keys[2]]).unwrap()).unwrap();
    assert_eq!((&read, verify_order(&entry, &set).unwrap().as_ref()), (&said, Some(&said)));
    assert!(verify_order(&entry, &others).is_err());
    let (one, _) = order_from(&sign_order(&said, &[&keys[1]]).unwrap()).unwrap();
    assert!(verify_order(&one, &set).is_err());
    // An entry of another kind with the same bytes orders nothing.
    let Body::Resume(Resume { payload, signatures }) = entry else { panic!("not a RESUME") };
    let other = Body::Terminate(Terminate { payload, signatures });
    assert!(matches!(verify_order(&other, &set), Err(RootError::Mismatch("order"))));
}

#[test]
fn what_is_no_order_is_refused_with_its_field() {
    let (keys, _) = roots("sv", 1);
    let suspend = |scope: &[&str]| {
        Order::Suspend(SuspensionOrder { scope: scope.iter().map(|s| (*s).to_owned()).collect(), until_ms: 0 })
    };
    for (said, field) in [
        (order(0, suspend(&[])), "number"),
        (order(1, suspend(&["Nominate"])), "suspend.scope"),
        (order(1, suspend(&[""])), "suspend.scope"),
        (order(1, Order::Resume(ResumptionOrder { of: 1 })), "resume.of"),
        (order(1, Order::Terminate(TerminationNotice { effective_ms: 0 })), "terminate.effective_ms"),
        (AgreementOrder { order: None, ..order(1, suspend(&[])) }, "order"),
        (AgreementOrder { reason_code: "María".into(), ..order(1, suspend(&[])) }, "reason_code"),
        (AgreementOrder { agreement: "SV CA".into(), ..order(1, suspend(&[])) }, "agreement"),
    ] {
        let refused = sign_order(&said, &[&keys[0]]).err();
        assert!(matches!(&refused, Some(RootError::Field(name)) if *name == field), "{field}: {refused:?}");
    }
    assert!(sign_order(&order(1, suspend(&["nominate"])), &[&keys[0]]).is_ok());
}
