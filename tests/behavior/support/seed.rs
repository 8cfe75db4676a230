//! Chance that can be had again: a seed that is printed, and numbers that follow from it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Numbers that look random and follow from a seed (xorshift64*).
pub struct Chance(u64);

impl Chance {
    /// Seeded by `WEIR_TEST_SEED`, or freshly; the seed is printed, which a failing test shows.
    pub fn printed() -> Self {
        let seed = std::env::var("WEIR_TEST_SEED")
            .ok()
            .map(|text| text.parse().expect("WEIR_TEST_SEED is a whole number"))
            .unwrap_or_else(fresh);
        println!("WEIR_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// A number from 0 to `below` - 1.
    pub fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % below
    }
}

/// A number that no other call in any process returns, but for bad luck.
pub fn fresh() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A name nobody else uses: request ids, subjects, sessions.
pub fn fresh_name(prefix: &str) -> String {
    format!("{prefix}-{:016x}", fresh())
}
