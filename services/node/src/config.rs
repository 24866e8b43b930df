//! The configuration of a node, parsed and checked whole before any port is bound.
//!
//! A [`Config`] that exists is one that a node can start with: certificates, keys, packs, ratifications and
//! authorisations are loaded and fit each other. What only opening shows (a database, a port) is told at the start.

mod amendments;
mod file;
mod names;
mod signed;
mod source;
mod witnesses;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convenio_agreement::pack::Pack;
use convenio_exchange::Partner;
use convenio_model::Identity;
use convenio_seal::manifest::NodeKeys;
use convenio_seal::root::RootSet;
use convenio_seal::trust::TrustedOffice;

use crate::tls::{LoadedTls, MaterialError, TlsMaterial};
use file::NodeFile;
use source::Source;

pub use source::ConfigError;
pub use witnesses::{WitnessConfig, WitnessUrl, Witnessed};

/// Everything a node starts with.
pub struct Config {
    /// Name of the node, a DNS name that its certificate proves.
    pub node: String,
    /// Party that the node acts for.
    pub party: String,
    /// Trust domain of the own state.
    pub trust_domain: String,
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// File that gets the actual address once the node serves.
    pub address_file: Option<PathBuf>,
    /// Database file.
    pub database: PathBuf,
    /// File of the subjects' data keys; the key that wraps them is beside it.
    pub data_keys: PathBuf,
    /// Operational keys.
    pub keys: Arc<NodeKeys>,
    /// Later sets of keys, from the folders `v<version>` beside them.
    pub other_keys: Vec<Arc<NodeKeys>>,
    /// Root-signed manifests that replace others, and revocations (DSSE JSON).
    pub key_changes: Vec<Vec<u8>>,
    /// Certificate, its key, and the authorities that are believed.
    pub tls: LoadedTls,
    /// The other nodes.
    pub partners: Vec<PartnerConfig>,
    /// Agreements in force, with the partner of each; a regional one stands here once for each of its corridors.
    pub agreements: Vec<(Arc<Pack>, Partner)>,
    /// Versions that amend them or each other, from the folder of amendments.
    pub amendments: Vec<Arc<Pack>>,
    /// Root-signed orders of the own party about its agreements (DSSE JSON), ascending by number.
    pub orders: Vec<Vec<u8>>,
    /// Root keys of every party, from the trust file.
    pub roots: Vec<RootSet>,
    /// Keys of offices that negotiate and sign off, from the trust file.
    pub offices: Vec<TrustedOffice>,
    /// Ratification envelopes (DSSE JSON).
    pub ratifications: Vec<Vec<u8>>,
    /// Root-signed authorisations of this node's epochs (DSSE JSON).
    pub epochs: Vec<Vec<u8>>,
    /// Consular posts and what each may see.
    pub posts: Vec<Post>,
    /// Witnesses of the own logs, beside the partners'.
    pub witnesses: Vec<WitnessConfig>,
    /// What the own witness cosigns beside the partners' logs.
    pub witnessed: Witnessed,
    /// What is logged, and where to.
    pub log: LogConfig,
    /// The configuration itself, and the TLS files that it names: a running node reads them again when one changes.
    pub watched: Vec<PathBuf>,
}

/// Another state's node.
#[derive(Debug, Clone)]
pub struct PartnerConfig {
    /// Party that it acts for.
    pub party: String,
    /// Its name.
    pub node: String,
    /// Trust domain of its state.
    pub trust_domain: String,
    /// Where to dial it, `host:port`; absent where it dials.
    pub address: Option<String>,
}

/// A consular post: its certificate names the organisation and the post, this table the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Organisation, for example a foreign ministry.
    pub organisation: String,
    /// Post.
    pub post: String,
    /// ISO 3166-2 codes of the areas that it serves.
    pub districts: Vec<String>,
    /// Agreements that it works under; all corridors of a regional one.
    pub agreements: Vec<String>,
}

/// What is logged, and where to.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Lowest level.
    pub level: tracing::Level,
    /// File that lines are appended to; absent for standard error.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads and checks a configuration with every file that it names. Validity of certificates is judged by the
    /// machine's clock, as in each handshake.
    ///
    /// # Errors
    /// The first [`ConfigError`], which names file, line and key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let source = Source::read(path)?;
        let file: NodeFile = source.parse()?;
        names::check(&source, &file)?;
        let (tls, mut watched) = tls(&source, &file)?;
        watched.push(path.to_owned());
        let witnesses = witnesses::witnesses(&source, &file)?;
        let keys = Arc::new(signed::node_keys(&source, &file)?);
        let other_keys = signed::other_keys(&source, &file)?;
        let agreements = signed::agreements(&source, &file)?;
        let amendments = amendments::load(&source, &file, &agreements)?;
        for (pack, _) in &agreements {
            witnesses::satisfy(&source, &file, pack, &witnesses)?;
        }
        let trust = signed::trust(&source, &file)?;
        let ratifications = signed::ratifications(&source, &file, &agreements, &trust)?;
        let orders = signed::orders(&source, &file, &trust)?;
        let held = [std::slice::from_ref(&keys), other_keys.as_slice()].concat();
        let (epochs, key_changes) = signed::epochs(&source, &file, &agreements, &trust, &held)?;
        let witnessed = witnesses::witnessed(&source, &file)?;
        let posts = posts(&file, &agreements);
        let partners = file.partners.into_iter();
        Ok(Self {
            listen: names::listen(&source, &file.listen)?,
            address_file: place(&source, "address_file", file.address_file.as_deref())?,
            database: required_place(&source, "database", &file.database)?,
            data_keys: required_place(&source, "data_keys", &file.data_keys)?,
            log: LogConfig {
                level: names::level(&source, file.log.level.as_deref())?,
                file: place(&source, "log.file", file.log.file.as_deref())?,
            },
            node: file.node,
            party: file.party,
            trust_domain: file.trust_domain,
            keys,
            other_keys,
            key_changes,
            tls,
            partners: partners
                .map(|p| PartnerConfig {
                    party: p.party,
                    node: p.node,
                    trust_domain: p.trust_domain,
                    address: p.address,
                })
                .collect(),
            agreements,
            amendments,
            offices: trust.offices,
            orders,
            roots: trust.roots,
            ratifications,
            epochs,
            witnesses,
            witnessed,
            watched,
            posts,
        })
    }
}

/// The posts; one that works under a regional agreement does so in all its corridors.
fn posts(file: &NodeFile, agreements: &[(Arc<Pack>, Partner)]) -> Vec<Post> {
    let post = |post: &file::PostFile| {
        let named = agreements.iter().filter(|(pack, _)| post.agreements.iter().any(|id| id == pack.agreement()));
        Post {
            organisation: post.organisation.clone(),
            post: post.post.clone(),
            districts: post.districts.clone(),
            agreements: named.map(|(pack, _)| pack.id().to_owned()).collect(),
        }
    };
    file.posts.iter().map(post).collect()
}

/// A file to be written: its folder must be there, and no folder in its place.
fn required_place(source: &Source, key: &str, path: &Path) -> Result<PathBuf, ConfigError> {
    let path = source.resolve(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() || path.file_name().is_none() {
        return Err(source.error(key, format!("{}: is a folder, not a file", path.display())));
    }
    if !folder.is_dir() {
        return Err(source.error(key, format!("{}: there is no such folder", folder.display())));
    }
    Ok(path)
}

fn place(source: &Source, key: &str, path: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    path.map(|path| required_place(source, key, path)).transpose()
}

/// The material, and the files that it is made of.
fn tls(source: &Source, file: &NodeFile) -> Result<(LoadedTls, Vec<PathBuf>), ConfigError> {
    let mut keys = vec![
        (source.resolve(&file.tls.certificate), "tls.certificate".to_owned()),
        (source.resolve(&file.tls.key), "tls.key".to_owned()),
        (source.resolve(&file.tls.ca), "tls.ca".to_owned()),
    ];
    keys.extend(file.tls.crl.iter().map(|crl| (source.resolve(crl), "tls.crl".to_owned())));
    for (at, partner) in file.partners.iter().enumerate() {
        keys.extend(partner.ca.iter().map(|ca| (source.resolve(ca), format!("partners[{at}].ca"))));
        keys.extend(partner.crl.iter().map(|crl| (source.resolve(crl), format!("partners[{at}].crl"))));
    }
    let refused = |error: MaterialError| {
        let (MaterialError::Unreadable { path, .. }
        | MaterialError::Content { path, .. }
        | MaterialError::TrustDomainTwice { path, .. }) = &error;
        let key = keys.iter().find(|(of, _)| of == path).map_or("tls", |(_, key)| key);
        source.error(key, &error)
    };
    let own_crl = file.tls.crl.iter().map(|crl| (file.trust_domain.clone(), source.resolve(crl)));
    let crls = file.partners.iter().filter_map(|p| Some((p.trust_domain.clone(), source.resolve(p.crl.as_ref()?))));
    let cas = file.partners.iter().filter_map(|p| Some((p.trust_domain.clone(), source.resolve(p.ca.as_ref()?))));
    let material = TlsMaterial {
        certificate: keys[0].0.clone(),
        key: keys[1].0.clone(),
        own_ca: keys[2].0.clone(),
        own_trust_domain: file.trust_domain.clone(),
        partner_cas: cas.collect(),
        crls: own_crl.chain(crls).collect(),
    };
    let loaded = material.load().map_err(refused)?;
    loaded.check_own_chain().map_err(refused)?;
    let identity = loaded.identity();
    if identity.role != Identity::NODE || identity.organisation != file.party || identity.post.is_some() {
        let wanted = format!("spiffe://{}/node/{}", file.trust_domain, file.party);
        let problem = format!("{}: names {identity}, not {wanted}", material.certificate.display());
        return Err(source.error("tls.certificate", problem));
    }
    let files = keys.into_iter().map(|(path, _)| path).collect();
    Ok((loaded, files))
}
