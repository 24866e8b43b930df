#![allow(clippy::unwrap_used)]

use convenio_agreement::act::{Detail, Refusal};
use convenio_registry::RefusedAct;

use super::*;

const SECRET: &str = "María 04512345-6";

fn details(status: &Status) -> ErrorDetails {
    let details = status.get_error_details();
    assert_eq!(details.error_info().unwrap().domain, "convenio");
    details
}

fn gate(violations: usize) -> RegistryError {
    let path = |n| format!("contract.terms[{n}].wage_rate.minor_units");
    let field_paths: Vec<_> = (0..violations).map(path).collect();
    let violation = |field: &String| Violation { field: field.clone(), description: "worse_terms".to_owned() };
    RegistryError::Refused(Box::new(RefusedAct {
        agreement: "sv-ca".to_owned(),
        act: "sign".to_owned(),
        subject: "placements/x".to_owned(),
        violations: field_paths.iter().map(violation).collect(),
        refusal: Refusal::Gate(Detail {
            gate: "caq".to_owned(),
            clause: "accord-22".to_owned(),
            fact: "caq_granted".to_owned(),
            field_paths,
        }),
    }))
}

#[test]
fn each_category_has_its_code_and_each_error_its_reason() {
    let cases = [
        (RegistryError::Invalid(Vec::new()), Code::InvalidArgument, "INVALID_ARGUMENT"),
        (RegistryError::NotFound, Code::NotFound, "NOT_FOUND"),
        (RegistryError::AlreadyExists(Vec::new()), Code::AlreadyExists, "ALREADY_EXISTS"),
        (RegistryError::RequestIdReused, Code::AlreadyExists, "REQUEST_ID_REUSED"),
        (RegistryError::EtagMismatch, Code::Aborted, "ETAG_MISMATCH"),
        (RegistryError::PermissionDenied("not here"), Code::PermissionDenied, "PERMISSION_DENIED"),
        (RegistryError::NotInForce(Vec::new()), Code::FailedPrecondition, "NOT_IN_FORCE"),
        (RegistryError::Internal("x"), Code::Internal, "INTERNAL"),
        (RegistryError::Store(StoreError::Failed("x".to_owned())), Code::Unavailable, "UNAVAILABLE"),
        (gate(1), Code::FailedPrecondition, "GATE"),
    ];
    for (error, code, reason) in cases {
        let status = from_registry(&error);
        assert_eq!(status.code(), code, "{reason}");
        assert_eq!(details(&status).error_info().unwrap().reason, reason);
        assert_eq!(details(&status).retry_info().is_some(), code == Code::Unavailable, "{reason}");
    }
}

#[test]
fn a_refused_gate_is_named_with_the_fields_concerned() {
    let status = from_registry(&gate(1));
    let details = details(&status);
    let metadata = &details.error_info().unwrap().metadata;
    let said = ["gate", "clause", "fact"].map(|key| metadata[key].as_str());
    assert_eq!(said, ["caq", "accord-22", "caq_granted"]);
    let fields = &details.bad_request().unwrap().field_violations;
    assert_eq!(fields.len(), 1);
    assert_eq!(fields[0].field, "contract.terms[0].wage_rate.minor_units");
}

#[test]
fn an_answer_fits_the_headers_it_travels_in() {
    let status = from_registry(&gate(5_000));
    let response = status.into_http::<tonic::body::Body>();
    let size: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(size < 8 * 1024, "{size}");
}

#[test]
fn faults_of_this_node_are_not_told() {
    let faults = [
        from_registry(&RegistryError::Store(StoreError::Failed(SECRET.to_owned()))),
        from_registry(&RegistryError::Store(StoreError::Uncertain(SECRET.to_owned()))),
        from_registry(&RegistryError::Internal("SECRET PLACE IN THE CODE")),
        from_store(&StoreError::Unusable(SECRET.to_owned())),
        from_store(&StoreError::Corrupt("SECRET TABLE")),
        with_reason(Status::internal(SECRET)),
        with_reason(Status::unknown(SECRET)),
    ];
    for status in faults {
        details(&status);
        let told = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
        assert!(!told.contains(SECRET) && !told.contains("SECRET"), "{told}");
    }
}
