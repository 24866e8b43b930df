//! `request_id`: the same request again gets the same answer, through restarts.

use aws_lc_rs::digest;
use convenio_model::Ref;
use convenio_store::{Reads, RequestKey, RequestRow, Work};
use prost::Message;

use crate::caller::Caller;
use crate::error::RegistryError;

/// A request that may come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    key: Option<RequestKey>,
    method: &'static str,
    fingerprint: [u8; 32],
}

impl Ticket {
    /// A request of `method` with `id`, empty for one that is not repeated; `request` without its id.
    pub fn new<M: Message>(
        caller: &Caller,
        method: &'static str,
        id: &str,
        request: &M,
    ) -> Result<Self, RegistryError> {
        let key = match id {
            "" => None,
            id => {
                let id: Ref = id.parse().map_err(|_| RegistryError::field("request_id", "a lower-case UUID"))?;
                Some((caller.id(), id))
            }
        };
        Ok(Self { key, method, fingerprint: fingerprint(method, request) })
    }

    /// What finding out whether it came before reads.
    pub fn reads(&self) -> Reads {
        Reads { requests: self.key.iter().cloned().collect(), ..Reads::default() }
    }

    /// The answer that was given already.
    pub async fn answered<M: Message + Default>(&self, work: &mut Work) -> Result<Option<M>, RegistryError> {
        let Some(key) = &self.key else { return Ok(None) };
        let Some(row) = work.request(key).await? else { return Ok(None) };
        if row.fingerprint != self.fingerprint || row.method != self.method {
            return Err(RegistryError::RequestIdReused);
        }
        crate::row::decode(&row.response, "request").map(Some)
    }

    /// Keeps the answer, in the change's own transaction.
    pub fn keep<M: Message>(&self, work: &mut Work, response: &M, now_ms: u64) {
        if let Some(key) = &self.key {
            work.put_request(RequestRow {
                key: key.clone(),
                method: self.method.to_owned(),
                fingerprint: self.fingerprint,
                response: response.encode_to_vec(),
                time_ms: now_ms,
            });
        }
    }
}

fn fingerprint<M: Message>(method: &str, request: &M) -> [u8; 32] {
    sha256(&[method.as_bytes(), &[0], &request.encode_to_vec()])
}

/// SHA-256 of `pieces`, one after the other.
pub(crate) fn sha256(pieces: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    pieces.iter().for_each(|piece| context.update(piece));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use convenio_wire::registry::v1::GetWorkerRequest;

    use super::*;

    fn caller() -> Caller {
        Caller {
            trust_domain: "sv.example".into(),
            role: "integration".into(),
            organisation: "mtps".into(),
            post: None,
            purpose: None,
        }
    }

    #[test]
    fn a_fingerprint_tells_requests_and_methods_apart() {
        let one = GetWorkerRequest { name: "workers/1".into() };
        let other = GetWorkerRequest { name: "workers/2".into() };
        assert_eq!(fingerprint("A", &one), fingerprint("A", &one.clone()));
        assert_ne!(fingerprint("A", &one), fingerprint("A", &other));
        assert_ne!(fingerprint("A", &one), fingerprint("B", &one));
    }

    #[test]
    fn a_request_id_has_one_spelling() {
        let request = GetWorkerRequest::default();
        let ticket = |id: &str| Ticket::new(&caller(), "M", id, &request);
        assert!(ticket("").unwrap().key.is_none());
        let id = "0190163d-8694-739b-aea5-966c26f8ad91";
        assert_eq!(ticket(id).unwrap().key.unwrap().0, "spiffe://sv.example/integration/mtps");
        assert!(ticket(&id.to_uppercase()).is_err());
        assert!(ticket("------------------------------------").is_err());
    }
}
