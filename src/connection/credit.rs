//! How far the gateway may send ahead of a client's `ack`: the pure part of `window`.

use std::collections::VecDeque;

use crate::ids::Seq;
use crate::protocol::resume::Window;

/// A client's window, in bytes of message text.
#[derive(Debug)]
pub(super) struct Credit {
    window: Option<u64>,
    /// Events sent and not acknowledged, with what was sent up to and with each.
    unacked: VecDeque<(Seq, u64)>,
    sent_bytes: u64,
    acked_bytes: u64,
}

impl Credit {
    pub(super) fn new(window: Option<Window>) -> Self {
        Self {
            window: window.map(Window::bytes),
            unacked: VecDeque::new(),
            sent_bytes: 0,
            acked_bytes: 0,
        }
    }

    /// Bytes of events that may be sent now, or None when nothing may. One event is always allowed
    /// when none is on its way.
    pub(super) fn left(&self) -> Option<u64> {
        let Some(window) = self.window else {
            return Some(u64::MAX);
        };
        let ahead = self.sent_bytes - self.acked_bytes;
        match window.saturating_sub(ahead) {
            0 if self.unacked.is_empty() => Some(1),
            0 => None,
            left => Some(left),
        }
    }

    /// Whether an event of `bytes` fits.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        self.unacked.is_empty() || self.left().is_some_and(|left| bytes <= left)
    }

    pub(super) fn sent(&mut self, seq: Seq, bytes: u64) {
        if self.window.is_some() {
            self.sent_bytes += bytes;
            self.unacked.push_back((seq, self.sent_bytes));
        }
    }

    /// Takes an acknowledgement; one for an event not sent counts for those that were.
    pub(super) fn acked(&mut self, seq: Seq) {
        while let Some((_, sent)) = self.unacked.pop_front_if(|(sent, _)| *sent <= seq) {
            self.acked_bytes = sent;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credit(window: &str) -> Credit {
        Credit::new(Some(window.parse().expect("a window")))
    }

    #[test]
    fn no_window_is_no_bound() {
        let mut credit = Credit::new(None);
        credit.sent(Seq(1), 1 << 40);
        assert!(credit.fits(1 << 40));
    }

    #[test]
    fn one_event_is_always_allowed() {
        let mut credit = credit("10");
        assert!(credit.fits(1_000));
        credit.sent(Seq(1), 1_000);
        assert_eq!(credit.left(), None);
        assert!(!credit.fits(1));
        credit.acked(Seq(1));
        assert!(credit.fits(1_000));
    }

    #[test]
    fn an_ack_frees_what_it_covers() {
        let mut credit = credit("100");
        for seq in 1..=3 {
            assert!(credit.fits(30));
            credit.sent(Seq(seq), 30);
        }
        assert!(!credit.fits(30));
        credit.acked(Seq(2));
        assert_eq!(credit.left(), Some(70));
        credit.acked(Seq(99));
        assert_eq!(credit.left(), Some(100));
    }
}
