//! Guests.
pub mod mapping;
pub mod module;
