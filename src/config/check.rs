//! Rules between settings: what each grammar cannot know by itself.

use super::{Config, ConfigError, Provenance};
use crate::auth::Algorithm;

struct Rule {
    /// Those it speaks of, in the order in which the complaint shows them.
    settings: &'static [&'static str],
    holds: fn(&Config) -> bool,
    /// The rule and the way out.
    why: &'static str,
}

/// Refuses settings that contradict one another; the first broken rule speaks.
pub(super) fn consistent(config: &Config, provenance: &Provenance) -> Result<(), ConfigError> {
    match RULES.iter().find(|rule| !(rule.holds)(config)) {
        None => Ok(()),
        Some(Rule { settings, why, .. }) => {
            let values: Vec<_> = settings
                .iter()
                .filter_map(|name| provenance.row(name))
                .map(|row| format!("{} = {} ({})", row.setting.key(), row.shown(), row.source))
                .collect();
            Err(ConfigError::Inconsistent {
                values: values.join(", "),
                why,
            })
        }
    }
}

const RULES: &[Rule] = &[
    Rule {
        settings: &["data-dir"],
        holds: |config| !config.data_dir.as_os_str().is_empty(),
        why: "neither XDG_DATA_HOME nor HOME says where sessions may rest; set WEIR_DATA_DIR",
    },
    Rule {
        settings: &["interpreters-dir"],
        holds: |config| !config.interpreters.dir.as_os_str().is_empty(),
        why: "neither XDG_CACHE_HOME nor HOME says where interpreters may be kept; set \
              WEIR_INTERPRETERS_DIR",
    },
    Rule {
        settings: &["tls-cert", "tls-key"],
        holds: |config| config.tls.cert.is_some() == config.tls.key.is_some(),
        why: "a certificate and its key come together; set both or neither",
    },
    Rule {
        settings: &[
            "listen",
            "jwt-secret",
            "jwt-keys",
            "tls-cert",
            "insecure-listen",
        ],
        holds: |config| {
            config.listens_on_loopback()
                || !config.needs_generated_secret()
                || config.tls.files().is_some()
                || config.insecure_listen
        },
        why: "with a made-up secret and no TLS the gateway listens on loopback only; set \
              WEIR_JWT_SECRET or WEIR_JWT_KEYS, or WEIR_TLS_CERT and WEIR_TLS_KEY, or insist with \
              --insecure-listen",
    },
    Rule {
        settings: &["compat-open", "listen"],
        holds: |config| !config.compat.open || config.listens_on_loopback(),
        why: "routes without a credential are served on loopback only; listen on 127.0.0.1, or \
              turn compat.open off",
    },
    Rule {
        settings: &["jwt-algorithms", "jwt-secret", "jwt-keys"],
        holds: some_key_serves_some_algorithm,
        why: "no token could be verified: HS256 takes the secret, every other algorithm takes keys \
              from WEIR_JWT_KEYS; add an algorithm or its key",
    },
    Rule {
        settings: &["file-bytes-max", "files-bytes-max"],
        holds: |config| config.limits.file_bytes_max <= config.limits.files_bytes_max,
        why: "one file may not have more than all of them; lower the first or raise the second",
    },
    Rule {
        settings: &["writer-lead-bytes-max", "journal-bytes-max"],
        holds: |config| config.limits.writer_lead_bytes_max <= config.limits.journal_bytes_max,
        why: "what a writer has yet to read must still be in the journal; lower the first or raise \
              the second",
    },
    Rule {
        settings: &["unread-bytes-max", "journal-bytes-max"],
        holds: |config| config.limits.unread_bytes_max <= config.limits.journal_bytes_max,
        why: "what nobody has read must still be in the journal; lower the first or raise the \
              second",
    },
    Rule {
        settings: &["session-idle", "session-untouched"],
        holds: |config| config.limits.session_idle <= config.limits.session_untouched,
        why: "a session would end before it could rest; lower the first or raise the second",
    },
];

fn some_key_serves_some_algorithm(config: &Config) -> bool {
    let has_secret = config.jwt.secret.is_some() || config.needs_generated_secret();
    let has_keys = config.jwt.keys.is_some();
    let served = |algorithm: &Algorithm| match *algorithm == Algorithm::Hs256 {
        true => has_secret,
        false => has_keys,
    };
    config.jwt.algorithms.iter().any(served)
}
