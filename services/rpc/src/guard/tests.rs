#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tonic_types::StatusExt;

use super::*;
use crate::admission::Admitted;

const WORKER: &str = "/convenio.registry.v1.WorkerService/GetWorker";
const CREATE: &str = "/convenio.registry.v1.WorkerService/CreateWorker";
const PLACEMENT: &str = "/convenio.registry.v1.PlacementService/GetPlacement";
const SYNC: &str = "/convenio.consular.v1.ConsularService/Sync";
const EXCHANGE: &str = "/convenio.exchange.v1.ExchangeService/Exchange";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

const OPERATOR: &str = "sv.example/operator/mtps";
const INTEGRATION: &str = "sv.example/integration/mtps";
const LIMITED: &str = "sv.example/operator/limited";
const POST: &str = "sv.example/consulate/mre/toronto";
const PARTNER: &str = "ca.example/node/ca";

/// What stands behind the guard: counts the calls that reach it, and waits where it is told to.
#[derive(Clone, Default)]
struct Inner {
    reached: Arc<AtomicUsize>,
    hold: Option<Arc<Notify>>,
}

impl Service<http::Request<()>> for Inner {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<()>) -> Self::Future {
        assert!(request.extensions().get::<Arc<Admitted>>().is_some(), "admitted before it is handled");
        self.reached.fetch_add(1, Ordering::SeqCst);
        let hold = self.hold.clone();
        Box::pin(async move {
            if let Some(hold) = hold {
                hold.notified().await;
            }
            Ok(http::Response::new(Body::empty()))
        })
    }
}

fn principals() -> Arc<ArcSwap<Principals>> {
    let agreements = || vec!["sv-ca".to_owned()];
    let table = Principals::new("sv.example")
        .partner("ca.example", "node.ca.example")
        .unwrap()
        .post("mre/toronto", vec!["CA-ON".to_owned()], agreements())
        .unwrap()
        .limit(format!("spiffe://{LIMITED}").parse().unwrap(), agreements())
        .unwrap();
    Arc::new(ArcSwap::from_pointee(table))
}

fn request(path: &str, identity: Option<&str>, purpose: Option<&str>) -> http::Request<()> {
    let mut request = http::Request::post(path).body(()).unwrap();
    if let Some(identity) = identity {
        let identity: Identity = format!("spiffe://{identity}").parse().unwrap();
        request.extensions_mut().insert(Arc::new(identity));
    }
    if let Some(purpose) = purpose {
        request.headers_mut().insert("convenio-purpose", purpose.parse().unwrap());
    }
    request
}

fn reason(response: &http::Response<Body>) -> Option<(Code, String)> {
    let status = Status::from_header_map(response.headers())?;
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    Some((status.code(), reason))
}

#[tokio::test]
async fn only_what_the_table_allows_reaches_a_handler() {
    let denied = || Some((Code::PermissionDenied, "PERMISSION_DENIED".to_owned()));
    let cases = [
        (WORKER, Some(OPERATOR), None),
        (CREATE, Some(INTEGRATION), None),
        (CREATE, Some(OPERATOR), denied()),
        (WORKER, Some(PARTNER), denied()),
        (WORKER, Some("ca.example/operator/esdc"), denied()),
        (WORKER, Some("sv.example/mayor/san-salvador"), denied()),
        (WORKER, None, Some((Code::Unauthenticated, "UNAUTHENTICATED".to_owned()))),
        ("/convenio.registry.v1.WorkerService/DeleteWorker", Some(INTEGRATION), denied()),
        (WORKER, Some(LIMITED), denied()),
        (PLACEMENT, Some(LIMITED), None),
        (EXCHANGE, Some(PARTNER), None),
        (EXCHANGE, Some("ca.example/operator/esdc"), denied()),
        (EXCHANGE, Some("sv.example/node/sv"), denied()),
        (EXCHANGE, Some("us.example/node/us"), denied()),
        (SYNC, Some(POST), None),
        (SYNC, Some("sv.example/consulate/mre/montreal"), denied()),
        (SYNC, Some("ca.example/consulate/gac/toronto"), denied()),
        (WORKER, Some(POST), denied()),
        (HEALTH, Some(PARTNER), None),
        (HEALTH, Some("us.example/node/us"), denied()),
        (REFLECTION, Some(OPERATOR), None),
        (REFLECTION, Some(PARTNER), denied()),
    ];
    for (path, identity, refused) in cases {
        let inner = Inner::default();
        let guarded = Guarded::new(inner.clone(), principals());
        let response = guarded.oneshot(request(path, identity, Some("case-work"))).await.unwrap();
        assert_eq!(reason(&response), refused, "{path} {identity:?}");
        assert_eq!(inner.reached.load(Ordering::SeqCst), usize::from(refused.is_none()), "{path} {identity:?}");
    }
}

#[tokio::test]
async fn a_purpose_is_one_token_and_a_caseload_needs_one() {
    let required = Some((Code::InvalidArgument, "PURPOSE_REQUIRED".to_owned()));
    let invalid = || Some((Code::InvalidArgument, "INVALID_ARGUMENT".to_owned()));
    let long = "a".repeat(41);
    let cases = [
        (Some("welfare_contact"), None),
        (None, required),
        (Some("ab"), invalid()),
        (Some("Welfare"), invalid()),
        (Some("María"), invalid()),
        (Some("a b c"), invalid()),
        (Some(long.as_str()), invalid()),
    ];
    for (purpose, refused) in cases {
        let guarded = Guarded::new(Inner::default(), principals());
        let response = guarded.oneshot(request(SYNC, Some(POST), purpose)).await.unwrap();
        assert_eq!(reason(&response), refused, "{purpose:?}");
    }
    let mut twice = request(SYNC, Some(POST), Some("welfare_contact"));
    twice.headers_mut().append("convenio-purpose", "statistics".parse().unwrap());
    let response = Guarded::new(Inner::default(), principals()).oneshot(twice).await.unwrap();
    assert_eq!(reason(&response), invalid());
}

#[tokio::test]
async fn a_unary_call_ends_in_time_and_a_stream_does_not() {
    let limit = Duration::from_millis(20);
    let hold = Arc::new(Notify::new());
    let inner = Inner { hold: Some(hold.clone()), ..Inner::default() };
    let guarded = Guarded::with_limits(inner, principals(), 1, limit);
    let response = guarded.clone().oneshot(request(WORKER, Some(OPERATOR), None)).await.unwrap();
    assert_eq!(reason(&response), Some((Code::DeadlineExceeded, "DEADLINE_EXCEEDED".to_owned())));
    let stream = tokio::spawn(guarded.oneshot(request(EXCHANGE, Some(PARTNER), None)));
    tokio::time::sleep(limit * 5).await;
    hold.notify_one();
    assert_eq!(reason(&stream.await.unwrap().unwrap()), None);
}

#[tokio::test]
async fn one_call_too_many_is_told_to_come_back() {
    let hold = Arc::new(Notify::new());
    let inner = Inner { hold: Some(hold.clone()), ..Inner::default() };
    let guarded = Guarded::with_limits(inner.clone(), principals(), 1, Duration::from_secs(5));
    let first = tokio::spawn(guarded.clone().oneshot(request(WORKER, Some(OPERATOR), None)));
    while inner.reached.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let second = guarded.clone().oneshot(request(WORKER, Some(OPERATOR), None)).await.unwrap();
    assert_eq!(reason(&second), Some((Code::Unavailable, "OVERLOADED".to_owned())));
    let retry = Status::from_header_map(second.headers()).unwrap().get_details_retry_info();
    assert!(retry.unwrap().retry_delay.is_some());
    hold.notify_one();
    assert_eq!(reason(&first.await.unwrap().unwrap()), None, "its place is free again");
    hold.notify_one();
    assert_eq!(reason(&guarded.oneshot(request(WORKER, Some(OPERATOR), None)).await.unwrap()), None);
}
