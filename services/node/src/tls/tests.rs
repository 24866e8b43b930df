//! Two parties on loopback with certificates of real authorities: who is let in, who is not, and
//! why.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use convenio_model::Identity;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tower::{Service, ServiceExt};

use super::*;
use crate::pki::{Authority, CertRequest, Issued, Usage};

const DAY: Duration = Duration::from_secs(86_400);
const SV: &str = "sv.example";
const CA: &str = "ca.example";

/// rustls reads the machine's clock, so the certificates are made around it.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(UnixTime::now().as_secs())
}

/// Two authorities, and a folder for the files issued.
struct World {
    dir: TempDir,
    sv: Authority,
    ca: Authority,
}

impl World {
    fn new() -> Self {
        let create = |domain| Authority::create(domain, now() - DAY, now() + 10 * DAY).unwrap();
        let world = Self { dir: TempDir::new().unwrap(), sv: create(SV), ca: create(CA) };
        fs::write(world.path("sv-ca.pem"), world.sv.certificate()).unwrap();
        fs::write(world.path("ca-ca.pem"), world.ca.certificate()).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Issues and writes; the material believes both authorities, `own` being that of `domain`.
    fn issue(&self, authority: &Authority, domain: &str, request: &CertRequest) -> TlsMaterial {
        let name = request.uri.replace(['/', ':'], "_");
        let issued = authority.issue(request).unwrap();
        let (certificate, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.sk.pem")));
        fs::write(&certificate, issued.certificate).unwrap();
        fs::write(&key, issued.key).unwrap();
        let (own_ca, partner) =
            if domain == SV { ("sv-ca.pem", (CA, "ca-ca.pem")) } else { ("ca-ca.pem", (SV, "sv-ca.pem")) };
        TlsMaterial {
            certificate,
            key,
            own_ca: self.path(own_ca),
            own_trust_domain: domain.to_owned(),
            partner_cas: vec![(partner.0.to_owned(), self.path(partner.1))],
            crls: Vec::new(),
        }
    }

    fn sv_node(&self) -> LoadedTls {
        self.issue(&self.sv, SV, &node(SV, "sv")).load().unwrap()
    }

    fn ca_node(&self) -> LoadedTls {
        self.issue(&self.ca, CA, &node(CA, "ca")).load().unwrap()
    }
}

fn client(uri: &str) -> CertRequest {
    CertRequest {
        uri: uri.to_owned(),
        dns: Vec::new(),
        ip: Vec::new(),
        not_before: now() - DAY,
        not_after: now() + DAY,
        usage: Usage::Client,
    }
}

fn node(domain: &str, state: &str) -> CertRequest {
    CertRequest {
        dns: vec![format!("node.{domain}")],
        usage: Usage::Both,
        ..client(&format!("spiffe://{domain}/node/{state}"))
    }
}

/// A running server of El Salvador that answers with the caller it saw.
struct Server {
    addr: SocketAddr,
    tls: Arc<LiveTls>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// Told when a request that never ends has reached the service; for the one test that sends one.
static REACHED: Notify = Notify::const_new();

async fn who(request: http::Request<hyper::body::Incoming>) -> Result<http::Response<String>, Infallible> {
    if request.uri().path() == "/never" {
        REACHED.notify_one();
        std::future::pending::<()>().await;
    }
    let caller = request.extensions().get::<Arc<Identity>>().unwrap().to_string();
    Ok(http::Response::builder().header("caller", caller).body(String::new()).unwrap())
}

fn everybody() -> Known {
    Arc::new(|_| true)
}

async fn start(tls: &LoadedTls, limits: ServeLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let tls = LiveTls::new(tls.clone()).unwrap();
    let shutdown = CancellationToken::new();
    let service = tower::service_fn(who);
    let task = tokio::spawn(serve(listener, tls.clone(), everybody(), service, limits, shutdown.clone()));
    Server { addr, tls, shutdown, task }
}

impl Server {
    async fn channel(&self, tls: &LoadedTls) -> Result<Channel, ConnectError> {
        let config = Arc::new(tls.client_config(SV).unwrap());
        connect(&self.addr.to_string(), "node.sv.example", config).await
    }

    /// The caller the server saw, or the error.
    async fn seen(&self, tls: &LoadedTls) -> Result<String, String> {
        let mut channel = self.channel(tls).await.map_err(|error| error.to_string())?;
        ask(&mut channel, "/who").await
    }

    /// Whether a raw handshake with this configuration ends without one byte for the client.
    async fn refuses(&self, config: ClientConfig) -> bool {
        let name = ServerName::try_from("node.sv.example").unwrap();
        match connect_stream(&self.addr.to_string(), name, Arc::new(config)).await {
            Err(_) => true,
            // In TLS 1.3 the client finishes before the server has looked at its certificate.
            Ok(mut stream) => {
                let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
                !matches!(stream.read(&mut [0; 16]).await, Ok(1..))
            }
        }
    }
}

async fn ask(channel: &mut Channel, path: &str) -> Result<String, String> {
    let request = http::Request::post(path).body(tonic::body::Body::empty()).unwrap();
    let channel = channel.ready().await.map_err(|error| error.to_string())?;
    let answer = channel.call(request).await.map_err(|error| error.to_string())?;
    Ok(answer.headers()["caller"].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn callers_of_both_states_are_let_in_and_named() {
    let world = World::new();
    let server = start(&world.sv_node(), ServeLimits::default()).await;
    assert_eq!(server.seen(&world.ca_node()).await.unwrap(), "spiffe://ca.example/node/ca");
    let post = "spiffe://sv.example/consulate/mre/toronto";
    let consulate = world.issue(&world.sv, SV, &client(post)).load().unwrap();
    assert_eq!(server.seen(&consulate).await.unwrap(), post);
}

#[tokio::test]
async fn each_bad_certificate_is_refused_for_its_own_reason() {
    let world = World::new();
    let stranger = Authority::create("xx.example", now() - DAY, now() + DAY).unwrap();
    let impostor = Authority::create(SV, now() - DAY, now() + DAY).unwrap();
    let operator = "spiffe://sv.example/operator/mtps";
    let past = CertRequest { not_before: now() - 3 * DAY, not_after: now() - DAY, ..client(operator) };
    let future = CertRequest { not_before: now() + DAY, not_after: now() + 2 * DAY, ..client(operator) };
    let server_only = CertRequest { usage: Usage::Server, ..client(operator) };
    let foreign = client("spiffe://xx.example/operator/a");
    let cases = [
        ("CERTIFICATE_EXPIRED", &world.sv, SV, past),
        ("CERTIFICATE_NOT_YET_VALID", &world.sv, SV, future),
        ("CERTIFICATE_PURPOSE", &world.sv, SV, server_only),
        ("CERTIFICATE_AUTHORITY", &impostor, SV, client(operator)),
        // The partner's authority is believed, but not about El Salvador.
        ("CERTIFICATE_AUTHORITY", &world.ca, SV, client(operator)),
        ("TRUST_DOMAIN_UNKNOWN", &stranger, "xx.example", foreign),
        ("SPIFFE_ID_INVALID", &world.sv, SV, client("spiffe://sv.example/Operator/mtps")),
        ("SPIFFE_ID_INVALID", &world.sv, SV, client("https://sv.example/operator/mtps")),
    ];
    let node = world.sv_node();
    let server = start(&node, ServeLimits::default()).await;
    for (reason, authority, domain, request) in cases {
        let issued = authority.issue(&request).unwrap();
        assert!(server.refuses(showing(&world, &issued)).await, "{reason} {domain}");
        let leaf = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
        let error = node.trust_domain_verifier().unwrap().verify_client_cert(&leaf, &[], UnixTime::now());
        assert_eq!(verify::reason(&error.unwrap_err()), reason);
    }
}

#[tokio::test]
async fn no_certificate_and_tls_1_2_are_refused_and_the_same_client_with_both_right_is_not() {
    let world = World::new();
    let server = start(&world.sv_node(), ServeLimits::default()).await;
    let issued = world.sv.issue(&client("spiffe://sv.example/operator/mtps")).unwrap();
    assert!(!server.refuses(showing(&world, &issued)).await);
    assert!(server.refuses(raw(&world, &version::TLS13, None)).await);
    assert!(server.refuses(raw(&world, &version::TLS12, Some(&issued))).await);
}

#[tokio::test]
async fn a_refusal_is_logged_with_its_reason_and_without_the_name() {
    let world = World::new();
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = start(&world.sv_node(), ServeLimits::default()).await;
    let issued = world.ca.issue(&client("spiffe://sv.example/operator/canary")).unwrap();
    assert!(server.refuses(showing(&world, &issued)).await);
    // tracing asks once whether a log line interests anyone, and it may have asked on the thread of
    // another test, which has no subscriber. By now the line is known: ask again here.
    tracing::callsite::rebuild_interest_cache();
    assert!(server.refuses(showing(&world, &issued)).await);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("WARN") && text.contains("CERTIFICATE_AUTHORITY"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}

/// Log lines, kept.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A client that shows what it is told to, and believes El Salvador.
fn showing(world: &World, issued: &Issued) -> ClientConfig {
    raw(world, &version::TLS13, Some(issued))
}

fn raw(world: &World, version: &'static rustls::SupportedProtocolVersion, issued: Option<&Issued>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let ca = world.sv.certificate();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match issued {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[tokio::test]
async fn a_client_refuses_a_server_that_is_not_the_node_it_meant() {
    let world = World::new();
    let caller = world.ca_node();
    let operator = "spiffe://sv.example/operator/mtps";
    let named = |uri: &str| CertRequest { uri: uri.to_owned(), ..node(SV, "sv") };
    let elsewhere = CertRequest { dns: vec!["other.sv.example".to_owned()], ..node(SV, "sv") };
    let cases = [
        (&world.sv, named(operator), "NOT_THE_NODE"),
        (&world.ca, named("spiffe://ca.example/node/ca"), "NOT_THE_NODE"),
        (&world.ca, node(SV, "sv"), "authority of its trust domain"),
        (&world.sv, elsewhere, "SERVER_NAME"),
    ];
    for (authority, request, expected) in cases {
        let domain = if request.uri.contains(CA) { CA } else { SV };
        let tls = world.issue(authority, domain, &request).load().unwrap();
        let server = start(&tls, ServeLimits::default()).await;
        let error = server.channel(&caller).await.map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&server.addr.to_string()), "{error}");
    }
}

#[tokio::test]
async fn a_stored_configuration_counts_for_the_next_handshake() {
    let world = World::new();
    let server = start(&world.sv_node(), ServeLimits::default()).await;
    let caller = world.ca_node();
    server.seen(&caller).await.unwrap();
    let mut alone = world.issue(&world.sv, SV, &node(SV, "sv"));
    alone.partner_cas.clear();
    server.tls.replace(alone.load().unwrap()).unwrap();
    assert!(server.seen(&caller).await.is_err());
}

#[tokio::test]
async fn one_connection_too_many_and_a_silent_client_are_closed() {
    let world = World::new();
    let limits =
        ServeLimits { max_connections: 1, handshake_timeout: Duration::from_secs(1), ..ServeLimits::default() };
    let server = start(&world.sv_node(), limits).await;
    let caller = world.ca_node();
    let mut silent = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    assert!(server.seen(&caller).await.is_err(), "the only place is taken");
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed at the handshake's limit");
    // The place is free again as soon as the server's task has ended.
    let started = Instant::now();
    while server.seen(&caller).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn shutdown_waits_for_the_grace_and_no_longer() {
    let world = World::new();
    let grace = Duration::from_millis(300);
    let server = start(&world.sv_node(), ServeLimits { grace, ..ServeLimits::default() }).await;
    let caller = world.ca_node();
    let mut channel = server.channel(&caller).await.unwrap();
    ask(&mut channel, "/who").await.unwrap();
    let endless = tokio::spawn(async move { ask(&mut channel, "/never").await });
    REACHED.notified().await;
    let started = Instant::now();
    server.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap();
    assert!(started.elapsed() >= grace);
    assert!(endless.await.unwrap().is_err());
}

#[tokio::test]
async fn tonic_services_are_served_through_their_router() {
    let world = World::new();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let service = tonic::service::Routes::new(health).into_axum_router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tls = LiveTls::new(world.sv_node()).unwrap();
    let shutdown = CancellationToken::new();
    let limits = ServeLimits::default();
    let task = tokio::spawn(serve(listener, tls, everybody(), service, limits, shutdown.clone()));
    let config = Arc::new(world.ca_node().client_config(SV).unwrap());
    let channel = connect_lazy(&address, "node.sv.example", config).unwrap();
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
    let answer = client.check(request).await.unwrap().into_inner();
    assert_eq!(answer.status, tonic_health::pb::health_check_response::ServingStatus::Serving as i32);
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(2), task).await.expect("idle: no grace").unwrap();
}

#[test]
fn files_that_do_not_fit_are_named() {
    let world = World::new();
    let good = world.issue(&world.sv, SV, &node(SV, "sv"));
    let other = world.issue(&world.ca, CA, &node(CA, "ca"));
    let text = fs::read_to_string(&good.certificate).unwrap();
    let half = write(&world, "half.pem", &text[..text.len() / 2]);
    let short_der = text.lines().take(3).chain(["-----END CERTIFICATE-----"]).collect::<Vec<_>>();
    let short = write(&world, "short.pem", &short_der.join("\n"));
    let key = fs::read_to_string(&good.key).unwrap();
    let half_key = write(&world, "half.sk.pem", &key[..key.len() / 2]);
    let huge = write(&world, "huge.pem", &"-".repeat(300 * 1024));
    let empty = write(&world, "empty.pem", "");
    let with = |change: &dyn Fn(&mut TlsMaterial)| {
        let mut material = good.clone();
        change(&mut material);
        material.load().map(drop).unwrap_err().to_string()
    };
    let cases = [
        ("absent.pem", "cannot be read", with(&|m| m.certificate = world.path("absent.pem"))),
        ("half.pem", "truncated certificate", with(&|m| m.certificate = half.clone())),
        ("short.pem", "truncated or malformed", with(&|m| m.certificate = short.clone())),
        ("huge.pem", "larger than", with(&|m| m.own_ca = huge.clone())),
        ("empty.pem", "no PEM certificate", with(&|m| m.own_ca = empty.clone())),
        ("half.sk.pem", "truncated private key", with(&|m| m.key = half_key.clone())),
        ("empty.pem", "no PEM private key", with(&|m| m.key = empty.clone())),
        ("ca.example_node_ca.sk.pem", "not the key", with(&|m| m.key = other.key.clone())),
        ("node_sv.pem", "not an authority", with(&|m| m.own_ca = good.certificate.clone())),
        ("node_sv.pem", "own trust domain", with(&|m| m.own_trust_domain = CA.to_owned())),
        ("ca-ca.pem", "already has", with(&|m| m.partner_cas[0].0 = SV.to_owned())),
    ];
    for (file, problem, error) in cases {
        let (named, said) = error.split_once(": ").unwrap();
        assert!(named.ends_with(file) && said.contains(problem), "{file} {problem}: {error}");
    }
}

#[test]
fn an_own_chain_that_peers_would_refuse_is_named() {
    let world = World::new();
    let past = CertRequest { not_before: now() - 3 * DAY, not_after: now() - DAY, ..node(SV, "sv") };
    let expired = world.issue(&world.sv, SV, &past).load().unwrap();
    let error = expired.check_own_chain().unwrap_err().to_string();
    assert!(error.contains("node_sv.pem: the certificate has expired"), "{error}");
    let foreign = world.issue(&world.ca, SV, &node(SV, "sv")).load().unwrap();
    let error = foreign.check_own_chain().unwrap_err().to_string();
    assert!(error.contains("not issued by the authority"), "{error}");
    world.sv_node().check_own_chain().unwrap();
}

fn write(world: &World, name: &str, text: &str) -> PathBuf {
    let path: PathBuf = Path::join(world.dir.path(), name);
    fs::write(&path, text).unwrap();
    path
}
