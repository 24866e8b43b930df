//! `convenio pki`: a development set of certificates for one state, and its revocation list.
//!
//! Not how a ministry makes real ones, see `certs/README.md`: here the authority's key lies beside
//! the leaves.

mod revoke;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use convenio_model::{Clock, Identity, SystemClock};
use convenio_node::pki::{Authority, CertRequest, Issued, Usage};
use rustls_pki_types::DnsName;

const DAY: Duration = Duration::from_secs(86_400);
const CA_VALIDITY: Duration = DAY.saturating_mul(3650);
const LEAF_VALIDITY: Duration = DAY.saturating_mul(365);
/// Certificates start a little earlier than made: clocks of two machines differ.
const BACKDATE: Duration = Duration::from_secs(300);
/// Most posts in one set.
const MAX_POSTS: usize = 500;

/// Arguments of `convenio pki`.
#[derive(Args, Debug)]
pub struct PkiArgs {
    #[command(subcommand)]
    command: PkiCommand,
}

#[derive(Subcommand, Debug)]
enum PkiCommand {
    /// Make a development authority and one certificate for each role of a state
    Init(InitArgs),
    /// Take certificates of a development authority back, and write its revocation list
    Revoke(revoke::RevokeArgs),
    /// Write a development authority's revocation list anew, before the last one runs out
    Crl(revoke::CrlArgs),
}

#[derive(Args, Debug)]
struct InitArgs {
    /// Folder to write; must be absent or empty
    #[arg(long)]
    dir: PathBuf,
    /// The state, as in its node's identity, e.g. sv
    #[arg(long)]
    state: String,
    /// The state's trust domain, e.g. sv.example
    #[arg(long)]
    trust_domain: String,
    /// DNS name that the node's certificate proves, e.g. node.sv.example
    #[arg(long)]
    node_name: String,
    /// Organisation that integrates, operates and audits, e.g. mtps
    #[arg(long, default_value = "ministry")]
    organisation: String,
    /// A consular post as ORGANISATION/POST, e.g. mre/toronto; may be repeated
    #[arg(long = "post", value_name = "ORGANISATION/POST", value_parser = post)]
    posts: Vec<(String, String)>,
}

/// The state that a development set is for.
#[derive(Clone, Debug)]
pub struct StateSpec {
    /// The state, as in its node's identity: `sv`.
    pub state: String,
    /// Its trust domain: `sv.example`.
    pub trust_domain: String,
    /// The DNS name of its node: `node.sv.example`.
    pub node_name: String,
    /// The organisation of the integration, operator and auditor certificates: `mtps`.
    pub organisation: String,
    /// Consular posts as (organisation, post): `("mre", "toronto")`.
    pub posts: Vec<(String, String)>,
}

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// Each certificate's file with the identity it names. The private key is beside it, with
    /// `.sk.pem` in place of `.pem`.
    pub certificates: Vec<(PathBuf, Identity)>,
    /// The authority's certificate.
    pub ca: PathBuf,
}

/// Runs `convenio pki`.
///
/// # Errors
/// As [`init`].
pub fn run(args: PkiArgs) -> anyhow::Result<()> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock.now_ms());
    let args = match args.command {
        PkiCommand::Init(args) => args,
        PkiCommand::Revoke(args) => return revoke::revoke(&args, now),
        PkiCommand::Crl(args) => return revoke::crl(&args, now),
    };
    let spec = StateSpec {
        state: args.state,
        trust_domain: args.trust_domain,
        node_name: args.node_name,
        organisation: args.organisation,
        posts: args.posts,
    };
    let written = init(&args.dir, &spec, now)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}  authority of {}", written.ca.display(), spec.trust_domain)?;
    for (path, identity) in &written.certificates {
        writeln!(out, "{}  {identity}", path.display())?;
    }
    writeln!(out, "For development only: see certs/README.md for real ones.")?;
    Ok(())
}

/// Makes a state's development set in `dir`: `ca`, `node`, `integration`, `operator`, `auditor`, `ministry`
/// and one `consulate-<post>` for each post, each as `.pem` with its private key (mode 0600) as
/// `.sk.pem`. The authority is valid for ten years from `now`, the others for one.
///
/// # Errors
/// A name that no certificate may carry, a folder that is not empty, or one that cannot be written.
/// Nothing is left behind then.
pub fn init(dir: &Path, spec: &StateSpec, now: SystemTime) -> anyhow::Result<Written> {
    let leaves = leaves(spec, now)?;
    let start = now.checked_sub(BACKDATE).unwrap_or(now);
    let authority = Authority::create(&spec.trust_domain, start, now + CA_VALIDITY)?;
    let ca = Issued { certificate: authority.certificate(), key: authority.key() };
    let mut files = vec![("ca".to_owned(), ca)];
    let mut certificates = Vec::new();
    for (name, identity, request) in leaves {
        let issued = authority.issue(&request).with_context(|| format!("certificate {name}"))?;
        certificates.push((dir.join(format!("{name}.pem")), identity));
        files.push((name, issued));
    }
    prepare(dir)?;
    let mut written = Vec::new();
    if let Err(error) = write_all(dir, &files, &mut written) {
        // Best effort: the first error is the one to tell.
        written.iter().for_each(|path| drop(fs::remove_file(path)));
        return Err(error);
    }
    Ok(Written { certificates, ca: dir.join("ca.pem") })
}

type Leaf = (String, Identity, CertRequest);

fn leaves(spec: &StateSpec, now: SystemTime) -> anyhow::Result<Vec<Leaf>> {
    ensure!(DnsName::try_from(spec.node_name.as_str()).is_ok(), "node name {:?} is not a DNS name", spec.node_name);
    ensure!(spec.posts.len() <= MAX_POSTS, "more than {MAX_POSTS} posts");
    let path = |role: &str| format!("{role}/{}", spec.organisation);
    let mut names = vec![
        ("node".to_owned(), format!("node/{}", spec.state)),
        ("integration".to_owned(), path("integration")),
        ("operator".to_owned(), path("operator")),
        ("auditor".to_owned(), path("auditor")),
        ("ministry".to_owned(), path("ministry")),
    ];
    let mut seen = BTreeSet::new();
    for (organisation, post) in &spec.posts {
        ensure!(seen.insert(post), "the post {post:?} is named twice");
        names.push((format!("consulate-{post}"), format!("consulate/{organisation}/{post}")));
    }
    names.into_iter().map(|(name, path)| leaf(spec, name, &path, now)).collect()
}

fn leaf(spec: &StateSpec, name: String, path: &str, now: SystemTime) -> anyhow::Result<Leaf> {
    let uri = format!("spiffe://{}/{path}", spec.trust_domain);
    let identity: Identity = uri.parse().with_context(|| format!("{uri:?} is no identity"))?;
    let is_node = identity.role == Identity::NODE;
    let request = CertRequest {
        uri,
        // The node can be reached by its loopback names too, for tools that know no other.
        dns: if is_node { vec![spec.node_name.clone(), "localhost".to_owned()] } else { Vec::new() },
        ip: if is_node { vec![IpAddr::V4(Ipv4Addr::LOCALHOST)] } else { Vec::new() },
        not_before: now.checked_sub(BACKDATE).unwrap_or(now),
        not_after: now + LEAF_VALIDITY,
        usage: if is_node { Usage::Both } else { Usage::Client },
    };
    Ok((name, identity, request))
}

/// A set is never overwritten: its keys may be in use.
fn prepare(dir: &Path) -> anyhow::Result<()> {
    let shown = dir.display();
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            let is_empty = entries.next().is_none();
            ensure!(is_empty, "{shown} is not empty: give a new folder, or empty this one first");
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("{shown}: cannot be made")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            bail!("{shown} is not a folder")
        }
        Err(error) => Err(error).with_context(|| format!("{shown}: cannot be read")),
    }
}

fn write_all(dir: &Path, files: &[(String, Issued)], written: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for (name, issued) in files {
        for (suffix, mode, text) in [("pem", 0o644, &issued.certificate), ("sk.pem", 0o600, &issued.key)] {
            let path = dir.join(format!("{name}.{suffix}"));
            let told = || format!("{}: cannot be written", path.display());
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(mode).open(&path).with_context(told)?;
            written.push(path.clone());
            file.write_all(text.as_bytes()).with_context(told)?;
        }
    }
    Ok(())
}

fn post(text: &str) -> Result<(String, String), String> {
    text.split_once('/')
        .filter(|(organisation, post)| !organisation.is_empty() && !post.is_empty())
        .map(|(organisation, post)| (organisation.to_owned(), post.to_owned()))
        .ok_or_else(|| "expected ORGANISATION/POST, e.g. mre/toronto".to_owned())
}

#[cfg(test)]
mod tests;
