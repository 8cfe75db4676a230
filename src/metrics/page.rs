//! The list of figures, under the names in which they are shown.

use prometheus_client::encoding::text;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry, Unit};
use serde_json::{Map, Value};

/// A metric that can be shown as JSON too. Clones share their figures.
pub(super) trait Figure: Metric {
    fn json(&self) -> Value;
}

/// Every figure once, for both ways to show it.
#[derive(Debug, Default)]
pub(super) struct Page {
    registry: Registry,
    figures: Vec<(&'static str, Box<dyn Figure>)>,
}

impl Page {
    /// Lists `figure` under `name`, which is spelled as Prometheus shows it: with its unit and,
    /// for a counter, `_total`. `help` has no period.
    pub(super) fn add<F: Figure + Clone>(
        &mut self,
        name: &'static str,
        help: &'static str,
        figure: F,
    ) -> F {
        // The encoder puts both suffixes back.
        let family = match figure.metric_type() {
            MetricType::Counter => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        match unit(family) {
            Some((stem, unit)) => {
                self.registry
                    .register_with_unit(stem, help, unit, figure.clone());
            }
            None => self.registry.register(family, help, figure.clone()),
        }
        self.figures.push((name, Box::new(figure.clone())));
        figure
    }

    pub(super) fn encode(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a String takes whatever is written to it");
        page
    }

    pub(super) fn json(&self) -> Map<String, Value> {
        self.figures
            .iter()
            .map(|(name, figure)| ((*name).to_owned(), figure.json()))
            .collect()
    }
}

impl Figure for Counter {
    fn json(&self) -> Value {
        self.get().into()
    }
}

impl Figure for Gauge {
    fn json(&self) -> Value {
        self.get().into()
    }
}

fn unit(family: &str) -> Option<(&str, Unit)> {
    let in_seconds = family
        .strip_suffix("_seconds")
        .map(|stem| (stem, Unit::Seconds));
    in_seconds.or_else(|| Some((family.strip_suffix("_bytes")?, Unit::Bytes)))
}
