//! HTTP answers: one place where refusals become responses.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use crate::protocol::refusal::{ErrorCode, Refusal};

pub(super) type Answer = Response<Full<Bytes>>;

/// Seconds after which a refused client may try again.
const RETRY_AFTER_SECONDS: &str = "1";

/// A refusal, with the status the one table gives it.
pub(super) fn refused(refusal: &Refusal) -> Answer {
    let status = StatusCode::from_u16(refusal.code.http_status())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json(status, refusal.to_http_body());
    let headers = answer.headers_mut();
    match refusal.code {
        ErrorCode::Unauthorized => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        ErrorCode::QueueFull
        | ErrorCode::QuotaExceeded
        | ErrorCode::RateLimited
        | ErrorCode::Draining
        | ErrorCode::Unavailable => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
        }
        ErrorCode::BadRequest
        | ErrorCode::UnknownType
        | ErrorCode::InvalidCode
        | ErrorCode::InvalidTimeout
        | ErrorCode::Forbidden
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::Conflict
        | ErrorCode::TooLarge
        | ErrorCode::UnsupportedMediaType
        | ErrorCode::Internal => {}
    }
    answer
}

pub(super) fn json(status: StatusCode, body: String) -> Answer {
    with_type(status, "application/json", body)
}

pub(super) fn with_type(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
