//! Every fault of a configuration is told with file, line and key before anything starts.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use convenio_agreement::Pack;
use convenio_model::{Clock, SeededEntropy, SystemClock};
use convenio_node::Config;
use convenio_node::config::ConfigError;
use convenio_seal::manifest::NodeKeys;

use super::fixture::{AGREEMENT, States, agreements, certificates, root};

fn refused(states: &States) -> ConfigError {
    let error = Config::load(&states.config("sv")).err().expect("the configuration is refused");
    assert_eq!(error.file, states.config("sv"));
    error
}

#[test]
fn a_sound_configuration_is_read_whole() {
    let states = States::new();
    for (party, other) in [("sv", "ca"), ("ca", "sv")] {
        let config = Config::load(&states.config(party)).unwrap();
        assert_eq!(config.tls.identity().to_string(), format!("spiffe://{party}.example/node/{party}"));
        assert_eq!(config.agreements.len(), 1);
        assert_eq!(config.agreements[0].1.node, format!("node.{other}.example"));
        assert_eq!((config.roots.len(), config.ratifications.len(), config.epochs.len()), (2, 2, 1));
        assert_eq!(config.posts[0].districts, ["CA-ON"]);
        assert_eq!(config.database, states.path(party).join("node.db"));
    }
}

#[test]
fn a_bad_line_is_named_with_its_key() {
    // What is replaced, by what, and the key and words of the message.
    let cases = [
        ("node = \"node.sv.example\"", "node = \"Node SV\"", "node", "host name"),
        ("party = \"sv\"", "party = \"s\"", "party", "lower-case letters"),
        ("party = \"sv\"", "party = 7", "party", "invalid type"),
        ("party = \"sv\"", "part = \"sv\"", "part", "unknown field"),
        ("keys = \"keys\"\n", "", "", "missing field `keys`"),
        ("node = \"node.sv.example\"", "node = \"unfinished", "node", "string"),
        ("127.0.0.1:0", "127.0.0.1", "listen", "with a port"),
        ("127.0.0.1:0", "localhost:1", "listen", "IP address"),
        ("\"address\"", "\"no/address\"", "address_file", "no such folder"),
        ("\"node.db\"", "\"keys\"", "database", "is a folder"),
        ("\"data.keys\"", "\"absent/data.keys\"", "data_keys", "no such folder"),
        ("keys = \"keys\"", "keys = \"tls\"", "keys", "record.sk.pem"),
        ("\"../trust\"", "\"../absent\"", "trust", "cannot be read"),
        ("\"../trust\"", "\"node.toml\"", "trust", "line 2"),
        ("\"trust/ratifications\"", "\"trust/absent\"", "ratifications", "cannot be read"),
        ("\"trust/ratifications\"", "\"trust\"", "ratifications", "sv has not ratified sv-ca"),
        ("\"trust/epochs\"", "\"trust\"", "epochs", "no authorisation to open a log of sv-ca"),
        ("\"trust/epochs\"", "\"trust/ratifications\"", "epochs", "another type"),
        ("proto/agreements\"", "proto/absent\"", "agreements_dir", "no such folder"),
        ("agreements = [\"sv-ca\"]\n\n[tls]", "agreements = []\n\n[tls]", "agreements", "1 to 64"),
        ("\"sv-ca\"", "\"sv-xx\"", "agreements[0]", "agreements/sv-xx/agreement.toml"),
        ("[\"sv-ca\"]\n\n[tls]", "[\"sv-ca\", \"sv-ca\"]\n\n[tls]", "agreements[1]", "twice"),
        ("\"tls/node.pem\"", "\"tls/absent.pem\"", "tls.certificate", "cannot be read"),
        ("\"tls/node.sk.pem\"", "\"keys/log.sk.pem\"", "tls.key", "not the key"),
        ("\"tls/ca.pem\"", "\"keys/log.sk.pem\"", "tls.ca", "no PEM certificate"),
        ("\"tls/ca.pem\"", "\"../ca/tls/ca.pem\"", "tls.certificate", "not issued by the authority"),
        ("party = \"ca\"", "party = \"sv\"", "partners[0].party", "another node"),
        ("party = \"ca\"", "party = \"us\"", "partners", "the other party of sv-ca"),
        ("\"node.ca.example\"", "\"node.sv.example\"", "partners[0].node", "another node"),
        ("\"node.ca.example\"", "\"other.ca.example\"", "ratifications", "names the node node.ca.example"),
        ("\"ca.example\"", "\"sv.example\"", "partners[0].trust_domain", "another node"),
        ("\"../ca/tls/ca.pem\"", "\"../ca/absent.pem\"", "partners[0].ca", "cannot be read"),
        ("ca.pem\"\n\n[[posts", "ca.pem\"\naddress = \"x:0\"\n\n[[posts", "partners[0].address", "host:port"),
        ("\"mre\"", "\"MRE\"", "posts[0].organisation", "lower-case"),
        ("\"toronto\"", "\"a/b\"", "posts[0].post", "lower-case"),
        ("[\"CA-ON\"]", "[\"CA-ON\", \"Ontario\"]", "posts[0].districts[1]", "ISO 3166-2"),
        ("[\"CA-ON\"]", "[]", "posts[0].districts", "1 to 256"),
        ("ca = \"tls/ca.pem\"", "ca = \"tls/ca.pem\"\ncrl = \"tls/absent.pem\"", "tls.crl", "cannot be read"),
        ("ca = \"tls/ca.pem\"", "ca = \"tls/ca.pem\"\ncrl = \"node.toml\"", "tls.crl", "no PEM revocation list"),
        ("[log]\n", "[witness]\nlogs = [\"x\"]\n\n[log]\n", "witness.logs[0]", "verifier key"),
        (
            "[log]\n",
            "[witness]\ncallers = [\"spiffe://x.example/witness/u\"]\n[log]\n",
            "witness.callers[0]",
            "neither",
        ),
        (
            "[log]\n",
            "[[witnesses]]\nname = \"U\"\nvkey = \"x\"\nurl = \"x\"\n[log]\n",
            "witnesses[0].name",
            "lower-case",
        ),
        (
            "[log]\n",
            "[[witnesses]]\nname = \"u\"\nvkey = \"x\"\nurl = \"x\"\n[log]\n",
            "witnesses[0].vkey",
            "verifier key",
        ),
        ("[\"sv-ca\"]\n\n[log]", "[\"sv-us\"]\n\n[log]", "posts[0].agreements[0]", "none of this node's"),
        (
            "[log]",
            "[[posts]]\norganisation = \"x\"\npost = \"toronto\"\ndistricts = [\"CA-BC\"]\nagreements = [\"sv-ca\"]\n[log]",
            "posts[1].post",
            "earlier entry",
        ),
        ("\"info\"", "\"loud\"", "log.level", "error, warn"),
        ("\"node.log\"", "\"absent/node.log\"", "log.file", "no such folder"),
    ];
    let states = States::new();
    let sound = fs::read_to_string(states.config("sv")).unwrap();
    for (from, to, key, words) in cases {
        fs::write(states.config("sv"), &sound).unwrap();
        states.edit("sv", from, to);
        let error = refused(&states);
        assert_eq!(error.key, key, "{to}: {error}");
        assert!(error.to_string().contains(words), "{to}: {error}");
        assert!(error.to_string().starts_with(&states.config("sv").display().to_string()), "{error}");
        if let Some(line) = error.line {
            let text = fs::read_to_string(states.config("sv")).unwrap();
            let last = key.rsplit('.').next().unwrap().split('[').next().unwrap();
            let told = text.lines().nth(line - 1).unwrap();
            assert!(told.contains(last), "{to}: line {line} is {told:?}");
        }
    }
}

#[test]
fn no_configuration_and_none_that_can_be_one() {
    let states = States::new();
    fs::write(states.config("sv"), [0xff, 0xfe]).unwrap();
    assert!(refused(&states).to_string().contains("not UTF-8"));
    fs::write(states.config("sv"), vec![b'#'; 300 * 1024]).unwrap();
    assert!(refused(&states).to_string().contains("larger than"));
    fs::remove_file(states.config("sv")).unwrap();
    assert!(refused(&states).to_string().contains("cannot be read"));
}

#[test]
fn a_truncated_certificate_is_named() {
    let states = States::new();
    let path = states.path("sv").join("tls/node.pem");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = refused(&states);
    assert_eq!(error.key, "tls.certificate");
    assert!(error.problem.contains("tls/node.pem: truncated certificate"), "{error}");
}

#[test]
fn a_certificate_of_last_year_or_of_another_holder_is_refused() {
    let states = States::new();
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock.now_ms());
    let dir = states.path("sv").join("tls");
    certificates(&dir, "sv", now - Duration::from_secs(7200), now - Duration::from_secs(3600));
    let error = refused(&states);
    assert_eq!(error.key, "tls.certificate");
    assert!(error.problem.contains("expired"), "{error}");

    certificates(&dir, "us", now - Duration::from_secs(60), now + Duration::from_secs(3600));
    let error = refused(&states);
    assert!(error.problem.contains("spiffe://us.example/node/us"), "{error}");
}

#[test]
fn a_pack_that_one_party_alone_ratified_is_refused() {
    let states = States::new();
    fs::remove_file(states.path("sv").join("trust/ratifications/ca.dsse.json")).unwrap();
    let error = refused(&states);
    assert_eq!(error.key, "ratifications");
    assert!(error.problem.contains("ca has not ratified sv-ca"), "{error}");
}

#[test]
fn a_ratification_of_other_files_or_by_other_roots_is_refused() {
    let states = States::new();
    let (set, key) = root("ca");
    states.ratify("sv", &set, &key, [7; 32]);
    assert!(refused(&states).problem.contains("is for another digest"));

    let states = States::new();
    let path = states.path("sv").join("trust/ratifications/ca.dsse.json");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\"sig\": \"").unwrap() + 8;
    let swapped = if &text[at..=at] == "A" { "B" } else { "A" };
    fs::write(&path, format!("{}{swapped}{}", &text[..at], &text[at + 1..])).unwrap();
    let error = refused(&states);
    assert!(error.problem.contains("ca.dsse.json: a signature of a known key does not verify"), "{error}");
}

#[test]
fn a_ratification_without_the_sign_offs_that_its_pack_asks_for_is_refused() {
    let states = States::new();
    let packs = states.path("packs");
    Pack::load(&agreements(), AGREEMENT).unwrap().files().write_to(&packs).unwrap();
    let toml = packs.join("agreements").join(AGREEMENT).join("agreement.toml");
    let asked = "\n[sign_off.ca]\noffices = [\"esdc\"]\nk = 1\n";
    fs::write(&toml, fs::read_to_string(&toml).unwrap() + asked).unwrap();
    let digest = Pack::load(&packs.join("agreements"), AGREEMENT).unwrap().digest();
    states.edit("sv", &agreements().display().to_string(), &packs.join("agreements").display().to_string());
    let trust = states.path("trust");
    let text = fs::read_to_string(&trust).unwrap();
    let others: String = text.split_inclusive('\n').filter(|line| !line.starts_with("agreement")).collect();
    fs::write(&trust, format!("agreement {AGREEMENT} {}\n{others}", hex::encode(digest))).unwrap();
    for party in ["sv", "ca"] {
        let (set, key) = root(party);
        states.ratify("sv", &set, &key, digest);
    }
    let error = refused(&states);
    assert!(error.key == "ratifications" && error.problem.contains("ca.dsse.json: SIGN_OFF"), "{error}");
}

#[test]
fn an_untrusted_digest_or_party_is_refused() {
    let states = States::new();
    let trust = states.path("sv").with_file_name("trust");
    let text = fs::read_to_string(&trust).unwrap();
    let without =
        |word: &str| -> String { text.split_inclusive('\n').filter(|line| !line.starts_with(word)).collect() };
    fs::write(&trust, without("agreement")).unwrap();
    let error = refused(&states);
    assert!(error.key == "trust" && error.problem.contains("does not trust sv-ca"), "{error}");
    fs::write(&trust, without("root ca")).unwrap();
    let error = refused(&states);
    assert!(error.key == "trust" && error.problem.contains("no root keys of ca"), "{error}");
}

#[test]
fn keys_that_no_root_authorised_are_refused() {
    let states = States::new();
    let dir = states.path("sv").join("keys");
    fs::remove_dir_all(&dir).unwrap();
    fs::create_dir(&dir).unwrap();
    NodeKeys::generate(&SeededEntropy::new(9)).store(&dir).unwrap();
    let error = refused(&states);
    assert_eq!(error.key, "epochs");
    assert!(error.problem.contains("1.dsse.json: names other keys than those in"), "{error}");

    let other = fs::read(states.path("ca").join("trust/epochs/1.dsse.json")).unwrap();
    fs::write(states.path("sv").join("trust/epochs/1.dsse.json"), other).unwrap();
    assert_eq!(refused(&states).key, "epochs");
}

#[test]
fn a_key_that_everybody_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let states = States::new();
    let path = states.path("sv").join("keys/mirror.sk.pem");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(&states);
    assert!(error.key == "keys" && error.problem.contains("mirror.sk.pem"), "{error}");
}

#[test]
fn a_pack_with_a_broken_proto_is_named_with_its_file() {
    let states = States::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("proto");
    let to = states.path("sv").join("proto");
    copy(&from, &to);
    let broken = to.join("agreements/sv-ca/sv_ca.proto");
    let text = fs::read_to_string(&broken).unwrap();
    fs::write(&broken, text.replacen("message ", "massage ", 1)).unwrap();
    states.edit("sv", &format!("\"{}/agreements\"", from.display()), "\"proto/agreements\"");
    let error = refused(&states);
    assert_eq!(error.key, "agreements[0]");
    assert!(error.problem.contains("agreements/sv-ca/sv_ca.proto"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
