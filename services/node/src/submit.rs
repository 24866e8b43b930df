//! The way to witnesses: HTTP/1.1, one request a connection, everything bounded. Plain on loopback, TLS elsewhere, and to a
//! partner over the mTLS that both know each other by.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use convenio_exchange::witness::submit::{Post, Posted, Scope, Target, WitnessKey};
use convenio_log::witness::{ADD_CHECKPOINT, MAX_ANSWER_LEN};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{Config, PartnerConfig, WitnessConfig, WitnessUrl};
use crate::tls::{LiveTls, connect_stream};

/// Longest submission, from the dial to the last byte.
const LIMIT: Duration = Duration::from_secs(20);
/// Shortest time between two rounds of submissions to a partner's witness.
const PARTNER_INTERVAL: Duration = Duration::from_secs(60);

/// Every witness of a node: those of the configuration, and of each partner with an address for the journal.
pub(crate) fn targets(config: &Config, tls: &Arc<LiveTls>) -> Vec<Target> {
    let configured = config.witnesses.iter().map(target);
    let partners = config.partners.iter().filter_map(|partner| of_partner(partner, tls));
    configured.chain(partners).collect()
}

fn target(witness: &WitnessConfig) -> Target {
    Target {
        name: witness.name.clone(),
        key: WitnessKey::Fixed(witness.key.clone()),
        scope: Scope::All,
        interval: witness.interval,
        post: Arc::new(Configured(witness.url.clone())),
    }
}

fn of_partner(partner: &PartnerConfig, tls: &Arc<LiveTls>) -> Option<Target> {
    let post = Partner {
        address: partner.address.clone()?,
        node: partner.node.clone(),
        trust_domain: partner.trust_domain.clone(),
        tls: tls.clone(),
    };
    Some(Target {
        name: partner.node.clone(),
        key: WitnessKey::Partner(partner.node.clone()),
        scope: Scope::Journal,
        interval: PARTNER_INTERVAL,
        post: Arc::new(post),
    })
}

struct Configured(WitnessUrl);

impl Post for Configured {
    fn post(&self, body: String) -> BoxFuture<'_, Result<Posted, String>> {
        let WitnessUrl { authority, path, tls } = &self.0;
        bounded(async move {
            match tls {
                None => exchange(TcpStream::connect(authority).await?, authority, path, body).await,
                Some(server) => {
                    let stream = connect_stream(authority, server.name.clone(), server.config.clone()).await?;
                    exchange(stream, authority, path, body).await
                }
            }
        })
    }
}

struct Partner {
    address: String,
    node: String,
    trust_domain: String,
    tls: Arc<LiveTls>,
}

impl Post for Partner {
    fn post(&self, body: String) -> BoxFuture<'_, Result<Posted, String>> {
        bounded(async move {
            let mut config =
                ClientConfig::clone(&*self.tls.client_config(&self.trust_domain).map_err(io::Error::other)?);
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            let name = ServerName::try_from(self.node.clone()).map_err(io::Error::other)?;
            let stream = connect_stream(&self.address, name, Arc::new(config)).await?;
            exchange(stream, &self.node, &format!("/{ADD_CHECKPOINT}"), body).await
        })
    }
}

fn bounded<'p>(post: impl Future<Output = io::Result<Posted>> + Send + 'p) -> BoxFuture<'p, Result<Posted, String>> {
    async move {
        match timeout(LIMIT, post).await {
            Ok(posted) => posted.map_err(|error| error.kind().to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }
    .boxed()
}

async fn exchange<S>(stream: S, host: &str, path: &str, body: String) -> io::Result<Posted>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        posted(response).await
    };
    tokio::pin!(connection, answered);
    tokio::select! {
        answer = &mut answered => answer,
        // The connection may end before its last body bytes are taken.
        _ = &mut connection => answered.await,
    }
}

async fn posted(response: Response<Incoming>) -> io::Result<Posted> {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), MAX_ANSWER_LEN).collect().await.map_err(io::Error::other)?;
    Ok(Posted { status, content_type, body: body.to_bytes().to_vec() })
}
