use std::os::unix::fs::PermissionsExt;

use convenio_model::SeededEntropy;

use super::*;

// RFC 8032 §7.1, TEST 2.
const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

fn rfc_key() -> SigningKey {
    SigningKey::from_seed(&crate::encoding::hex32(SEED).unwrap())
}

#[test]
fn signs_as_rfc_8032_says() {
    let key = rfc_key();
    assert_eq!(hex::encode(key.public().raw()), PUBLIC);
    assert_eq!(hex::encode(key.sign(&[0x72])), SIGNATURE);
    assert!(key.public().verify(&[0x72], &hex::decode(SIGNATURE).unwrap()));
    assert!(!key.public().verify(&[0x73], &hex::decode(SIGNATURE).unwrap()));
    assert!(!key.public().verify(&[0x72], &hex::decode(SIGNATURE).unwrap()[..63]));
}

#[test]
fn reads_the_example_of_rfc_8410() {
    // RFC 8410 §10.1 and §10.3; `openssl genpkey -algorithm ed25519` writes the same form.
    let pem = format!("{PEM_BEGIN}MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC{PEM_END}\n");
    let spki = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    let key = SigningKey::from_pem(&pem).unwrap();
    assert_eq!(key.public().spki_base64(), spki);
    assert_eq!(key.to_pem().as_str(), pem);
    assert_eq!(PublicKey::from_spki_base64(spki).unwrap(), key.public());
}

#[test]
fn malformed_keys_are_refused() {
    let spki = rfc_key().public().spki_der();
    assert_eq!(PublicKey::from_spki_der(&spki).unwrap(), rfc_key().public());
    assert!(PublicKey::from_spki_der(&spki[..43]).is_err());
    assert!(PublicKey::from_spki_der(&[&spki[..], &[0]].concat()).is_err());
    for at in 0..12 {
        let mut bad = spki;
        bad[at] ^= 1;
        assert!(PublicKey::from_spki_der(&bad).is_err(), "{at}");
    }
    let pem = rfc_key().to_pem();
    for bad in ["", "x", &pem[1..], &pem.replace("MC4", "MC5"), &pem.replace("PRIVATE", "PUBLIC"), &pem.repeat(2)] {
        assert!(matches!(SigningKey::from_pem(bad), Err(KeyError::Private)));
    }
}

#[test]
fn a_key_file_is_private_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("record.sk.pem");
    let key = SigningKey::generate(&SeededEntropy::new(1));
    key.store(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let other = SigningKey::generate(&SeededEntropy::new(2));
    assert!(matches!(other.store(&path), Err(KeyError::Exists)));
    assert_eq!(SigningKey::load(&path).unwrap().public(), key.public());
    assert!(matches!(key.store(&dir.path().join("record.pem")), Err(KeyError::FileName)));

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(SigningKey::load(&path), Err(KeyError::Permissions)));
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", rfc_key());
    assert!(shown.contains(&hex::encode(rfc_key().public().key_id())));
    assert!(!shown.contains(&SEED[..8]));
}
