//! What stands before every handler: admission, a bound on calls in progress, a time limit, and a span.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwap;
use convenio_model::Identity;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};
use tracing::{Instrument, debug, info_span};

use crate::access::{self, Rule};
use crate::admission;
use crate::principals::Principals;
use crate::status;

#[cfg(test)]
mod tests;

/// Most unary calls in progress; one more is told to come back.
const MAX_CALLS: usize = 1024;
/// Longest unary call.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A service that only admitted calls reach. Expects the caller's `Arc<Identity>` in the request's extensions, as the
/// accept loop puts it there after the TLS handshake.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    principals: Arc<ArcSwap<Principals>>,
    calls: Arc<Semaphore>,
    call_timeout: Duration,
}

impl<S> Guarded<S> {
    pub(crate) fn new(inner: S, principals: Arc<ArcSwap<Principals>>) -> Self {
        Self::with_limits(inner, principals, MAX_CALLS, CALL_TIMEOUT)
    }

    fn with_limits(inner: S, principals: Arc<ArcSwap<Principals>>, calls: usize, call_timeout: Duration) -> Self {
        Self { inner, principals, calls: Arc::new(Semaphore::new(calls)), call_timeout }
    }
}

impl<S, B> Service<http::Request<B>> for Guarded<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(())) // each call waits for a clone of the inner service
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let identity = request.extensions().get::<Arc<Identity>>().cloned();
        let rule = access::rule(request.uri().path());
        let method = rule.map_or("unlisted", |rule| rule.path);
        let role = identity.as_ref().map_or("none", |identity| access::role_label(&identity.role));
        let span = info_span!("call", method, role);
        let guarded = self.clone();
        let answer = async move {
            let began = Instant::now();
            let answer = guarded.serve(request, rule, identity.as_deref()).await;
            let mut response = answer.unwrap_or_else(Status::into_http);
            // Of a stream this is how it began: its end is in the trailers.
            let status = Status::from_header_map(response.headers());
            let code = status.as_ref().map_or(Code::Ok, Status::code);
            if let Some(bare) = status.filter(|status| status.code() != Code::Ok && status.details().is_empty()) {
                response = status::with_reason(bare).into_http();
            }
            let latency_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            debug!(?code, latency_us, "answered");
            Ok(response)
        };
        Box::pin(answer.instrument(span))
    }
}

impl<S> Guarded<S> {
    async fn serve<B>(
        self,
        mut request: http::Request<B>,
        rule: Option<&'static Rule>,
        identity: Option<&Identity>,
    ) -> Result<http::Response<Body>, Status>
    where
        S: Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible>,
    {
        let admitted = admission::admit(&self.principals.load(), rule, identity, request.headers())?;
        admitted.enter(request.extensions_mut());
        if rule.is_some_and(|rule| rule.streams) {
            let Ok(response) = self.inner.oneshot(request).await;
            return Ok(response);
        }
        let busy = |_| status::refusal(Code::Unavailable, "OVERLOADED", "too many calls in progress");
        let _permit = self.calls.try_acquire().map_err(busy)?;
        let late = |_| status::refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the call took too long");
        let Ok(response) = timeout(self.call_timeout, self.inner.oneshot(request)).await.map_err(late)?;
        Ok(response)
    }
}
