//! Why a file call was refused, under preview1's numbers.

/// An error as preview1 numbers it. Only the cases that this gateway's file layer and its
/// translation can produce are listed; success is `Ok`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u16)]
pub enum Errno {
    #[error("argument list too long")]
    TooBig = 1,
    #[error("permission denied")]
    Access = 2,
    #[error("resource unavailable, try again")]
    Again = 6,
    #[error("bad file descriptor")]
    BadDescriptor = 8,
    #[error("device or resource busy")]
    Busy = 10,
    #[error("file exists")]
    Exists = 20,
    #[error("bad address")]
    Fault = 21,
    #[error("file too large")]
    FileTooBig = 22,
    #[error("name is not UTF-8")]
    IllegalBytes = 25,
    #[error("interrupted")]
    Interrupted = 27,
    #[error("invalid argument")]
    Invalid = 28,
    #[error("input/output error")]
    Io = 29,
    #[error("is a directory")]
    IsDirectory = 31,
    #[error("too many levels of symbolic links")]
    Loop = 32,
    #[error("too many open files")]
    TooManyOpen = 33,
    #[error("too many links")]
    TooManyLinks = 34,
    #[error("file name too long")]
    NameTooLong = 37,
    #[error("no such file or directory")]
    NotFound = 44,
    #[error("not enough memory")]
    NoMemory = 48,
    #[error("no space left")]
    NoSpace = 51,
    #[error("function not supported")]
    NotImplemented = 52,
    #[error("not a directory")]
    NotDirectory = 54,
    #[error("directory not empty")]
    NotEmpty = 55,
    #[error("not a socket")]
    NotSocket = 57,
    #[error("not supported")]
    NotSupported = 58,
    #[error("not a terminal")]
    NotTerminal = 59,
    #[error("value too large")]
    Overflow = 61,
    #[error("operation not permitted")]
    NotPermitted = 63,
    #[error("broken pipe")]
    Pipe = 64,
    #[error("read-only file system")]
    ReadOnly = 69,
    #[error("invalid seek")]
    IllegalSeek = 70,
    #[error("cross-device link")]
    CrossDevice = 75,
    #[error("capabilities insufficient")]
    NotCapable = 76,
}

impl Errno {
    /// The number that the guest is handed.
    pub const fn number(self) -> u16 {
        self as u16
    }
}
