//! Arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir::cli::main(std::env::args_os())
}
