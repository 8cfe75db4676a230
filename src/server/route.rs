//! Which request goes where. What is not listed does not exist, and what is listed is closed unless
//! it says otherwise.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::answer::{Answer, json, refused, with_type};
use super::{Phase, Server};
use crate::metrics::Metrics;
use crate::protocol::refusal::{ErrorCode, Refusal};

/// An address of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Connect,
    Live,
    Ready,
    Metrics,
}

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Open,
    Principal,
}

/// Every route. HEAD goes wherever GET goes.
const ROUTES: &[(&str, Method, Route, Access)] = &[
    (
        "/v1/connect",
        Method::GET,
        Route::Connect,
        Access::Principal,
    ),
    ("/live", Method::GET, Route::Live, Access::Open),
    ("/ready", Method::GET, Route::Ready, Access::Open),
    ("/metrics", Method::GET, Route::Metrics, Access::Open),
];

impl Server {
    /// Answers a request. A credential is asked for before anything is told of what exists.
    pub(super) fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        match self.route(request) {
            Ok(answer) => answer,
            Err((refusal, allow)) => {
                self.metrics.refusal(refusal.code);
                let mut answer = refused(&refusal);
                if let Some(allow) = allow {
                    answer.headers_mut().insert(ALLOW, allow);
                }
                answer
            }
        }
    }

    fn route(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Answer, (Refusal, Option<HeaderValue>)> {
        let path = request.uri().path();
        let method = match *request.method() {
            Method::HEAD => Method::GET,
            ref method => method.clone(),
        };
        let here: Vec<_> = ROUTES.iter().filter(|(at, ..)| *at == path).collect();
        let found = here.iter().find(|(_, accepted, ..)| *accepted == method);
        if let Some((_, _, route, Access::Open)) = found {
            return Ok(self.open(*route));
        }
        let refuse = |refusal| (refusal, None);
        self.check_origin(request.headers()).map_err(refuse)?;
        let principal = self
            .principal(request.headers(), request.uri().query())
            .map_err(refuse)?;
        match found {
            Some((_, _, Route::Connect, _)) => self.connect(request, principal).map_err(refuse),
            Some((_, _, route @ (Route::Live | Route::Ready | Route::Metrics), _)) => {
                Ok(self.open(*route))
            }
            None if here.is_empty() => Err((
                Refusal::new(ErrorCode::NotFound, "there is nothing at this address"),
                None,
            )),
            None => Err((
                Refusal::new(
                    ErrorCode::MethodNotAllowed,
                    format!("{method} is not served here"),
                ),
                Some(HeaderValue::from_static("GET, HEAD")),
            )),
        }
    }

    /// Routes that tell nothing about anybody.
    fn open(&self, route: Route) -> Answer {
        let phase = *self.phase.borrow();
        match route {
            Route::Live => status(phase, StatusCode::OK),
            Route::Ready => match phase {
                Phase::Serving => status(phase, StatusCode::OK),
                Phase::Starting | Phase::Draining => status(phase, StatusCode::SERVICE_UNAVAILABLE),
            },
            Route::Metrics | Route::Connect => {
                with_type(StatusCode::OK, Metrics::CONTENT_TYPE, self.metrics.encode())
            }
        }
    }
}

fn status(phase: Phase, status: StatusCode) -> Answer {
    let word = match phase {
        Phase::Starting => "starting",
        Phase::Serving => "ok",
        Phase::Draining => "draining",
    };
    json(status, format!(r#"{{"status":"{word}"}}"#))
}
