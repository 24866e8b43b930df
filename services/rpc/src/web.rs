//! HTTP beside gRPC on the same port: the logs as C2SP tlog-tiles lays them out, and the node's witness (C2SP tlog-witness).
//! The caller is the one of the certificate, and stands in the same table of principals as for gRPC.
//!
//! ```text
//! GET  /logs/                                         origins, one a line
//! GET  /logs/<hex sha256(origin)>/checkpoint          latest, with every cosignature held
//! GET  /logs/<hex sha256(origin)>/tile/<L>/<N>[.p/<W>]
//! GET  /logs/<hex sha256(origin)>/tile/entries/<N>[.p/<W>]
//! POST /add-checkpoint                                submission to the witness
//! GET  /<hex sha256(origin)>/checkpoint               what the witness cosigned last
//! ```

mod path;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use convenio_exchange::witness::Submitter;
use convenio_exchange::{Core, publish};
use convenio_log::witness::MAX_REQUEST_LEN;
use convenio_model::Identity;
use convenio_seal::origin::LogOrigin;
use convenio_store::{LogRow, StoreError};
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::service::Routes;
use tower::Service;
use tracing::{Instrument, debug, info_span};

use crate::access::{self, WebRule};
use crate::guard::Guarded;
use crate::principals::{Principals, Standing};
use crate::routes::Witnessing;
use path::{File, Resource};

/// Most requests in progress; one more is told to come back.
const MAX_REQUESTS: usize = 64;
/// Longest request, its body included.
const LIMIT: Duration = Duration::from_secs(30);

const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";
/// A full tile never changes; nobody but the caller may keep it, for others may not read it.
const IMMUTABLE: &str = "private, max-age=31536000, immutable";
/// A partial one neither, but a wider one soon takes its place.
const BRIEF: &str = "private, max-age=60";
const FRESH: &str = "no-cache";

/// What goes over HTTP.
pub(crate) struct Web {
    core: Arc<Core>,
    principals: Arc<ArcSwap<Principals>>,
    witnessing: Option<Witnessing>,
    requests: Semaphore,
}

/// All that a node serves: gRPC, and the rest over HTTP.
#[derive(Clone)]
pub struct Served {
    grpc: Guarded<Routes>,
    web: Arc<Web>,
}

impl Served {
    pub(crate) fn new(grpc: Guarded<Routes>, web: Web) -> Self {
        Self { grpc, web: Arc::new(web) }
    }
}

impl<B> Service<Request<B>> for Served
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError>,
    Guarded<Routes>: Service<
            Request<B>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<'static, Result<Response<Body>, Infallible>>,
        >,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // the guard waits for each call apart
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if kind.starts_with(b"application/grpc") {
            return self.grpc.call(request);
        }
        let web = self.web.clone();
        Box::pin(async move { Ok(web.answer(request).await) })
    }
}

/// Why there is no answer; the status and a stable word.
type Refusal = (StatusCode, &'static str);

impl Web {
    pub(crate) fn new(core: Arc<Core>, principals: Arc<ArcSwap<Principals>>, witnessing: Option<Witnessing>) -> Self {
        Self { core, principals, witnessing, requests: Semaphore::new(MAX_REQUESTS) }
    }

    async fn answer<B>(self: Arc<Self>, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<tonic::codegen::StdError>,
    {
        let identity = request.extensions().get::<Arc<Identity>>().cloned();
        let role = identity.as_ref().map_or("none", |identity| access::role_label(&identity.role));
        let resource = path::resource(request.uri().path());
        let name = resource.as_ref().map_or("unknown", |resource| rule(resource).name);
        let answer = async {
            let Ok(_permit) = self.requests.try_acquire() else {
                return refused((StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED"));
            };
            let served = timeout(LIMIT, self.serve(request, resource, identity.as_deref()));
            let answer = served.await.unwrap_or(Err((StatusCode::REQUEST_TIMEOUT, "DEADLINE_EXCEEDED")));
            let response = answer.unwrap_or_else(refused);
            debug!(status = response.status().as_u16(), "answered");
            response
        };
        answer.instrument(info_span!("http", resource = name, role)).await
    }

    async fn serve<B>(
        &self,
        request: Request<B>,
        resource: Option<Resource>,
        identity: Option<&Identity>,
    ) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<tonic::codegen::StdError>,
    {
        let identity = identity.ok_or((StatusCode::FORBIDDEN, "UNAUTHENTICATED"))?;
        let resource = resource.ok_or((StatusCode::NOT_FOUND, "NOT_FOUND"))?;
        let standing = self.principals.load().standing(identity).map_err(|_| DENIED)?;
        if !self.admitted(&resource, &standing, identity) {
            return Err(DENIED);
        }
        let wanted = if resource == Resource::AddCheckpoint { Method::POST } else { Method::GET };
        if request.method() != wanted {
            return Err((StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"));
        }
        match resource {
            Resource::Logs => self.logs(&standing).await,
            Resource::Log(folder, file) => self.log(&standing, &folder, file).await,
            Resource::Witnessed(folder) => self.witnessed(&standing, &folder).await,
            Resource::AddCheckpoint => {
                let body = Limited::new(request.into_body(), MAX_REQUEST_LEN).collect().await;
                let body = body.map_err(|_| (StatusCode::BAD_REQUEST, "MALFORMED_MESSAGE"))?.to_bytes();
                self.add_checkpoint(&standing, identity, &body).await
            }
        }
    }

    fn admitted(&self, resource: &Resource, standing: &Standing, identity: &Identity) -> bool {
        let rule = rule(resource);
        let roles = match standing {
            Standing::Own { .. } => rule.own,
            Standing::Partner { .. } => rule.partner,
        };
        roles.contains(&identity.role.as_str()) || *resource == Resource::AddCheckpoint && self.configured(identity)
    }

    fn configured(&self, identity: &Identity) -> bool {
        self.witnessing.as_ref().is_some_and(|witnessing| witnessing.callers.contains(identity))
    }

    async fn logs(&self, standing: &Standing) -> Result<Response<Body>, Refusal> {
        let logs = publish::logs(&self.core).await.map_err(|error| failed(&error))?;
        let reached = logs.iter().filter(|log| reaches(standing, log));
        let text: String = reached.map(|log| format!("{}\n", log.origin)).collect();
        Ok(found(text, TEXT, FRESH))
    }

    async fn log(&self, standing: &Standing, folder: &str, file: File) -> Result<Response<Body>, Refusal> {
        let logs = publish::logs(&self.core).await.map_err(|error| failed(&error))?;
        // What a caller may not read is not told from what is not there.
        let log = logs.iter().find(|log| publish::folder(&log.origin) == folder);
        let log = log.filter(|log| reaches(standing, log)).ok_or(UNKNOWN)?;
        let kept = |full: bool| if full { IMMUTABLE } else { BRIEF };
        let (body, kind, kept) = match file {
            File::Checkpoint => {
                (publish::checkpoint(&self.core, log).await.map(|text| text.map(String::into_bytes)), TEXT, FRESH)
            }
            File::Tile(tile) => (publish::tile(&self.core, log, tile).await, BYTES, kept(tile.is_full())),
            File::Entries(tile) => (publish::entries(&self.core, log, tile).await, BYTES, kept(tile.width() == 256)),
        };
        let body = body.map_err(|error| failed(&error))?.ok_or(UNKNOWN)?;
        Ok(found(body, kind, kept))
    }

    async fn witnessed(&self, standing: &Standing, folder: &str) -> Result<Response<Body>, Refusal> {
        let witnessing = self.witnessing.as_ref().ok_or(UNKNOWN)?;
        let note = witnessing.witness.checkpoint(folder).await.map_err(|error| failed(&error))?.ok_or(UNKNOWN)?;
        let origin = note.checkpoint().origin();
        let reached = match standing {
            Standing::Own { agreements: None, .. } => true,
            Standing::Own { agreements: Some(only), .. } => {
                origin.parse::<LogOrigin>().is_ok_and(|log| only.contains(&log.agreement))
            }
            Standing::Partner { node } => origin.strip_prefix(node.as_str()).is_some_and(|rest| rest.starts_with('/')),
        };
        if reached { Ok(found(note.to_string(), TEXT, FRESH)) } else { Err(UNKNOWN) }
    }

    async fn add_checkpoint(
        &self,
        standing: &Standing,
        identity: &Identity,
        body: &[u8],
    ) -> Result<Response<Body>, Refusal> {
        let witnessing = self.witnessing.as_ref().ok_or(UNKNOWN)?;
        let partner = match standing {
            Standing::Partner { node } if identity.role == Identity::NODE => Some(node.as_str()),
            _ => None,
        };
        let by = Submitter { partner, configured: self.configured(identity) };
        let answer = witnessing.witness.add_checkpoint(by, body).await.map_err(|error| failed(&error))?;
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Ok(response(status, answer.body.into(), answer.content_type, "no-store"))
    }
}

const DENIED: Refusal = (StatusCode::FORBIDDEN, "PERMISSION_DENIED");
const UNKNOWN: Refusal = (StatusCode::NOT_FOUND, "NOT_FOUND");

fn rule(resource: &Resource) -> &'static WebRule {
    match resource {
        Resource::Logs => &access::LOGS,
        Resource::Log(..) => &access::LOG,
        Resource::Witnessed(_) => &access::WITNESSED,
        Resource::AddCheckpoint => &access::ADD_CHECKPOINT,
    }
}

/// A partner reads the logs between it and this node; who is limited to agreements reads those.
fn reaches(standing: &Standing, log: &LogRow) -> bool {
    match standing {
        Standing::Own { agreements, .. } => agreements.as_ref().is_none_or(|only| only.contains(&log.agreement)),
        Standing::Partner { node } => log.partner == *node,
    }
}

fn failed(error: &StoreError) -> Refusal {
    tracing::warn!(reason = %error, "a request could not be served");
    (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")
}

fn refused((status, reason): Refusal) -> Response<Body> {
    let mut response = response(status, format!("{reason}\n").into(), TEXT, "no-store");
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn found(body: impl Into<Bytes>, kind: &'static str, kept: &'static str) -> Response<Body> {
    response(StatusCode::OK, body.into(), kind, kept)
}

fn response(status: StatusCode, body: Bytes, kind: &'static str, kept: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
