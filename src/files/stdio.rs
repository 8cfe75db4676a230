//! The standard streams as descriptors 0, 1 and 2, from turn to turn.

use super::Files;
use super::descriptor::{Descriptor, Fd, Target};
use super::flags::FdFlags;

impl Files {
    /// Opens those of 0, 1 and 2 that the session has closed and not used for anything else: a
    /// program that closes its output loses it for its own turn only.
    pub fn restore_stdio(&mut self) {
        for (number, target) in [(0, Target::Stdin), (1, Target::Stdout), (2, Target::Stderr)] {
            if self.table.get(Fd(number)).is_err() {
                let flags = FdFlags::EMPTY;
                self.table.put(Fd(number), Descriptor { target, flags });
            }
        }
    }

    /// How many descriptors are open, stdio and preopens included.
    pub fn open_descriptors(&self) -> usize {
        self.table.iter().count()
    }
}
