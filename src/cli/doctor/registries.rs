//! The package registries' clients: whether they run here, and whether anything needs them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::Finding;
use crate::cli::run::runtime;
use crate::interpreters::{Artifacts, Catalogue, Registry};

/// How long a client may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client, and the ways to call it.
struct Client {
    registry: Registry,
    name: &'static str,
    commands: &'static [&'static [&'static str]],
    package: &'static str,
}

const CLIENTS: [Client; 2] = [
    Client {
        registry: Registry::Pypi,
        name: "pip",
        commands: &[&["python3", "-m", "pip"], &["pip3"], &["pip"]],
        package: "python3-pip",
    },
    Client {
        registry: Registry::Npm,
        name: "npm",
        commands: &[&["npm"]],
        package: "npm",
    },
];

/// A line for each client. A missing one fails only if something is still to be fetched with it.
pub(super) fn findings(catalogue: &Catalogue, dir: &Path) -> anyhow::Result<Vec<Finding>> {
    let runtime = runtime()?;
    let finding = |client: &Client| {
        let Client { name, package, .. } = client;
        let wanted: Vec<_> = catalogue
            .entries()
            .iter()
            .filter(|entry| entry.source.registry == client.registry)
            .filter(|entry| Artifacts::present(entry, dir).is_none())
            .map(|entry| entry.name.as_str())
            .collect();
        match (runtime.block_on(client.version()), wanted.is_empty()) {
            (Some(version), _) => Finding::ok(format!("{name}: {version}")),
            (None, true) => Finding::ok(format!("{name}: not found, and nothing needs it")),
            (None, false) => Finding::fail(format!(
                "{name}: not found, and {} is still to be fetched with it; install it (on Debian \
                 and Ubuntu: apt install {package}) or put it on PATH",
                wanted.join(", ")
            )),
        }
    };
    Ok(CLIENTS.iter().map(finding).collect())
}

impl Client {
    /// The first line of what it says about its version, if it runs.
    async fn version(&self) -> Option<String> {
        for words in self.commands {
            let (program, arguments) = words.split_first()?;
            let output = Command::new(program)
                .args(arguments)
                .arg("--version")
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output();
            if let Ok(Ok(output)) = tokio::time::timeout(PATIENCE, output).await
                && output.status.success()
            {
                let text = String::from_utf8_lossy(&output.stdout);
                return Some(text.lines().next().unwrap_or_default().trim().to_owned());
            }
        }
        None
    }
}
