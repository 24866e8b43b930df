//! `node.toml`, as its operator writes it. Paths are relative to the file.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeFile {
    pub node: String,
    pub party: String,
    pub trust_domain: String,
    pub listen: String,
    pub address_file: Option<PathBuf>,
    pub database: PathBuf,
    pub data_keys: PathBuf,
    pub keys: PathBuf,
    pub trust: PathBuf,
    pub ratifications: PathBuf,
    pub epochs: PathBuf,
    pub agreements_dir: PathBuf,
    pub agreements: Vec<String>,
    pub amendments: Option<PathBuf>,
    pub orders: Option<PathBuf>,
    pub tls: TlsFile,
    #[serde(default)]
    pub partners: Vec<PartnerFile>,
    #[serde(default)]
    pub posts: Vec<PostFile>,
    #[serde(default)]
    pub witness: WitnessFile,
    #[serde(default)]
    pub witnesses: Vec<WitnessOfFile>,
    #[serde(default)]
    pub log: LogFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
    pub crl: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartnerFile {
    pub party: String,
    pub node: String,
    pub trust_domain: String,
    /// Missing while the partner takes no part yet.
    pub ca: Option<PathBuf>,
    pub crl: Option<PathBuf>,
    pub address: Option<String>,
}

/// What this node's witness cosigns beside the partners' logs, and for whom.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct WitnessFile {
    #[serde(default)]
    pub logs: Vec<String>,
    #[serde(default)]
    pub callers: Vec<String>,
}

/// A witness that cosigns this node's logs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WitnessOfFile {
    pub name: String,
    pub vkey: String,
    pub url: String,
    pub ca: Option<PathBuf>,
    pub interval_seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PostFile {
    pub organisation: String,
    pub post: String,
    pub districts: Vec<String>,
    pub agreements: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct LogFile {
    pub level: Option<String>,
    pub file: Option<PathBuf>,
}
