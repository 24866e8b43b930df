//! Commands, and the directories that they make.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The program with these arguments, in an environment without a log filter.
pub fn convenio<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_convenio"));
    command.args(args).env_remove("RUST_LOG");
    command
}

/// Runs a command line, whose words are separated by spaces; gives its exit code, standard output and standard error.
pub fn run(line: &str) -> (i32, String, String) {
    told(convenio(line.split_whitespace()).output().unwrap())
}

pub fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs a command line that must succeed; gives its standard output.
pub fn done(line: &str) -> String {
    let (code, out, error) = run(line);
    assert_eq!(code, 0, "{line}: {error}");
    out
}

/// Runs a command line that must be refused as unusable in one line; gives that line.
pub fn refused(line: &str) -> String {
    let (code, out, error) = run(line);
    assert_eq!((code, out.as_str()), (2, ""), "{line}: {error}");
    assert_eq!(error.lines().count(), 1, "{line}: {error}");
    assert!(error.starts_with("convenio: "), "{error}");
    error
}

pub fn agreements() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("proto/agreements")
}

/// Two states after the whole ceremony, made by the commands alone.
pub struct States {
    dir: TempDir,
}

impl States {
    pub fn new() -> Self {
        let states = Self { dir: tempfile::tempdir().unwrap() };
        let (d, packs) = (states.dir.path().display().to_string(), agreements().display().to_string());
        for (party, other) in [("sv", "ca"), ("ca", "sv")] {
            let node = format!("node.{party}.example");
            let own = format!("{d}/{party}");
            done(&format!(
                "pki init --dir {own}/tls --state {party} --trust-domain {party}.example --node-name {node}"
            ));
            done(&format!("node keys --dir {own}/keys --party {party} --node {node}"));
            done(&format!("root init --party {party} --dir {d}/root-{party}"));
            done(&format!(
                "root open-epoch --root {d}/root-{party} --manifest {own}/keys/manifest.binpb --agreement sv-ca \
                 --recipient node.{other}.example --out {own}/trust/epochs/1.dsse.json"
            ));
            done(&format!(
                "agreement sign --root {d}/root-{party} --agreements {packs} --id sv-ca --node {node} \
                 --out {d}/{party}.dsse.json"
            ));
            fs::write(states.config(party), node_toml(party, other)).unwrap();
        }
        for party in ["sv", "ca"] {
            let folder = states.path(party).join("trust/ratifications");
            fs::create_dir_all(&folder).unwrap();
            for by in ["sv", "ca"] {
                fs::copy(states.path(&format!("{by}.dsse.json")), folder.join(format!("{by}.dsse.json"))).unwrap();
            }
        }
        let digest = done(&format!("agreement digest --agreements {packs} --id sv-ca"));
        done(&format!(
            "trust --agreement sv-ca={} --root {d}/root-sv/root.json --root {d}/root-ca --out {d}/trust",
            digest.trim()
        ));
        states
    }

    /// `DIR/name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn config(&self, party: &str) -> PathBuf {
        self.path(party).join("node.toml")
    }

    /// `node --config FILE` for a state.
    pub fn node(&self, party: &str) -> String {
        format!("node --config {}", self.config(party).display())
    }

    pub fn edit(&self, party: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.config(party)).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(self.config(party), text.replace(from, to)).unwrap();
    }
}

fn node_toml(party: &str, other: &str) -> String {
    format!(
        r#"node = "node.{party}.example"
party = "{party}"
trust_domain = "{party}.example"
listen = "127.0.0.1:0"
address_file = "address"
database = "node.db"
data_keys = "data.keys"
keys = "keys"
trust = "../trust"
ratifications = "trust/ratifications"
epochs = "trust/epochs"
agreements_dir = "{agreements}"
agreements = ["sv-ca"]

[tls]
certificate = "tls/node.pem"
key = "tls/node.sk.pem"
ca = "tls/ca.pem"

[[partners]]
party = "{other}"
node = "node.{other}.example"
trust_domain = "{other}.example"
ca = "../{other}/tls/ca.pem"

[log]
level = "info"
file = "node.log"
"#,
        agreements = agreements().display()
    )
}
