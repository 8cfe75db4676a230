//! Ended turns by language and status.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::{MetricType, TypedMetric};
use serde_json::Value;

use super::label::Labeled;
use super::page::Figure;
use crate::protocol::event::Status;

/// Languages with a row of their own. A catalogue has a handful; were it to have more, the rest
/// would share one row.
pub(super) const LANGUAGES_MAX: usize = 32;

/// The name of the row that the rest shares.
const REST: &str = "other";

/// A row of counters for each language that was used. Clones share their figures.
#[derive(Debug, Clone)]
pub(super) struct Turns(Arc<Table>);

/// Rows are filled from the first on and stay, so that finding one takes no lock.
#[derive(Debug)]
struct Table {
    rows: [OnceLock<Row>; LANGUAGES_MAX],
    rest: OnceLock<Row>,
}

#[derive(Debug)]
struct Row {
    language: Box<str>,
    by_status: Labeled<Status, Counter>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self(Arc::new(Table {
            rows: [const { OnceLock::new() }; LANGUAGES_MAX],
            rest: OnceLock::new(),
        }))
    }

    /// The counter of turns in `language` that ended so.
    pub(super) fn counter(&self, language: &str, status: Status) -> Option<&Counter> {
        let Table { rows, rest } = &*self.0;
        // An empty row becomes this language's, unless another thread made it another's first.
        let row = rows
            .iter()
            .map(|row| row.get_or_init(|| Row::new(language)))
            .find(|row| *row.language == *language)
            .unwrap_or_else(|| rest.get_or_init(|| Row::new(REST)));
        row.by_status.get(status)
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        let Table { rows, rest } = &*self.0;
        rows.iter().chain([rest]).filter_map(OnceLock::get)
    }
}

impl Row {
    fn new(language: &str) -> Self {
        Self {
            language: language.into(),
            by_status: Labeled::new(),
        }
    }
}

impl EncodeMetric for Turns {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for Row {
            language,
            by_status,
        } in self.rows()
        {
            for (status, counter) in by_status.iter() {
                let labels = [("language", &**language), ("status", status)];
                counter.encode(encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        Counter::<u64>::TYPE
    }
}

impl Figure for Turns {
    fn json(&self) -> Value {
        self.rows()
            .map(|row| (row.language.to_string(), row.by_status.json()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_meet_a_new_language_share_its_row() {
        let turns = Turns::new();
        std::thread::scope(|scope| {
            for start in 0..8 {
                let turns = &turns;
                scope.spawn(move || {
                    for language in 0..8 {
                        let language = format!("language-{}", (start + language) % 8);
                        turns.counter(&language, Status::Ok).unwrap().inc();
                    }
                });
            }
        });
        let counts: Vec<_> = turns
            .rows()
            .map(|row| row.by_status.get(Status::Ok).unwrap().get())
            .collect();
        assert_eq!(counts, [8; 8]);
    }

    #[test]
    fn languages_beyond_the_bound_share_one_row() {
        let turns = Turns::new();
        for language in 0..LANGUAGES_MAX + 100 {
            let language = language.to_string();
            turns.counter(&language, Status::Error).unwrap().inc();
        }
        assert_eq!(turns.rows().count(), LANGUAGES_MAX + 1);
        assert_eq!(turns.json()["0"]["error"], 1);
        assert_eq!(turns.json()[REST]["error"], 100);
    }
}
