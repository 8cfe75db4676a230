//! Accepting connections, bounded, and serving HTTP on them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{debug, warn};

use super::Server;
use super::tls::ServerTls;

/// How long a client may take to send a request's head.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How long a client may take for its TLS handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// A pause after the kernel had no descriptor for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often an idle HTTP/2 connection is asked whether it lives; it has 20 s to answer.
const IDLE_PING: Duration = Duration::from_secs(30);
/// A request's head, headers included.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// Connections beyond `connections_max`, so that a full gateway can still say so.
const SPARE_PLACES: usize = 256;

/// Accepts connections until the task is dropped. Beyond `connections_max` and some more they wait
/// in the kernel's queue, where they cost nothing here.
pub async fn serve(server: Arc<Server>, listener: TcpListener, tls: Option<ServerTls>) {
    let places = Arc::new(Semaphore::new(server.limits.connections_max + SPARE_PLACES));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (server, tls) = (server.clone(), tls.clone());
                tokio::spawn(accept(server, stream, tls, Place(Arc::new(place))));
            }
            Err(error) => {
                warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// A connection's place among those that are accepted. An upgraded connection takes it along, as the
/// HTTP connection it came from ends then.
#[derive(Clone)]
pub(super) struct Place(
    #[expect(dead_code, reason = "held, never read")] Arc<OwnedSemaphorePermit>,
);

async fn accept(server: Arc<Server>, stream: TcpStream, tls: Option<ServerTls>, place: Place) {
    // Without this a small frame may wait 40 ms for the acknowledgement of the one before.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match tls {
        None => http(server, stream, place).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => http(server, stream, place).await,
            Ok(Err(error)) => debug!(%error, "a tls handshake failed"),
            Err(_) => debug!("a tls handshake took too long"),
        },
    }
}

async fn http<S>(server: Arc<Server>, stream: S, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asked = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let asked = asked.clone();
        move |mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(place.clone());
            let answer = server.answer(request);
            async move { Ok::<_, Infallible>(answer) }
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(IDLE_PING)
        .max_header_list_size(HEAD_BYTES_MAX as u32);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::select! {
        served = connection => if let Err(error) = served {
            debug!(%error, "a connection ended badly");
        },
        () = overdue(&asked) => debug!("a connection asked for nothing"),
    }
}

/// Ends when the first request has not come in time. HTTP's own timer begins only once the version
/// of HTTP is known, which a client can put off for ever.
async fn overdue(asked: &AtomicBool) {
    tokio::time::sleep(HEAD_PATIENCE).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
