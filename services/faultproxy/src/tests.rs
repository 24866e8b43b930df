use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::{Direction, FaultProxy};

const SOON: Duration = Duration::from_secs(5);
/// Long enough for a byte to cross loopback if nothing held it.
const QUIET: Duration = Duration::from_millis(100);

/// A server that sends back what it gets, each byte plus `add`.
async fn echo(add: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = [0; 1024];
                while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                    bytes[..length].iter_mut().for_each(|b| *b += add);
                    if stream.write_all(&bytes[..length]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    addr
}

async fn client(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.addr()).await.unwrap()
}

async fn ask(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut answer = vec![0; text.len()];
    timeout(SOON, stream.read_exact(&mut answer)).await.expect("no answer")?;
    Ok(answer)
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    timeout(SOON, stream.read_u8()).await.expect("still open").is_err()
}

#[tokio::test]
async fn bytes_are_carried_and_counted() {
    let proxy = FaultProxy::start(echo(0).await).await.unwrap();
    let mut stream = client(&proxy).await;
    assert_eq!(ask(&mut stream, b"hello").await.unwrap(), b"hello");
    assert_eq!(proxy.forwarded(Direction::ToServer), 5);
    assert_eq!(proxy.forwarded(Direction::ToClient), 5);
    stream.shutdown().await.unwrap();
    assert!(is_closed(&mut stream).await, "the end of stream is passed on");
}

#[tokio::test]
async fn a_cut_closes_open_and_new_connections_until_healed() {
    let proxy = FaultProxy::start(echo(0).await).await.unwrap();
    let mut open = client(&proxy).await;
    ask(&mut open, b"a").await.unwrap();
    proxy.cut();
    assert!(proxy.is_cut());
    assert!(is_closed(&mut open).await);
    assert!(is_closed(&mut client(&proxy).await).await);
    proxy.heal();
    assert_eq!(ask(&mut client(&proxy).await, b"b").await.unwrap(), b"b");
}

#[tokio::test]
async fn a_pause_holds_bytes_and_gives_them_back() {
    let proxy = FaultProxy::start(echo(0).await).await.unwrap();
    let mut stream = client(&proxy).await;
    ask(&mut stream, b"a").await.unwrap();
    proxy.pause();
    stream.write_all(b"b").await.unwrap();
    assert!(timeout(QUIET, stream.read_u8()).await.is_err());
    assert_eq!(proxy.forwarded(Direction::ToServer), 1);
    proxy.heal();
    assert_eq!(timeout(SOON, stream.read_u8()).await.unwrap().unwrap(), b'b');
}

#[tokio::test]
async fn a_delay_holds_each_direction_back_without_throttling() {
    let proxy = FaultProxy::start(echo(0).await).await.unwrap();
    let mut stream = client(&proxy).await;
    ask(&mut stream, b"a").await.unwrap();
    proxy.delay(Duration::from_millis(60));
    let start = Instant::now();
    ask(&mut stream, b"b").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(120));
    let start = Instant::now();
    for _ in 0..20 {
        stream.write_all(b"c").await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stream.read_exact(&mut [0; 20]).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(20 * 60), "delays must overlap");
}

#[tokio::test]
async fn exactly_the_allowed_bytes_arrive_then_the_link_is_cut() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        let proxy = FaultProxy::start(echo(0).await).await.unwrap();
        let mut stream = client(&proxy).await;
        ask(&mut stream, b"a").await.unwrap();
        proxy.drop_after(3, direction);
        stream.write_all(b"12345").await.unwrap();
        let mut answer = Vec::new();
        // Cut in the direction of the server, the echo of what did arrive may be lost with it.
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("still open");
        if direction == Direction::ToClient {
            assert_eq!(answer, b"123");
        }
        assert_eq!(proxy.forwarded(direction), 1 + 3);
        assert!(proxy.is_cut());
        assert!(is_closed(&mut client(&proxy).await).await);
    }
}

#[tokio::test]
async fn lost_answers_never_come_and_requests_do_arrive() {
    let proxy = FaultProxy::start(echo(0).await).await.unwrap();
    let mut stream = client(&proxy).await;
    ask(&mut stream, b"a").await.unwrap();
    proxy.lose_answers();
    stream.write_all(b"bc").await.unwrap();
    assert!(timeout(QUIET, stream.read_u8()).await.is_err());
    assert_eq!(proxy.forwarded(Direction::ToServer), 3);
    assert_eq!(proxy.forwarded(Direction::ToClient), 1);
    proxy.heal();
    assert!(is_closed(&mut stream).await, "a stream with a hole must not go on");
    assert_eq!(ask(&mut client(&proxy).await, b"d").await.unwrap(), b"d");
}

#[tokio::test]
async fn later_connections_go_to_the_new_upstream() {
    let proxy = FaultProxy::start(echo(0).await).await.unwrap();
    assert_eq!(ask(&mut client(&proxy).await, b"a").await.unwrap(), b"a");
    proxy.retarget(echo(1).await);
    assert_eq!(ask(&mut client(&proxy).await, b"a").await.unwrap(), b"b");
}

#[tokio::test]
async fn dropping_the_proxy_closes_everything() {
    let proxy = FaultProxy::start(echo(0).await).await.unwrap();
    let mut stream = client(&proxy).await;
    ask(&mut stream, b"a").await.unwrap();
    let addr = proxy.addr();
    drop(proxy);
    assert!(is_closed(&mut stream).await);
    let refused = async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, refused).await.expect("the port is still open");
}
