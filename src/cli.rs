//! The command line: what each command is called, what it may be told, and how it ends.
//!
//! A command owns one file below; what two of them share has one of its own. Results go to stdout,
//! everything about them to stderr. Exit codes: 0, or the program's own for `run` and `connect`; 1
//! for a failure; 2 for arguments or settings that cannot be.

mod connect;
mod doctor;
mod interpreters;
mod logging;
mod outcome;
mod progress;
mod run;
mod serve;
mod settings;
mod setup;
mod show;
mod signing;
mod token;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{Config, Flags, Sources};

const EXAMPLES: &str = "\
Examples:
  weir serve                        fetch Python if need be, listen on 127.0.0.1:8080
  weir connect                      a prompt in a new session of that gateway
  weir connect --session analysis   the same session again, from anywhere, after anything
  weir run script.py -- --fast      one program in one sandbox, without a gateway
  weir token --sub alice --ttl 8h   a token for alice, signed with this gateway's secret
  weir doctor                       what this machine lacks, and what to do about it";

/// Authenticated WebSockets to long-lived, sandboxed interpreter sessions.
#[derive(Parser)]
#[command(name = "weir", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Connect(connect::Arguments),
    Run(run::Arguments),
    Setup(setup::Arguments),
    Token(token::Arguments),
    Config(show::Arguments),
    Interpreters(interpreters::Arguments),
    Doctor(doctor::Arguments),
}

/// Runs the command that `args` name, the program's own name first, to its end.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed = command_for(&args)
        .try_get_matches_from(&args)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let done = match parsed {
        Ok(Arguments { command }) => command.run(),
        // Help and the version are "errors" that end well, and go to stdout.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(outcome::USAGE));
        }
    };
    done.unwrap_or_else(|error| outcome::report(&error))
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Serve(arguments) => serve::run(arguments),
            Self::Connect(arguments) => connect::run(arguments),
            Self::Run(arguments) => run::run(arguments),
            Self::Setup(arguments) => setup::run(arguments),
            Self::Token(arguments) => token::run(arguments),
            Self::Config(arguments) => show::run(arguments),
            Self::Interpreters(arguments) => interpreters::run(arguments),
            Self::Doctor(arguments) => doctor::run(arguments),
        }
    }
}

/// The command line's grammar. Where `weir serve` is asked for help, each setting is shown with its
/// value and who gave it.
fn command_for(args: &[OsString]) -> clap::Command {
    let command = Arguments::command();
    let has = |words: &[&str]| {
        args.iter()
            .skip(1)
            .any(|arg| words.iter().any(|word| arg == word))
    };
    if !has(&["serve"]) || !has(&["help", "-h", "--help"]) {
        return command;
    }
    match Config::load(&Sources::of_process(Flags::default())) {
        Ok((_, provenance)) => command.mut_subcommand("serve", |serve| provenance.annotate(serve)),
        // Help must come even where the settings are what one needs help with.
        Err(_) => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_has_no_contradictions() {
        Arguments::command().debug_assert();
    }
}
