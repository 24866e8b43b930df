//! Whether somebody besides the two states must have seen each log (`[witness]`).

use convenio_log::VerifierKey;
use convenio_log::note::SignatureType;
use serde::Deserialize;

use super::Origin;
use super::check::code;
use crate::pack::PackError;

/// Most witnesses of an agreement.
const MAX_KEYS: usize = 16;
/// Longest address of a witness, bytes.
const MAX_URL: usize = 256;

/// `[witness]`, as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessConfig {
    /// Whether independent witnesses are required.
    pub independent: Independent,
    /// How many of them must have cosigned a head.
    pub quorum: Option<u32>,
    /// The witnesses.
    #[serde(default)]
    pub keys: Vec<WitnessKeyConfig>,
}

/// Whether collusion of the two states is to be excludable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Independent {
    /// No: chosen explicitly.
    None,
    /// Yes, by a quorum of third witnesses.
    Required,
}

/// A witness, as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessKeyConfig {
    /// Short name, unique in the agreement.
    pub name: String,
    /// C2SP verifier key of type cosignature/v1.
    pub vkey: String,
    /// Base address of its tlog-witness interface, https.
    pub url: String,
}

/// What the agreement says of independent witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessPolicy {
    /// None is required: that the two states rewrite their common past together is not excluded.
    CollusionNotExcluded,
    /// `quorum` of `witnesses` must have cosigned.
    Required {
        /// How many, at least 1 and at most all.
        quorum: usize,
        /// The witnesses, in the order of the file.
        witnesses: Vec<Witness>,
    },
}

/// A third witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Short name.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Base address of its tlog-witness interface.
    pub url: String,
}

impl WitnessConfig {
    pub(super) fn policy(&self, at: Origin<'_>) -> Result<WitnessPolicy, PackError> {
        if self.independent == Independent::None {
            if self.quorum.is_some() || !self.keys.is_empty() {
                return Err(at.error("witness", "`quorum` and `keys` are for independent = \"required\""));
            }
            return Ok(WitnessPolicy::CollusionNotExcluded);
        }
        if !(1..=MAX_KEYS).contains(&self.keys.len()) {
            return Err(at.error("witness", format!("must name 1 to {MAX_KEYS} keys")));
        }
        let quorum = self.quorum.and_then(|k| usize::try_from(k).ok()).unwrap_or(0);
        if !(1..=self.keys.len()).contains(&quorum) {
            return Err(at.error("witness.quorum", format!("must be 1 to {}", self.keys.len())));
        }
        let mut witnesses = Vec::<Witness>::new();
        for (index, key) in self.keys.iter().enumerate() {
            let at_key = format!("witness.keys[{index}]");
            let witness = key.parsed(at, &at_key)?;
            if witnesses.iter().any(|w| w.name == witness.name) {
                return Err(at.error(&format!("{at_key}.name"), format!("`{}` is named twice", witness.name)));
            }
            if witnesses.iter().any(|w| w.key.public_key() == witness.key.public_key()) {
                return Err(at.error(&format!("{at_key}.vkey"), "the public key is listed twice"));
            }
            witnesses.push(witness);
        }
        Ok(WitnessPolicy::Required { quorum, witnesses })
    }
}

impl WitnessKeyConfig {
    fn parsed(&self, at: Origin<'_>, at_key: &str) -> Result<Witness, PackError> {
        code(at, &format!("{at_key}.name"), &self.name, b"-", 1)?;
        let key: VerifierKey =
            self.vkey.parse().map_err(|e| at.error(&format!("{at_key}.vkey"), format!("is no verifier key: {e}")))?;
        if key.signature_type() != SignatureType::CosignatureV1 {
            return Err(at.error(&format!("{at_key}.vkey"), "must be of type 0x04, cosignature/v1"));
        }
        let host = self.url.strip_prefix("https://").unwrap_or_default();
        let printable = self.url.bytes().all(|b| b.is_ascii_graphic());
        if host.is_empty() || host.starts_with('/') || !printable || self.url.len() > MAX_URL {
            return Err(at.error(&format!("{at_key}.url"), format!("must be https:// and at most {MAX_URL} bytes")));
        }
        Ok(Witness { name: self.name.clone(), key, url: self.url.clone() })
    }
}
