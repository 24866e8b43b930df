//! Witnesses of the own logs, and what the own witness cosigns for others.

use std::time::Duration;

use convenio_agreement::config::WitnessPolicy;
use convenio_agreement::pack::Pack;
use convenio_log::{SignatureType, VerifierKey};
use convenio_model::Identity;

use super::ConfigError;
use super::file::{NodeFile, WitnessOfFile};
use super::source::Source;
use crate::tls::{TrustedServer, trusted_server};

/// Most witnesses of a node, outside logs, and callers for them.
const MAX: usize = 32;
/// Shortest time between two rounds of submissions, seconds, where none is said.
const INTERVAL: u64 = 60;

/// A witness that is asked to cosign the own logs.
#[derive(Debug, Clone)]
pub struct WitnessConfig {
    /// Short name.
    pub name: String,
    /// Its key, of type cosignature/v1.
    pub key: VerifierKey,
    /// Where it is.
    pub url: WitnessUrl,
    /// Shortest time between two rounds of submissions.
    pub interval: Duration,
}

/// Where a witness is: `http` on loopback only, else `https` with an authority to believe.
#[derive(Debug, Clone)]
pub struct WitnessUrl {
    /// `host:port`, as it is dialled and named in requests.
    pub authority: String,
    /// Path of `add-checkpoint`.
    pub path: String,
    /// For https.
    pub tls: Option<TrustedServer>,
}

/// What the own witness cosigns beside the partners' logs.
#[derive(Debug, Clone, Default)]
pub struct Witnessed {
    /// Keys of outside logs; a key's name is its log's origin.
    pub logs: Vec<VerifierKey>,
    /// Certificates that may have them cosigned.
    pub callers: Vec<Identity>,
}

pub(super) fn witnessed(source: &Source, file: &NodeFile) -> Result<Witnessed, ConfigError> {
    let (logs, callers) = (&file.witness.logs, &file.witness.callers);
    for (key, count) in [("witness.logs", logs.len()), ("witness.callers", callers.len())] {
        if count > MAX {
            return Err(source.error(key, format!("more than {MAX}")));
        }
    }
    let log = |(at, text): (usize, &String)| {
        let key = format!("witness.logs[{at}]");
        let log: VerifierKey = text.parse().map_err(|error| source.error(&key, error))?;
        // The own logs and the partners' are known by their roots; a line here would put another key in their place.
        let own = std::iter::once(&file.node).chain(file.partners.iter().map(|partner| &partner.node));
        let known = own.into_iter().any(|node| log.name().strip_prefix(node).is_some_and(|rest| rest.starts_with('/')));
        match log.signature_type() {
            SignatureType::Ed25519 if !known => Ok(log),
            SignatureType::Ed25519 => Err(source.error(&key, "is a log of this node or of a partner's")),
            _ => Err(source.error(&key, "is not the key of a log (type 0x01)")),
        }
    };
    let caller = |(at, text): (usize, &String)| {
        let key = format!("witness.callers[{at}]");
        let identity: Identity = text.parse().map_err(|error| source.error(&key, error))?;
        let mut domains = std::iter::once(&file.trust_domain).chain(file.partners.iter().map(|p| &p.trust_domain));
        if !domains.any(|domain| *domain == identity.trust_domain) {
            return Err(source.error(&key, "is neither of this state nor of a partner"));
        }
        Ok(identity)
    };
    Ok(Witnessed {
        logs: logs.iter().enumerate().map(log).collect::<Result<_, _>>()?,
        callers: callers.iter().enumerate().map(caller).collect::<Result<_, _>>()?,
    })
}

pub(super) fn witnesses(source: &Source, file: &NodeFile) -> Result<Vec<WitnessConfig>, ConfigError> {
    if file.witnesses.len() > MAX {
        return Err(source.error("witnesses", format!("more than {MAX}")));
    }
    let mut witnesses: Vec<WitnessConfig> = Vec::new();
    for (at, written) in file.witnesses.iter().enumerate() {
        let witness = witness(source, at, written)?;
        let refuse = |field: &str, problem: &str| Err(source.error(&format!("witnesses[{at}].{field}"), problem));
        if witnesses.iter().any(|other| other.name == witness.name)
            || file.partners.iter().any(|partner| partner.node == witness.name)
        {
            return refuse("name", "is that of another witness here");
        }
        if witnesses.iter().any(|other| other.key.public_key() == witness.key.public_key()) {
            return refuse("vkey", "is the key of another witness here");
        }
        witnesses.push(witness);
    }
    Ok(witnesses)
}

fn witness(source: &Source, at: usize, written: &WitnessOfFile) -> Result<WitnessConfig, ConfigError> {
    let refuse = |field: &str, problem: String| source.error(&format!("witnesses[{at}].{field}"), problem);
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    if !(1..=64).contains(&written.name.len()) || !written.name.bytes().all(plain) {
        return Err(refuse("name", "must be 1 to 64 lower-case letters, digits, dots or dashes".to_owned()));
    }
    let key: VerifierKey = written.vkey.parse().map_err(|error| refuse("vkey", format!("{error}")))?;
    if key.signature_type() != SignatureType::CosignatureV1 {
        return Err(refuse("vkey", "is not the key of a cosigner (type 0x04)".to_owned()));
    }
    let seconds = written.interval_seconds.unwrap_or(INTERVAL);
    if !(1..=86_400).contains(&seconds) {
        return Err(refuse("interval_seconds", "must be 1 to 86400".to_owned()));
    }
    let url = url(source, at, written)?;
    Ok(WitnessConfig { name: written.name.clone(), key, url, interval: Duration::from_secs(seconds) })
}

fn url(source: &Source, at: usize, written: &WitnessOfFile) -> Result<WitnessUrl, ConfigError> {
    let refuse = |field: &str, problem: &str| source.error(&format!("witnesses[{at}].{field}"), problem);
    let wrong = || refuse("url", "must be https://host[:port][/prefix], or http:// for a loopback address");
    let parsed: http::Uri = written.url.parse().map_err(|_| wrong())?;
    let host = parsed.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
    if parsed.query().is_some()
        || written.url.len() > 256
        || parsed.authority().is_none_or(|a| a.as_str().contains('@'))
    {
        return Err(wrong());
    }
    let loopback = ["127.0.0.1", "[::1]", "localhost"].contains(&host);
    let (port, tls) = match (parsed.scheme_str(), &written.ca) {
        (Some("https"), Some(ca)) => {
            let ca = source.resolve(ca);
            let server = trusted_server(host.trim_matches(['[', ']']), &ca);
            (443, Some(server.map_err(|error| refuse("ca", &error.to_string()))?))
        }
        (Some("https"), None) => return Err(refuse("ca", "is missing: whom to believe at an https address")),
        (Some("http"), None) if loopback => (80, None),
        (Some("http"), Some(_)) => return Err(refuse("ca", "is for https addresses")),
        _ => return Err(wrong()),
    };
    let authority = format!("{host}:{}", parsed.port_u16().unwrap_or(port));
    let path = format!("{}/{}", parsed.path().trim_end_matches('/'), convenio_log::witness::ADD_CHECKPOINT);
    Ok(WitnessUrl { authority, path, tls })
}

/// Demands that as many of the pack's own witnesses are configured as it requires cosignatures.
pub(super) fn satisfy(
    source: &Source,
    file: &NodeFile,
    pack: &Pack,
    witnesses: &[WitnessConfig],
) -> Result<(), ConfigError> {
    let WitnessPolicy::Required { quorum, witnesses: required } = pack.witness_policy() else { return Ok(()) };
    let configured = required.iter().filter(|wanted| witnesses.iter().any(|witness| witness.key == wanted.key)).count();
    if configured >= *quorum {
        return Ok(());
    }
    let at = file.agreements.iter().position(|id| id == pack.agreement()).unwrap_or_default();
    let key = if witnesses.is_empty() { format!("agreements[{at}]") } else { "witnesses".to_owned() };
    let problem = format!(
        "{} requires cosignatures of {quorum} of its witnesses, and [[witnesses]] names {configured}",
        pack.id()
    );
    Err(source.error(&key, problem))
}
