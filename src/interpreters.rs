//! The catalogue of interpreters, and how their files come to this machine.
//!
//! A manifest says which interpreters there are and which package carries each; a lock pins every
//! byte. [`Artifacts::ensure`] turns an entry into verified files in a directory of its own, through
//! the registry's ordinary client, once; every later start recognizes them in a few milliseconds.
//! Nothing here knows what a guest is: compiling and running these files is `guest`'s work.
//!
//! All of it blocks, and is meant for start-up and for the command line.

mod archive;
mod artifacts;
mod catalogue;
mod claim;
mod client;
mod complaint;
mod digest;
mod error;
mod manifest;
mod name;
pub mod pack;
mod progress;
mod room;
mod scratch;
mod setup;
mod stamp;
mod supervised;

#[cfg(test)]
mod fixture;

pub use artifacts::Artifacts;
pub use catalogue::{Catalogue, Entry, Kind, Registry, Source, WantedFile, WantedPack};
pub use client::Clients;
pub use digest::{CopyError, MalformedSha256, Pin, Sha256};
pub use error::{Deed, FetchError};
pub use manifest::{Document, ManifestError};
pub use name::{LocalName, Malformed, MemberPath, Name, PackageName, Version};
pub use pack::Pack;
pub use progress::{Progress, Report, Step};
pub use room::available_memory_bytes;
