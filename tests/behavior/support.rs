//! What the behavior tests share: a real gateway, tokens for it, and clients that wait with a
//! deadline. Knows the wire contract and nothing of the gateway's inside.

pub mod certificate;
pub mod client;
pub mod connect;
pub mod gateway;
pub mod http;
pub mod seed;
pub mod spawner;
pub mod token;
pub mod turn;

pub use self::client::Client;
pub use self::connect::{Connect, Role};
pub use self::gateway::{Gateway, User};
pub use self::turn::Turn;
