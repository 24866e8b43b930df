//! A plain HTTP/1.1 client over mTLS, one request a connection, that knows nothing of the node's own code.

use std::net::SocketAddr;
use std::sync::Arc;

use convenio_node::tls::{LoadedTls, connect_stream};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::site::domain;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Status; 0 if the connection ended without one.
    pub status: u16,
    /// Lines of the head below the status, in lower case.
    pub head: String,
    /// Body.
    pub body: Vec<u8>,
}

impl Answered {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

/// Asks `party`'s node at `address` as whoever `tls` names.
pub async fn ask(party: &str, address: SocketAddr, tls: &LoadedTls, method: &str, path: &str, body: &str) -> Answered {
    let mut config = tls.client_config(&domain(party)).unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = format!("node.{party}.example");
    let server = ServerName::try_from(name.clone()).unwrap();
    let Ok(mut stream) = connect_stream(&address.to_string(), server, Arc::new(config)).await else {
        return Answered { status: 0, head: String::new(), body: Vec::new() };
    };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut bytes = Vec::new();
    // A server that refuses the certificate ends the connection: whatever came until then is the answer.
    if stream.write_all(request.as_bytes()).await.is_ok() {
        let _ = stream.read_to_end(&mut bytes).await;
    }
    parse(&bytes)
}

pub(crate) fn parse(bytes: &[u8]) -> Answered {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = bytes.get(end + 4..).unwrap_or_default().to_vec();
    Answered { status, head, body }
}
