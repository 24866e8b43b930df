//! The folder of a demonstration: two authorities, two roots, two nodes' keys and configurations, one trust file.
//!
//! What a ministry's root signs is signed by a separate process, as it is done in earnest: no node and no part of this
//! program ever holds a root's key.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use convenio_agreement::Pack;
use convenio_model::{Clock, SystemClock};
use convenio_node::tls::{LoadedTls, TlsMaterial};
use serde::Serialize;

use super::ratify;
use super::scenario::{Post, State};
use crate::pki::{self, StateSpec};

/// Where everything of one demonstration lies.
#[derive(Debug)]
pub struct Layout {
    pub dir: PathBuf,
    pub agreements: PathBuf,
    pub origin: StateDir,
    pub destination: StateDir,
}

/// One state's part of it.
#[derive(Debug)]
pub struct StateDir {
    pub state: State,
    /// The node's folder.
    pub dir: PathBuf,
    /// The folder of the state's root, apart from the node's.
    pub roots: PathBuf,
    /// The folder of the keys and sign-offs of the state's offices.
    pub offices: PathBuf,
}

impl Layout {
    /// Makes everything up to the configurations. `addresses` are what the origin's and the destination's nodes dial to
    /// reach each other: the proxies before the destination and before the origin.
    ///
    /// # Errors
    /// A folder that is not empty, or what a step said.
    pub fn make(
        dir: &Path,
        agreements: &Path,
        [origin, destination]: [&State; 2],
        pack: &Pack,
        to_destination: SocketAddr,
        to_origin: SocketAddr,
    ) -> anyhow::Result<Self> {
        let shown = dir.display();
        fs::create_dir_all(dir).with_context(|| format!("{shown}: cannot be made"))?;
        let empty = fs::read_dir(dir).with_context(|| format!("{shown}: cannot be read"))?.next().is_none();
        ensure!(empty, "{shown}: is not empty; give a folder that is not there yet");
        let dir = dir.canonicalize().with_context(|| format!("{shown}: cannot be resolved"))?;
        let state = |state: &State| StateDir {
            dir: dir.join(&state.id),
            roots: dir.join("roots").join(&state.id),
            offices: dir.join("offices").join(&state.id),
            state: state.clone(),
        };
        let layout = Self {
            origin: state(origin),
            destination: state(destination),
            agreements: agreements.canonicalize().with_context(|| format!("{}", agreements.display()))?,
            dir,
        };
        if let Err(error) = layout.fill(pack, to_destination, to_origin) {
            // Nothing half-made is left; it was empty. The first error is the one to tell.
            let _ = fs::remove_dir_all(&layout.dir);
            return Err(error);
        }
        Ok(layout)
    }

    fn fill(&self, pack: &Pack, to_destination: SocketAddr, to_origin: SocketAddr) -> anyhow::Result<()> {
        let (origin, destination) = (&self.origin, &self.destination);
        for own in [origin, destination] {
            own.make(self.now())?;
        }
        ratify::by_both(self, pack)?;
        origin.configure(destination, &self.agreements, pack.id(), to_destination)?;
        destination.configure(origin, &self.agreements, pack.id(), to_origin)
    }

    /// The one trust file for both bundles.
    pub fn trust(&self) -> PathBuf {
        self.dir.join("trust")
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock.now_ms())
    }
}

impl StateDir {
    /// The node's configuration.
    pub fn config(&self) -> PathBuf {
        self.dir.join("node.toml")
    }

    /// Where the node writes the address that it listens on.
    pub fn address_file(&self) -> PathBuf {
        self.dir.join("address")
    }

    /// The certificates of a caller of this state: `integration`, `consulate-toronto`.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn tls(&self, holder: &str) -> anyhow::Result<LoadedTls> {
        let tls = self.dir.join("tls");
        let material = TlsMaterial {
            certificate: tls.join(format!("{holder}.pem")),
            key: tls.join(format!("{holder}.sk.pem")),
            own_ca: tls.join("ca.pem"),
            own_trust_domain: self.state.trust_domain.clone(),
            partner_cas: Vec::new(),
            crls: Vec::new(),
        };
        Ok(material.load()?)
    }

    fn make(&self, now: SystemTime) -> anyhow::Result<()> {
        let state = &self.state;
        for folder in ["trust/ratifications", "trust/epochs"] {
            let folder = self.dir.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        }
        let spec = StateSpec {
            state: state.id.clone(),
            trust_domain: state.trust_domain.clone(),
            node_name: state.node.clone(),
            organisation: state.organisation.clone(),
            posts: state.posts.iter().map(|p| (p.organisation.clone(), p.post.clone())).collect(),
        };
        pki::init(&self.dir.join("tls"), &spec, now)?;
        let keys = self.dir.join("keys");
        convenio(|command| {
            command.args(["node", "keys", "--party", &state.id, "--node", &state.node, "--dir"]).arg(keys)
        })?;
        convenio(|command| command.args(["root", "init", "--party", &state.id, "--dir"]).arg(&self.roots))
    }

    fn configure(
        &self,
        partner: &Self,
        agreements: &Path,
        agreement: &str,
        partner_address: SocketAddr,
    ) -> anyhow::Result<()> {
        let state = &self.state;
        let config = NodeConfig {
            node: &state.node,
            party: &state.id,
            trust_domain: &state.trust_domain,
            listen: "127.0.0.1:0",
            address_file: "address",
            database: "node.db",
            data_keys: "data.keys",
            keys: "keys",
            trust: "../trust",
            ratifications: "trust/ratifications",
            epochs: "trust/epochs",
            agreements_dir: agreements,
            agreements: [agreement],
            tls: Tls { certificate: "tls/node.pem", key: "tls/node.sk.pem", ca: "tls/ca.pem" },
            partners: [Partner {
                party: &partner.state.id,
                node: &partner.state.node,
                trust_domain: &partner.state.trust_domain,
                ca: format!("../{}/tls/ca.pem", partner.state.id),
                address: partner_address.to_string(),
            }],
            posts: state.posts.iter().map(|post| PostTable { post, agreements: [agreement] }).collect(),
            log: Log { level: "info", file: "node.log" },
        };
        let text = toml::to_string(&config).context("a configuration is plain TOML")?;
        fs::write(self.config(), text).with_context(|| format!("{}: cannot be written", self.config().display()))
    }
}

/// Runs one of this program's own commands in another process.
///
/// # Errors
/// It fails; with what it wrote.
pub fn convenio(arguments: impl FnOnce(&mut Command) -> &mut Command) -> anyhow::Result<()> {
    let mut command = Command::new(std::env::current_exe().context("this program's own path")?);
    arguments(&mut command);
    let output = command.output().context("cannot start a process")?;
    if output.status.success() {
        return Ok(());
    }
    let shown: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    bail!("convenio {}: {}\n{}", shown.join(" "), output.status, String::from_utf8_lossy(&output.stderr).trim());
}

#[derive(Serialize)]
struct NodeConfig<'a> {
    node: &'a str,
    party: &'a str,
    trust_domain: &'a str,
    listen: &'a str,
    address_file: &'a str,
    database: &'a str,
    data_keys: &'a str,
    keys: &'a str,
    trust: &'a str,
    ratifications: &'a str,
    epochs: &'a str,
    agreements_dir: &'a Path,
    agreements: [&'a str; 1],
    tls: Tls<'a>,
    partners: [Partner<'a>; 1],
    posts: Vec<PostTable<'a>>,
    log: Log<'a>,
}

#[derive(Serialize)]
struct Tls<'a> {
    certificate: &'a str,
    key: &'a str,
    ca: &'a str,
}

#[derive(Serialize)]
struct Partner<'a> {
    party: &'a str,
    node: &'a str,
    trust_domain: &'a str,
    ca: String,
    address: String,
}

#[derive(Serialize)]
struct PostTable<'a> {
    #[serde(flatten)]
    post: &'a Post,
    agreements: [&'a str; 1],
}

#[derive(Serialize)]
struct Log<'a> {
    level: &'a str,
    file: &'a str,
}
