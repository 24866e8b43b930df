//! Negotiations: acts and drafts that the own ministry or a partner's node hands over, and reads again.
//!
//! What arrives is verified by the keys of offices and roots in the trust file, fits the chain, and its draft loads like any
//! stranger's pack; then it is stored, and nothing more: an officer takes it out as files.

mod book;

use std::collections::BTreeMap;
use std::sync::Arc;

use convenio_agreement::Pack;
use convenio_exchange::Core;
use convenio_negotiation::{Hash, Negotiation, Refusal, SignedAct, draft, sha256};
use convenio_seal::dsse::Envelope;
use convenio_seal::root::{RatifiedBy, RootSet, ratify_from, verify_ratify};
use convenio_seal::signoff::check_counts;
use convenio_seal::trust::TrustedOffice;
use convenio_wire::RATIFICATION_TYPE;
use convenio_wire::agreement::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Request, Response, Status};

use self::book::{BookError, Fresh, Head};
use crate::admission::{Admitted, open};
use crate::limit::{Limits, Rate};
use crate::principals::Standing;
use crate::server::negotiation_service_server::NegotiationService;
use crate::status;

/// Largest request, bytes: a draft, its act and what surrounds them.
pub(crate) const MAX_DRAFT_REQUEST: usize = draft::MAX_DRAFT + 1024 * 1024;
/// Largest envelope, bytes.
const MAX_ENVELOPE: usize = 256 * 1024;
/// Files given in one answer, bytes; one more may lie across.
const MAX_ANSWER: usize = 3 * 1024 * 1024;
/// Most files or negotiations in one answer.
const MAX_LIST: usize = 256;
/// Negotiations in a page.
const PAGE: u32 = 50;
/// Calls of one caller.
const CALLS: Rate = Rate { burst: 300, every_ms: 200 };
/// Calls of one caller in progress.
const AT_ONCE: usize = 4;

/// Whom the service believes.
#[derive(Debug, Clone, Default)]
pub struct Negotiating {
    /// Keys of offices, from the trust file.
    pub offices: Vec<TrustedOffice>,
    /// Roots of every party.
    pub roots: Vec<RootSet>,
    /// Partners: node and party.
    pub partners: Vec<(String, String)>,
}

pub(crate) struct Negotiations {
    core: Arc<Core>,
    known: Arc<Negotiating>,
    calls: Limits,
    /// One draft is loaded at a time.
    loading: Arc<Semaphore>,
}

#[tonic::async_trait]
impl NegotiationService for Negotiations {
    async fn submit_act(
        &self,
        request: Request<wire::SubmitActRequest>,
    ) -> Result<Response<wire::SubmitActResponse>, Status> {
        let (admitted, request) = open(request)?;
        let _permit = self.limited(&admitted)?;
        if request.envelope.len() > MAX_ENVELOPE {
            return Err(status::bad_field("envelope", "must be at most 256 KiB"));
        }
        let envelope = Envelope::parse(&request.envelope).map_err(|error| refused(&error.into()))?;
        let caller = self.caller(&admitted)?;
        let taken = match envelope.payload_type == RATIFICATION_TYPE {
            true => self.take_ratification(&caller, envelope, &request.negotiation).await,
            false => self.take_act(&caller, envelope, request.files).await,
        };
        taken.map(Response::new)
    }

    async fn get_negotiation(
        &self,
        request: Request<wire::GetNegotiationRequest>,
    ) -> Result<Response<wire::Negotiation>, Status> {
        let (admitted, request) = open(request)?;
        let _permit = self.limited(&admitted)?;
        let (head, negotiation) = self.visible(&admitted, &request.negotiation).await?;
        let mut shown = shown(&negotiation, &head);
        shown.acts = negotiation.acts().iter().map(|signed| signed.envelope.to_json().into_bytes()).collect();
        let read = book::ratifications(self.core.store().as_ref(), &negotiation.id(), &head).await;
        shown.ratifications = read.map_err(|error| status::from_store(&error))?;
        Ok(Response::new(shown))
    }

    async fn list_negotiations(
        &self,
        request: Request<wire::ListNegotiationsRequest>,
    ) -> Result<Response<wire::ListNegotiationsResponse>, Status> {
        let (admitted, request) = open(request)?;
        let _permit = self.limited(&admitted)?;
        let size =
            u32::try_from(request.page_size).map_err(|_| status::bad_field("page_size", "must not be negative"))?;
        let size = if size == 0 { PAGE } else { size.min(2 * PAGE) };
        if !request.page_token.is_empty() {
            identifier("page_token", &request.page_token)?;
        }
        let store = self.core.store().as_ref();
        let ids = book::page(store, &request.page_token, size).await.map_err(|error| status::from_store(&error))?;
        let next = ids.last().filter(|_| ids.len() == size as usize);
        let next_page_token = next.map(hex::encode).unwrap_or_default();
        let mut negotiations = Vec::new();
        for id in ids {
            let read = book::read(store, &id).await.map_err(|error| status::from_store(&error))?;
            negotiations.extend(read.map(|(head, negotiation)| shown(&negotiation, &head)));
        }
        Ok(Response::new(wire::ListNegotiationsResponse { negotiations, next_page_token }))
    }

    async fn get_draft_files(
        &self,
        request: Request<wire::GetDraftFilesRequest>,
    ) -> Result<Response<wire::GetDraftFilesResponse>, Status> {
        let (admitted, request) = open(request)?;
        let _permit = self.limited(&admitted)?;
        if request.sha256.len() > MAX_LIST {
            return Err(status::bad_field("sha256", "must be at most 256 hashes"));
        }
        let (_, negotiation) = self.visible(&admitted, &request.negotiation).await?;
        let (mut files, mut bytes) = (Vec::new(), 0);
        for hash in &request.sha256 {
            let hash: Hash = hash.as_slice().try_into().map_err(|_| status::bad_field("sha256", "must be 32 bytes"))?;
            let read = book::file(self.core.store().as_ref(), &negotiation.id(), &hash).await;
            let found = read.map_err(|error| status::from_store(&error))?.ok_or_else(unknown)?;
            bytes += found.len();
            files.push(found);
            if bytes >= MAX_ANSWER {
                break;
            }
        }
        Ok(Response::new(wire::GetDraftFilesResponse { files }))
    }
}

impl Negotiations {
    pub(crate) fn new(core: Arc<Core>, known: Negotiating) -> Self {
        let calls = Limits::new(CALLS, AT_ONCE);
        Self { core, known: Arc::new(known), calls, loading: Arc::new(Semaphore::new(1)) }
    }

    fn limited(&self, admitted: &Admitted) -> Result<OwnedSemaphorePermit, Status> {
        let busy = || status::refusal(Code::ResourceExhausted, "RATE_LIMITED", "too many calls: ask again later");
        self.calls.take(&admitted.caller.id(), self.core.clock().now_ms()).ok_or_else(busy)
    }

    /// Party of the caller; the own one for whoever is of this state.
    fn caller(&self, admitted: &Admitted) -> Result<String, Status> {
        match &admitted.standing {
            Standing::Own { .. } => Ok(self.core.party().to_owned()),
            Standing::Partner { node } => {
                let party = self.known.partners.iter().find(|(known, _)| known == node).map(|(_, party)| party.clone());
                party.ok_or_else(status::internal)
            }
        }
    }

    /// A negotiation that the caller's party takes part in.
    async fn visible(&self, admitted: &Admitted, id: &str) -> Result<(Head, Negotiation), Status> {
        let id = identifier("negotiation", id)?;
        let read = book::read(self.core.store().as_ref(), &id).await.map_err(|error| status::from_store(&error))?;
        let caller = self.caller(admitted)?;
        read.filter(|(head, _)| head.parties.contains(&caller)).ok_or_else(unknown)
    }

    async fn take_act(
        &self,
        caller: &str,
        envelope: Envelope,
        files: Vec<Vec<u8>>,
    ) -> Result<wire::SubmitActResponse, Status> {
        let signed = SignedAct::verify(envelope, &self.known.offices).map_err(|why| refused(&why))?;
        let parties = signed.act.parties();
        if [caller, self.core.party()].iter().any(|party| !parties.iter().any(|one| one == party)) {
            return Err(refused(&Refusal::Other));
        }
        let store = self.core.store().as_ref();
        let id = book::belongs(store, &signed).await.map_err(told)?;
        let held = book::read(store, &id).await.map_err(|error| status::from_store(&error))?;
        let negotiation = held.map(|(_, negotiation)| negotiation).unwrap_or_default();
        if negotiation.act(&signed.hash).is_some() {
            return Ok(answer(&id, true, &negotiation, &signed.hash));
        }
        negotiation.fits(&signed).map_err(|why| refused(&why))?;
        let files = self.draft(&id, &signed, files).await?;
        let fresh = Fresh { id, signed: signed.clone(), files, own: self.core.party().to_owned() };
        let taken = self.core.write(move |work| Box::pin(book::add(work, fresh))).await.map_err(told)?;
        Ok(answer(&id, taken.known, &taken.negotiation, &signed.hash))
    }

    /// Loads the draft of an act, if it brings one; gives those of its files that are not stored yet.
    async fn draft(
        &self,
        id: &Hash,
        signed: &SignedAct,
        files: Vec<Vec<u8>>,
    ) -> Result<BTreeMap<Hash, Vec<u8>>, Status> {
        let given: BTreeMap<Hash, Vec<u8>> = files.into_iter().map(|bytes| (sha256(&bytes), bytes)).collect();
        let lines = signed.act.deed.draft().map(|lines| lines.files.as_slice()).unwrap_or_default();
        if given.keys().any(|hash| !lines.iter().any(|line| line.sha256 == *hash)) {
            return Err(refused(&Refusal::ForeignFile));
        }
        let (mut all, mut new) = (BTreeMap::new(), given);
        for line in lines {
            let stored = book::file(self.core.store().as_ref(), id, &line.sha256).await;
            if let Some(stored) = stored.map_err(|error| status::from_store(&error))? {
                new.remove(&line.sha256);
                all.insert(line.sha256, stored);
            }
        }
        if signed.act.deed.draft().is_some() {
            all.extend(new.iter().map(|(hash, bytes)| (*hash, bytes.clone())));
            self.load(signed, all).await?;
        }
        Ok(new)
    }

    /// Loads a draft, off the threads that serve and one at a time.
    async fn load(&self, signed: &SignedAct, files: BTreeMap<Hash, Vec<u8>>) -> Result<Pack, Status> {
        let permit = self.loading.clone().acquire_owned().await.map_err(|_| status::internal())?;
        let act = signed.act.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let lines = act.deed.draft().ok_or(Refusal::Standing)?;
            draft::load(&act, lines, |hash| files.get(hash).cloned())
        });
        loaded.await.map_err(|_| status::internal())?.map_err(|why| refused(&why))
    }

    async fn take_ratification(
        &self,
        caller: &str,
        envelope: Envelope,
        id: &str,
    ) -> Result<wire::SubmitActResponse, Status> {
        let id = identifier("negotiation", id)?;
        let store = self.core.store().as_ref();
        let read = book::read(store, &id).await.map_err(|error| status::from_store(&error))?;
        let known = read.filter(|(head, _)| head.parties.iter().any(|party| party == caller));
        let (head, negotiation) = known.ok_or_else(unknown)?;
        let bad = |why: &str| status::refusal(Code::FailedPrecondition, "RATIFICATION", why);
        let said = self.ratified(&envelope).map_err(|why| bad(&why))?;
        if !head.parties.iter().any(|party| party == said.party()) || said.agreement != head.agreement {
            return Err(bad("it is of another agreement or by no party of the negotiation"));
        }
        let agreed = negotiation.heads().into_iter().find(|standing| {
            standing.state == convenio_negotiation::State::Initialled && standing.draft.digest == said.digest
        });
        let agreed = agreed.ok_or_else(|| bad("not every party has put its initials to that version"))?;
        let brought = negotiation.acts().into_iter().find(|signed| signed.act.deed.draft() == Some(&agreed.draft));
        let brought = brought.ok_or_else(status::internal)?;
        let mut files = BTreeMap::new();
        for line in &agreed.draft.files {
            let stored = book::file(store, &id, &line.sha256).await.map_err(|error| status::from_store(&error))?;
            files.extend(stored.map(|bytes| (line.sha256, bytes)));
        }
        let pack = self.load(brought, files).await?;
        let counts = check_counts(&said, &pack.ratification_rule(said.party()), &self.known.offices, None);
        counts.map_err(|why| status::refusal(Code::FailedPrecondition, why.reason(), &why.to_string()))?;
        let (party, json) = (said.party().to_owned(), envelope.to_json().into_bytes());
        let known = self.core.write(move |work| Box::pin(book::ratify(work, id, party, json))).await.map_err(told)?;
        Ok(wire::SubmitActResponse { negotiation: hex::encode(id), known, fork: false })
    }

    fn ratified(&self, envelope: &Envelope) -> Result<RatifiedBy, String> {
        let ratify = ratify_from(envelope).map_err(|error| error.to_string())?;
        let claimed = RatifiedBy::parse(&ratify.payload).map_err(|error| error.to_string())?;
        let roots = self.known.roots.iter().find(|roots| roots.party() == claimed.party());
        let roots = roots.ok_or("the trust file names no root of that party")?;
        verify_ratify(&ratify, roots).map_err(|error| error.to_string())
    }
}

fn shown(negotiation: &Negotiation, head: &Head) -> wire::Negotiation {
    let steps = negotiation.acts().last().map_or(0, |signed| signed.act.step);
    wire::Negotiation {
        negotiation: hex::encode(negotiation.id()),
        agreement: head.agreement.clone(),
        parties: head.parties.clone(),
        steps,
        state: negotiation.state().as_str().to_owned(),
        fork: !negotiation.forks().is_empty(),
        acts: Vec::new(),
        ratifications: Vec::new(),
    }
}

fn answer(id: &Hash, known: bool, negotiation: &Negotiation, hash: &Hash) -> wire::SubmitActResponse {
    let step = negotiation.act(hash).map_or(0, |signed| signed.act.step);
    wire::SubmitActResponse { negotiation: hex::encode(id), known, fork: negotiation.forks().contains(&step) }
}

fn identifier(field: &str, text: &str) -> Result<Hash, Status> {
    let mut id = Hash::default();
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let read = hex::decode_to_slice(text, &mut id).is_ok() && lower;
    read.then_some(id).ok_or_else(|| status::bad_field(field, "must be 64 lower-case hexadecimal digits"))
}

fn unknown() -> Status {
    status::refusal(Code::NotFound, "NOT_FOUND", "no such negotiation or file")
}

fn told(error: BookError) -> Status {
    match error {
        BookError::Refused(why) => refused(&why),
        BookError::Store(error) => status::from_store(&error),
    }
}

fn refused(why: &Refusal) -> Status {
    let code = match why {
        Refusal::Envelope(_) | Refusal::Encoding(_) | Refusal::Field(_) | Refusal::ForeignFile => Code::InvalidArgument,
        Refusal::Office => Code::PermissionDenied,
        Refusal::PreviousUnknown => Code::NotFound,
        Refusal::Quota(_) | Refusal::TooLarge | Refusal::DraftTooLarge => Code::ResourceExhausted,
        _ => Code::FailedPrecondition,
    };
    // What the loader says of a draft can be long; details travel in headers.
    let message: String = why.to_string().chars().take(500).collect();
    status::refusal(code, why.reason(), &message)
}
