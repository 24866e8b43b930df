//! Negotiations in the database, as states:
//!
//! ```text
//! negotiation/act/<hash>                       identifier of its negotiation, then the envelope
//! negotiation/head/<identifier>                Head
//! negotiation/file/<identifier>/<sha256>       a file of a draft
//! negotiation/ratification/<identifier>/<party>
//! negotiation/with/<party>                     Shelf: what is stored for a partner, and its limits
//! ```

use std::collections::BTreeMap;

use convenio_negotiation::{Hash, Negotiation, Refusal, SignedAct, State};
use convenio_seal::dsse::Envelope;
use convenio_store::{Store, StoreError, Work};
use prost::Message;

/// Most open negotiations with one partner.
const MAX_OPEN: usize = 8;
/// Most negotiations with one partner.
const MAX_ALL: usize = 64;
/// Most bytes of acts and files that are stored for one partner.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// An act was not stored.
#[derive(Debug)]
pub(super) enum BookError {
    /// It is refused.
    Refused(Refusal),
    /// The database.
    Store(StoreError),
}

impl From<StoreError> for BookError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Refusal> for BookError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What is stored of a negotiation.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Head {
    /// Agreement id.
    #[prost(string, tag = "1")]
    pub agreement: String,
    /// Parties, ascending.
    #[prost(string, repeated, tag = "2")]
    pub parties: Vec<String>,
    /// Hashes of its acts.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub acts: Vec<Vec<u8>>,
    /// Parties whose ratification is stored, ascending.
    #[prost(string, repeated, tag = "4")]
    pub ratified: Vec<String>,
}

/// What is stored for one partner.
#[derive(Clone, PartialEq, Message)]
struct Shelf {
    #[prost(message, repeated, tag = "1")]
    held: Vec<Held>,
}

/// One negotiation with that partner.
#[derive(Clone, PartialEq, Message)]
struct Held {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(bool, tag = "2")]
    open: bool,
    #[prost(uint64, tag = "3")]
    bytes: u64,
}

/// An act that was verified and whose draft was loaded.
pub(super) struct Fresh {
    /// Its negotiation.
    pub id: Hash,
    /// The act.
    pub signed: SignedAct,
    /// Files that are not stored yet.
    pub files: BTreeMap<Hash, Vec<u8>>,
    /// This side's party.
    pub own: String,
}

/// What became of an act.
pub(super) struct Taken {
    /// Whether it was stored already.
    pub known: bool,
    /// The negotiation with it.
    pub negotiation: Negotiation,
}

fn act_key(hash: &[u8]) -> String {
    format!("negotiation/act/{}", hex::encode(hash))
}

fn head_key(id: &Hash) -> String {
    format!("{HEADS}{}", hex::encode(id))
}

/// Beginning of the paths of heads.
const HEADS: &str = "negotiation/head/";

fn file_key(id: &Hash, hash: &Hash) -> String {
    format!("negotiation/file/{}/{}", hex::encode(id), hex::encode(hash))
}

fn ratification_key(id: &Hash, party: &str) -> String {
    format!("negotiation/ratification/{}/{party}", hex::encode(id))
}

fn shelf_key(party: &str) -> String {
    format!("negotiation/with/{party}")
}

/// Where states are read: what is committed, or what a job sees.
enum Reader<'r> {
    Committed(&'r dyn Store),
    Job(&'r mut Work),
}

impl Reader<'_> {
    async fn state(&mut self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = match self {
            Self::Committed(store) => store.state(key).await?,
            Self::Job(work) => work.state(key).await?,
        };
        Ok(row.map(|row| row.body))
    }

    async fn negotiation(&mut self, id: &Hash) -> Result<Option<(Head, Negotiation)>, StoreError> {
        let corrupt = || StoreError::Corrupt("negotiation");
        let Some(body) = self.state(&head_key(id)).await? else { return Ok(None) };
        let head = Head::decode(&*body).map_err(|_| corrupt())?;
        let mut acts = Vec::new();
        for hash in &head.acts {
            let body = self.state(&act_key(hash)).await?.ok_or_else(corrupt)?;
            let json = body.get(id.len()..).ok_or_else(corrupt)?;
            let envelope = Envelope::parse(json).map_err(|_| corrupt())?;
            acts.push(SignedAct::read(envelope).map_err(|_| corrupt())?);
        }
        let negotiation = Negotiation::of(acts).map_err(|_| corrupt())?;
        Ok(Some((head, negotiation)))
    }
}

/// The negotiation that an act belongs to: its own hash if it is a first one.
pub(super) async fn belongs(store: &dyn Store, signed: &SignedAct) -> Result<Hash, BookError> {
    let Some(previous) = signed.act.previous else { return Ok(signed.hash) };
    let row = store.state(&act_key(&previous)).await?.ok_or(Refusal::PreviousUnknown)?;
    let id = row.body.get(..32).and_then(|id| id.try_into().ok());
    Ok(id.ok_or(StoreError::Corrupt("negotiation"))?)
}

/// A negotiation as it is stored.
pub(super) async fn read(store: &dyn Store, id: &Hash) -> Result<Option<(Head, Negotiation)>, StoreError> {
    Reader::Committed(store).negotiation(id).await
}

/// A file of a draft.
pub(super) async fn file(store: &dyn Store, id: &Hash, hash: &Hash) -> Result<Option<Vec<u8>>, StoreError> {
    Reader::Committed(store).state(&file_key(id, hash)).await
}

/// Identifiers of negotiations behind the hexadecimal one given, ascending.
pub(super) async fn page(store: &dyn Store, after: &str, size: u32) -> Result<Vec<Hash>, StoreError> {
    let after = if after.is_empty() { String::new() } else { format!("{HEADS}{after}") };
    let rows = store.states(HEADS, &after, size).await?;
    let id = |key: &str| {
        let mut id = Hash::default();
        hex::decode_to_slice(&key[HEADS.len()..], &mut id).map_err(|_| StoreError::Corrupt("negotiation"))?;
        Ok(id)
    };
    rows.iter().map(|row| id(&row.key)).collect()
}

/// The ratifications that are stored, by party.
pub(super) async fn ratifications(store: &dyn Store, id: &Hash, head: &Head) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut found = Vec::new();
    for party in &head.ratified {
        found.extend(Reader::Committed(store).state(&ratification_key(id, party)).await?);
    }
    Ok(found)
}

/// Stores an act with its files: the job is where two that came at once meet.
pub(super) async fn add(work: &mut Work, fresh: Fresh) -> Result<Taken, BookError> {
    let Fresh { id, signed, files, own } = fresh;
    let held = Reader::Job(work).negotiation(&id).await?;
    let parties = signed.act.parties();
    let (mut head, mut negotiation) = held.unwrap_or_else(|| {
        let head = Head { agreement: signed.act.agreement.clone(), parties: parties.clone(), ..Head::default() };
        (head, Negotiation::default())
    });
    if !negotiation.add(signed.clone())? {
        return Ok(Taken { known: true, negotiation });
    }
    let json = signed.envelope.to_json().into_bytes();
    let bytes = json.len() as u64 + files.values().map(|bytes| bytes.len() as u64).sum::<u64>();
    let open = negotiation.state() == State::Open;
    for party in parties.iter().filter(|party| **party != own) {
        shelve(work, party, &id, open, bytes).await?;
    }
    head.acts.push(signed.hash.to_vec());
    work.put_state(&act_key(&signed.hash), Some([id.as_slice(), &json].concat()));
    for (hash, bytes) in files {
        work.put_state(&file_key(&id, &hash), Some(bytes));
    }
    work.put_state(&head_key(&id), Some(head.encode_to_vec()));
    Ok(Taken { known: false, negotiation })
}

/// Counts what is stored for a partner.
async fn shelve(work: &mut Work, party: &str, id: &Hash, open: bool, bytes: u64) -> Result<(), BookError> {
    let body = Reader::Job(work).state(&shelf_key(party)).await?.unwrap_or_default();
    let mut shelf = Shelf::decode(&*body).map_err(|_| StoreError::Corrupt("negotiation"))?;
    match shelf.held.iter_mut().find(|held| held.id == id) {
        Some(held) => {
            held.open = open;
            held.bytes += bytes;
        }
        None => shelf.held.push(Held { id: id.to_vec(), open, bytes }),
    }
    let limits = [
        (shelf.held.iter().filter(|held| held.open).count() > MAX_OPEN, "8 negotiations are open already"),
        (shelf.held.len() > MAX_ALL, "64 negotiations are stored already"),
        (shelf.held.iter().map(|held| held.bytes).sum::<u64>() > MAX_BYTES, "more than 64 MiB of negotiations"),
    ];
    if let Some((_, why)) = limits.into_iter().find(|(reached, _)| *reached) {
        return Err(Refusal::Quota(why).into());
    }
    work.put_state(&shelf_key(party), Some(shelf.encode_to_vec()));
    Ok(())
}

/// Stores a ratification that was verified; true if the same was stored already.
pub(super) async fn ratify(work: &mut Work, id: Hash, party: String, json: Vec<u8>) -> Result<bool, BookError> {
    let key = ratification_key(&id, &party);
    if Reader::Job(work).state(&key).await?.is_some_and(|held| held == json) {
        return Ok(true);
    }
    let body = Reader::Job(work).state(&head_key(&id)).await?.ok_or(StoreError::Corrupt("negotiation"))?;
    let mut head = Head::decode(&*body).map_err(|_| StoreError::Corrupt("negotiation"))?;
    if !head.ratified.contains(&party) {
        head.ratified.push(party);
        head.ratified.sort_unstable();
    }
    work.put_state(&key, Some(json));
    work.put_state(&head_key(&id), Some(head.encode_to_vec()));
    Ok(false)
}
