//! `GET /v1/connect`: from a request to an attached WebSocket.
//!
//! Everything that can be refused is refused before the upgrade, as HTTP.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::{HeaderMap, Request, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::answer::{Answer, with_type};
use super::listener::Place;
use super::{Counted, Phase, Server};
use crate::auth::{Principal, Scope};
use crate::connection::{self, Attachment};
use crate::ids::{Owner, SessionId, SessionKey};
use crate::metrics::ConnectionGauge;
use crate::protocol::SUBPROTOCOL;
use crate::protocol::refusal::{ErrorCode, Refusal};
use crate::protocol::resume::{Resume, Role, Window};
use crate::session::{Allowance, Missing, Opening};

/// How long a client may take between our 101 and the upgraded stream.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(10);

/// What the query of a connection says.
#[derive(Debug, Default)]
struct Query {
    session: Option<SessionId>,
    owner: Option<String>,
    tenant: Option<String>,
    language: Option<String>,
    resume: Resume,
    role: Role,
    window: Option<Window>,
}

impl Server {
    /// Attaches the caller to a session and upgrades the connection.
    ///
    /// # Errors
    /// Every refusal of the contract, before the upgrade.
    pub(super) fn connect(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
        principal: Principal,
    ) -> Result<Answer, Refusal> {
        let accept = handshake(&request)?;
        let protocol = subprotocol(request.headers())?;
        let query = Query::parse(request.uri().query().unwrap_or_default())?;
        if *self.phase.borrow() == Phase::Draining {
            return Err(Refusal::new(
                ErrorCode::Draining,
                "the gateway is shutting down; try another, or again in a moment",
            ));
        }
        let counted = self.connections.count(&principal.owner, &self.limits)?;
        let attachment = self.attachment(query, principal)?;
        let upgrade = hyper::upgrade::on(&mut request);
        let place = request.extensions_mut().remove::<Place>();
        let gauge = self.metrics.connection();
        tokio::spawn(async move {
            let _held: (Counted, Option<Place>, ConnectionGauge) = (counted, place, gauge);
            // A client that gives up between the 101 and here was never attached.
            if let Ok(Ok(upgraded)) = tokio::time::timeout(UPGRADE_PATIENCE, upgrade).await {
                connection::serve(TokioIo::new(upgraded), attachment).await;
            }
        });
        let mut answer = with_type(StatusCode::SWITCHING_PROTOCOLS, "text/plain", String::new());
        let headers = answer.headers_mut();
        headers.clear();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        Ok(answer)
    }

    fn attachment(&self, query: Query, principal: Principal) -> Result<Attachment, Refusal> {
        let owner = authorize(&query, &principal)?;
        let limits = principal.lowered.lower(&self.limits);
        let key = SessionKey {
            owner,
            id: query.session.unwrap_or_else(SessionId::random),
        };
        let missing = match query.role {
            Role::Writer => Missing::Create,
            Role::Viewer => Missing::Refuse,
        };
        let session = self.sessions.open(Opening {
            key,
            language: query.language,
            missing,
            limits: limits.clone(),
        })?;
        let timeout_max = Duration::from_secs_f64(principal.lowered.timeout_seconds_max());
        let timeout_default = Duration::from_secs_f64(limits.timeout_seconds_default);
        Ok(Attachment {
            session,
            role: query.role,
            resume: query.resume,
            window: query.window,
            allowance: Allowance {
                timeout_max,
                timeout_default: timeout_default.min(timeout_max),
                fuel_max: principal.lowered.fuel,
            },
            principal,
            limits: Arc::new(limits),
            verifier: self.verifier.clone(),
            leave: self.leave.clone(),
        })
    }
}

/// Whose session the caller may reach, in this role.
fn authorize(query: &Query, principal: &Principal) -> Result<Owner, Refusal> {
    let may = |scope| principal.scopes.contains(scope);
    let forbidden = |message: &str| Refusal::new(ErrorCode::Forbidden, message.to_owned());
    let own = &principal.owner;
    let owner = Owner {
        tenant: query.tenant.clone().or_else(|| own.tenant.clone()),
        subject: query.owner.clone().unwrap_or_else(|| own.subject.clone()),
    };
    if may(Scope::Admin) {
        return Ok(owner);
    }
    if owner == *own {
        return match query.role {
            Role::Writer if may(Scope::Session) => Ok(owner),
            Role::Viewer if may(Scope::Session) || may(Scope::SessionRead) => Ok(owner),
            Role::Writer => Err(forbidden("this token lacks the scope session")),
            Role::Viewer => Err(forbidden("this token lacks the scope session:read")),
        };
    }
    if owner.tenant != own.tenant || own.tenant.is_none() {
        return Err(forbidden("sessions of another tenant need the scope admin"));
    }
    match query.role {
        Role::Viewer if may(Scope::SessionRead) => Ok(owner),
        Role::Viewer => Err(forbidden(
            "watching another subject's session needs the scope session:read",
        )),
        Role::Writer => Err(forbidden(
            "another subject's session can be attached as viewer only, or with the scope admin",
        )),
    }
}

/// Checks the WebSocket handshake and returns the answer to its key.
fn handshake(request: &Request<Incoming>) -> Result<HeaderValue, Refusal> {
    let bad = |message: &str| Refusal::new(ErrorCode::BadRequest, message.to_owned());
    let headers = request.headers();
    let has = |name: HeaderName, word: &str| {
        headers.get_all(name).iter().any(|value| {
            value
                .to_str()
                .is_ok_and(|list| list.split(',').any(|w| w.trim().eq_ignore_ascii_case(word)))
        })
    };
    if request.version() != Version::HTTP_11
        || !has(CONNECTION, "upgrade")
        || !has(UPGRADE, "websocket")
    {
        return Err(bad(
            "this address speaks WebSocket: send an HTTP/1.1 upgrade",
        ));
    }
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        return Err(bad("Sec-WebSocket-Version must be 13"));
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .filter(|key| key.len() == 24)
        .ok_or_else(|| bad("Sec-WebSocket-Key must be 16 bytes in base64"))?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| bad("Sec-WebSocket-Key is malformed"))
}

/// The subprotocol to answer with: ours if it was offered, none if none was.
fn subprotocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    let offered: Vec<&str> = headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !name.starts_with("base64url.bearer."))
        .collect();
    if offered.contains(&SUBPROTOCOL) {
        return Ok(Some(HeaderValue::from_static(SUBPROTOCOL)));
    }
    if offered.is_empty() {
        return Ok(None);
    }
    Err(Refusal::new(
        ErrorCode::BadRequest,
        format!("none of the offered subprotocols is known; known: {SUBPROTOCOL}"),
    ))
}

impl Query {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "session" => parsed.session = Some(value.parse().map_err(Refusal::from)?),
                "owner" => parsed.owner = Some(value.into_owned()),
                "tenant" => parsed.tenant = Some(value.into_owned()),
                "language" => parsed.language = Some(value.into_owned()),
                "after" => parsed.resume = value.parse()?,
                "role" => parsed.role = value.parse()?,
                "window" => parsed.window = Some(value.parse()?),
                // Tickets come with the HTTP calls that sell them.
                "ticket" => {
                    return Err(Refusal::new(
                        ErrorCode::Unauthorized,
                        "this gateway sells no tickets yet; send a token",
                    ));
                }
                _ => {}
            }
        }
        Ok(parsed)
    }
}
