//! Measured values and what is said of them.

/// At least one value, in order of size.
#[derive(Debug, Clone)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// # Panics
    /// Without any value: an experiment that measured nothing is a mistake of its own.
    pub fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "an experiment measured nothing");
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The smallest value that at least the share `q` of all values do not exceed.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = (q * self.0.len() as f64).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    pub fn min(&self) -> f64 {
        self.0[0]
    }

    pub fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }
}
