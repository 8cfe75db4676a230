//! The table that is printed, and the file that programs read.

use std::fmt::Write as _;

use serde::Serialize;

use crate::Effort;
use crate::machine::Machine;
use crate::row::Row;

/// All rows of one run, and where it ran.
#[derive(Serialize)]
pub struct Report {
    machine: Machine,
    quick: bool,
    rows: Vec<Row>,
    failures: Vec<String>,
}

impl Report {
    pub fn new(machine: Machine, effort: Effort) -> Self {
        Self {
            machine,
            quick: effort == Effort::Quick,
            rows: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Where this runs, and what speaks against its figures.
    pub fn header(&self) -> String {
        let mut header = self.machine.to_string();
        if self.machine.is_busy() {
            header
                .push_str("\nThe machine is busy with other work: these figures are no evidence.");
        }
        if self.quick {
            header.push_str("\nQuick: few samples, so these figures are no evidence.");
        }
        header
    }

    /// Adds rows, and shows each as it comes.
    pub fn add(&mut self, rows: Vec<Row>) {
        for row in rows {
            println!(
                "  {}: {} {} ({})",
                row.promise,
                number(row.median),
                row.unit,
                row.verdict.describe()
            );
            self.rows.push(row);
        }
    }

    /// Notes an experiment that could not be carried out.
    pub fn fail(&mut self, error: String) {
        println!("  FAILED {error}");
        self.failures.push(error);
    }

    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    /// A Markdown table, with its notes below.
    pub fn table(&self) -> String {
        let mut cells = vec![
            [
                "promise",
                "target",
                "median",
                "p99",
                "min to max",
                "verdict",
            ]
            .map(String::from),
            ["-"; 6].map(String::from),
        ];
        for row in &self.rows {
            cells.push([
                row.promise.clone(),
                row.target(),
                format!("{} {}", number(row.median), row.unit),
                row.p99.map_or_else(String::new, number),
                format!("{} to {}", number(row.min), number(row.max)),
                row.verdict.describe().into(),
            ]);
        }
        let mut table = String::from("\n");
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
        for row in &cells {
            for (cell, width) in row.iter().zip(&widths) {
                let fill = if cell == "-" && row[0] == "-" {
                    '-'
                } else {
                    ' '
                };
                let missing = width - cell.chars().count();
                let padding: String = std::iter::repeat_n(fill, missing).collect();
                // Writing to a string cannot fail.
                let _ = write!(table, "| {cell}{padding} ");
            }
            table.push_str("|\n");
        }
        table.push('\n');
        for row in self.rows.iter().filter(|row| !row.notes.is_empty()) {
            let _ = writeln!(table, "- {}: {}", row.promise, row.notes.join("; "));
        }
        for failure in &self.failures {
            let _ = writeln!(table, "- FAILED {failure}");
        }
        table
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report of plain values serializes")
    }
}

/// Three digits that count, and no more than a reader wants.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
