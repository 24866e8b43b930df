//! A ratification that its pack asks sign-offs for counts only with them, in the file and in the log.

use convenio_agreement::Pack;
use convenio_agreement::digest::Files;
use convenio_audit::{TrustFile, Verification, verify};
use convenio_model::SeededEntropy;
use convenio_seal::SigningKey;
use convenio_seal::signoff::{OfficeSaid, SaidBy, sign_off, sign_off_from};
use tempfile::TempDir;

use crate::export::draft;
use crate::integrity::told;
use crate::pair::{OFFICE, Pair, START_MS, SV, office_key, origin, pack};

/// sv-ca, for which an office of El Salvador must sign off.
fn asking() -> Pack {
    let mut files = Files::new();
    for (path, bytes) in pack().files().iter() {
        let mut bytes = bytes.to_vec();
        if path == "agreements/sv-ca/agreement.toml" {
            bytes.extend(b"\n[sign_off.sv]\noffices = [\"mre\", \"mtps\"]\nk = 1\nmust = [\"mre\"]\n");
        }
        files.insert(path, bytes).unwrap();
    }
    Pack::from_files(files).unwrap()
}

fn said(objection: Option<&str>, digest: [u8; 32]) -> SaidBy {
    let said = OfficeSaid {
        agreement: "sv-ca".into(),
        digest,
        party: "sv".into(),
        office: OFFICE.into(),
        officer_role: "Director".into(),
        time_ms: START_MS,
        objection: objection.map(str::to_owned),
        acknowledged: Vec::new(),
    };
    sign_off_from(&sign_off(&said, &office_key()).unwrap()).unwrap()
}

/// What the audit says of a story under ratifications with these sign-offs, with this line more in the trust file.
fn checked(sign_offs: Vec<SaidBy>, line: &str) -> Verification {
    let pair = told(Pair::signed_off(asking(), 11, sign_offs));
    let dir = TempDir::new().unwrap();
    draft(&pair, SV).write(&pair, dir.path());
    verify(dir.path(), &TrustFile::parse(&(pair.trust() + line)).unwrap()).unwrap()
}

fn line(key: &SigningKey) -> String {
    format!("office sv {OFFICE} {}\n", key.public().spki_base64())
}

/// Both RATIFYs of El Salvador, one in each log, and its file do not count, and neither log activates anything.
fn refused(found: &Verification) {
    assert!(!found.holds);
    let with = |reason: &str| found.problems.iter().filter(|problem| problem.reason == reason).count();
    assert_eq!((with("SIGN_OFF"), with("ACTIVATION")), (3, 2), "{:#?}", found.problems);
    let own = found.problems.iter().find(|problem| problem.origin.as_deref() == Some(&origin(SV)));
    assert_eq!(own.map(|problem| (problem.reason, problem.index)), Some(("SIGN_OFF", Some(1))));
}

#[test]
fn with_its_sign_off_a_ratification_counts() {
    let found = checked(vec![said(None, asking().digest())], "");
    assert!(found.holds, "{:#?}", found.problems);
    assert!(checked(vec![said(None, asking().digest())], &line(&office_key())).holds);
}

#[test]
fn without_or_against_its_office_or_with_anothers_key_it_does_not() {
    let digest = asking().digest();
    refused(&checked(Vec::new(), ""));
    refused(&checked(vec![said(Some("not consulted"), digest)], ""));
    refused(&checked(vec![said(None, [7; 32])], ""));
    let other = SigningKey::generate(&SeededEntropy::new(99));
    refused(&checked(vec![said(None, digest)], &line(&other)));
}
