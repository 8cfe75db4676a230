//! Who asks: the credential of a request, by the order of the contract.

use std::time::SystemTime;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};

use super::Server;
use crate::auth::{self, Principal};
use crate::protocol::refusal::{ErrorCode, Refusal};

impl Server {
    /// The caller of a request.
    ///
    /// # Errors
    /// `bad_request` for a token in the query, `unauthorized` for none or a bad one.
    pub(super) fn principal(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<Principal, Refusal> {
        if let Some(name) = query.and_then(auth::query_token_name) {
            return Err(Refusal::new(
                ErrorCode::BadRequest,
                format!(
                    "a token in the query ({name}) ends up in logs; send it as a header or as the \
                     subprotocol base64url.bearer.authorization.weir.<token>"
                ),
            ));
        }
        let unauthorized = |message: String| Refusal::new(ErrorCode::Unauthorized, message);
        let values = |name| {
            let all: hyper::header::GetAll<'_, HeaderValue> = headers.get_all(name);
            all.iter().map(HeaderValue::as_bytes)
        };
        let from_header = auth::from_authorization(values(AUTHORIZATION))
            .map_err(|malformed| unauthorized(malformed.to_string()))?
            .map(str::to_owned);
        let token = match from_header {
            Some(token) => Some(token),
            None => auth::from_subprotocols(values(SEC_WEBSOCKET_PROTOCOL))
                .map_err(|malformed| unauthorized(malformed.to_string()))?,
        };
        let token = token.ok_or_else(|| {
            unauthorized("no credential; send Authorization: Bearer <token>".into())
        })?;
        let verifier = self.verifier.borrow().clone();
        verifier
            .verify(&token, SystemTime::now())
            .map_err(|refused| unauthorized(refused.to_string()))
    }

    /// Refuses pages of origins that are not allowed. Programs send no `Origin`.
    ///
    /// # Errors
    /// `forbidden`.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        for origin in headers.get_all(ORIGIN) {
            let allowed = origin
                .to_str()
                .is_ok_and(|origin| self.origins.allows(origin, host));
            if !allowed {
                let shown: String = String::from_utf8_lossy(origin.as_bytes())
                    .chars()
                    .take(80)
                    .collect();
                return Err(Refusal::new(
                    ErrorCode::Forbidden,
                    format!("origin {shown:?} is not allowed; see WEIR_ALLOWED_ORIGINS"),
                ));
            }
        }
        Ok(())
    }
}
