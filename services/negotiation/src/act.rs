//! One act: what an office signs.

use convenio_seal::canonical;
use convenio_seal::dsse::Envelope;
use convenio_seal::key::SigningKey;
use convenio_seal::name::{is_agreement, is_office, is_party};
use convenio_seal::trust::TrustedOffice;
use convenio_wire::NEGOTIATION_TYPE;
use convenio_wire::agreement::v1::negotiation_act::Act as Body;
use convenio_wire::agreement::v1::{Comment, Draft, DraftFile, Initial, NegotiationAct, Reject, Withdraw};
use prost::Message;

use crate::chain::MAX_STEPS;
use crate::draft::{MAX_DRAFT, digest_of};
use crate::{Hash, Refusal, sha256};

/// Largest encoded act, bytes.
pub const MAX_ACT: usize = 128 * 1024;
/// Longest note, bytes.
const MAX_NOTE: usize = 4000;
/// Most other parties.
const MAX_TO: usize = 7;
/// Most files of a draft.
const MAX_FILES: usize = 256;
/// Largest file of a draft, bytes.
const MAX_FILE: u32 = 1024 * 1024;

/// One file of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    /// Import path.
    pub path: String,
    /// SHA-256 of its content.
    pub sha256: Hash,
    /// Length, bytes.
    pub size: u32,
}

/// A draft by its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftLines {
    /// Digest of the pack.
    pub digest: Hash,
    /// Its files, ascending by path.
    pub files: Vec<FileLine>,
}

/// What an act does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A first draft.
    Propose(DraftLines),
    /// Another draft instead of the standing one.
    Counter(DraftLines),
    /// Words alone.
    Comment,
    /// The standing draft, of this digest, is to be ratified.
    Initial(Hash),
    /// The standing draft is not acceptable.
    Reject(Hash),
    /// The standing draft is taken back.
    Withdraw(Hash),
}

impl Deed {
    /// The draft that it brings.
    #[must_use]
    pub fn draft(&self) -> Option<&DraftLines> {
        match self {
            Self::Propose(draft) | Self::Counter(draft) => Some(draft),
            _ => None,
        }
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Propose(_) => "propose",
            Self::Counter(_) => "counter",
            Self::Comment => "comment",
            Self::Initial(_) => "initial",
            Self::Reject(_) => "reject",
            Self::Withdraw(_) => "withdraw",
        }
    }
}

/// An act of a negotiation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Agreement id.
    pub agreement: String,
    /// Party that acts.
    pub from: String,
    /// Its office.
    pub office: String,
    /// The other parties, ascending.
    pub to: Vec<String>,
    /// Step, from 1.
    pub step: u32,
    /// Hash of the act before; none at step 1.
    pub previous: Option<Hash>,
    /// When, Unix milliseconds.
    pub time_ms: u64,
    /// What for.
    pub note: String,
    /// What it does.
    pub deed: Deed,
}

impl Act {
    /// All parties, ascending.
    #[must_use]
    pub fn parties(&self) -> Vec<String> {
        let mut parties = self.to.clone();
        parties.push(self.from.clone());
        parties.sort_unstable();
        parties
    }

    /// The bytes that are signed.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        NegotiationAct {
            agreement: self.agreement.clone(),
            from: self.from.clone(),
            office: self.office.clone(),
            to: self.to.clone(),
            step: self.step,
            previous: self.previous.map(|hash| hash.to_vec()).unwrap_or_default(),
            time_ms: self.time_ms,
            note: self.note.clone(),
            act: Some(body(&self.deed)),
        }
        .encode_to_vec()
    }

    /// Reads the signed bytes; whether anybody signed them is not looked at.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        if payload.len() > MAX_ACT {
            return Err(Refusal::TooLarge);
        }
        let said: NegotiationAct = canonical::decode(payload)?;
        let field = |good: bool, name| if good { Ok(()) } else { Err(Refusal::Field(name)) };
        field(is_agreement(&said.agreement), "agreement")?;
        field(is_party(&said.from), "from")?;
        field(is_office(&said.office), "office")?;
        let to = (1..=MAX_TO).contains(&said.to.len()) && said.to.iter().all(|party| is_party(party));
        field(to && said.to.is_sorted_by(|a, b| a < b) && !said.to.contains(&said.from), "to")?;
        if said.step > MAX_STEPS {
            return Err(Refusal::TooManySteps);
        }
        field(said.step > 0, "step")?;
        field((said.step == 1) == said.previous.is_empty(), "previous")?;
        let previous = (!said.previous.is_empty()).then(|| hash(&said.previous, "previous")).transpose()?;
        field(said.time_ms > 0 && said.time_ms <= i64::MAX as u64, "time_ms")?;
        let control = |c: char| c.is_control() && c != '\n';
        field(said.note.len() <= MAX_NOTE && !said.note.chars().any(control), "note")?;
        let deed = deed(said.act.ok_or(Refusal::Field("act"))?)?;
        field((said.step == 1) == matches!(deed, Deed::Propose(_)), "act")?;
        let NegotiationAct { agreement, from, office, to, step, time_ms, note, .. } = said;
        Ok(Self { agreement, from, office, to, step, previous, time_ms, note, deed })
    }
}

fn body(deed: &Deed) -> Body {
    let draft = |draft: &DraftLines| Draft {
        digest: draft.digest.to_vec(),
        files: draft
            .files
            .iter()
            .map(|file| DraftFile { path: file.path.clone(), sha256: file.sha256.to_vec(), size: file.size })
            .collect(),
    };
    match deed {
        Deed::Propose(lines) => Body::Propose(draft(lines)),
        Deed::Counter(lines) => Body::Counter(draft(lines)),
        Deed::Comment => Body::Comment(Comment {}),
        Deed::Initial(digest) => Body::Initial(Initial { digest: digest.to_vec() }),
        Deed::Reject(digest) => Body::Reject(Reject { digest: digest.to_vec() }),
        Deed::Withdraw(digest) => Body::Withdraw(Withdraw { digest: digest.to_vec() }),
    }
}

fn deed(body: Body) -> Result<Deed, Refusal> {
    Ok(match body {
        Body::Propose(draft) => Deed::Propose(lines(&draft)?),
        Body::Counter(draft) => Deed::Counter(lines(&draft)?),
        Body::Comment(Comment {}) => Deed::Comment,
        Body::Initial(Initial { digest }) => Deed::Initial(hash(&digest, "digest")?),
        Body::Reject(Reject { digest }) => Deed::Reject(hash(&digest, "digest")?),
        Body::Withdraw(Withdraw { digest }) => Deed::Withdraw(hash(&digest, "digest")?),
    })
}

fn lines(draft: &Draft) -> Result<DraftLines, Refusal> {
    if draft.files.is_empty() || draft.files.len() > MAX_FILES {
        return Err(Refusal::Field("files"));
    }
    let mut files: Vec<FileLine> = Vec::new();
    for file in &draft.files {
        let ascends = files.last().is_none_or(|last| last.path < file.path);
        if !ascends || file.path.len() > 255 {
            return Err(Refusal::Field("files.path"));
        }
        if file.size > MAX_FILE {
            return Err(Refusal::Field("files.size"));
        }
        files.push(FileLine { path: file.path.clone(), sha256: hash(&file.sha256, "files.sha256")?, size: file.size });
    }
    if files.iter().map(|file| file.size as usize).sum::<usize>() > MAX_DRAFT {
        return Err(Refusal::DraftTooLarge);
    }
    let digest = hash(&draft.digest, "digest")?;
    // The lines make the digest: whoever has the files has the version that is meant.
    if digest_of(&files) != digest {
        return Err(Refusal::Field("digest"));
    }
    Ok(DraftLines { digest, files })
}

fn hash(bytes: &[u8], name: &'static str) -> Result<Hash, Refusal> {
    bytes.try_into().map_err(|_| Refusal::Field(name))
}

/// An act in its envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedAct {
    /// What it says.
    pub act: Act,
    /// SHA-256 of its payload; its name in the chain.
    pub hash: Hash,
    /// The envelope.
    pub envelope: Envelope,
}

impl SignedAct {
    /// Signs an act with the key of its office.
    ///
    /// # Errors
    /// [`Refusal`] if it would not be read.
    pub fn sign(act: &Act, key: &SigningKey) -> Result<Self, Refusal> {
        Self::read(Envelope::signed(NEGOTIATION_TYPE, act.to_payload(), &[key]))
    }

    /// Reads an envelope; its signature is not verified.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read(envelope: Envelope) -> Result<Self, Refusal> {
        if envelope.payload_type != NEGOTIATION_TYPE {
            return Err(Refusal::Field("payloadType"));
        }
        if envelope.signatures.len() != 1 {
            return Err(Refusal::Field("signatures"));
        }
        let act = Act::parse(&envelope.payload)?;
        Ok(Self { act, hash: sha256(&envelope.payload), envelope })
    }

    /// Reads an envelope and demands that a key of its office signed it, of those that the trust file names.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn verify(envelope: Envelope, known: &[TrustedOffice]) -> Result<Self, Refusal> {
        let signed = Self::read(envelope)?;
        let act = &signed.act;
        let of = known.iter().filter(|line| line.party == act.from && line.office == act.office);
        let keys: Vec<_> = of.map(|line| line.key).collect();
        signed.envelope.verify(NEGOTIATION_TYPE, &keys, 1).map_err(|_| Refusal::Office)?;
        Ok(signed)
    }
}
