//! Figures with units, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// What was measured, in order.
#[derive(Default)]
pub(crate) struct Figures {
    rows: Vec<(String, &'static str, f64)>,
    notes: Map<String, Value>,
}

impl Figures {
    /// Records a figure.
    pub(crate) fn set(&mut self, name: &str, unit: &'static str, value: f64) {
        // A sum of nothing is -0.0, which reads like a mistake.
        self.rows.push((name.to_owned(), unit, value + 0.0));
    }

    /// Records detail that goes to the JSON only.
    pub(crate) fn note(&mut self, name: &str, value: Value) {
        self.notes.insert(name.to_owned(), value);
    }

    /// One row per figure.
    pub(crate) fn table(&self) -> String {
        let width = self.rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
        let mut table = String::new();
        for (name, unit, value) in &self.rows {
            // Writing to a String cannot fail.
            let _ = writeln!(table, "{name:<width$}  {value:>12.3} {unit}");
        }
        table
    }

    /// The same with the notes, for machines.
    pub(crate) fn json(&self) -> String {
        let rows: Map<String, Value> = self
            .rows
            .iter()
            .map(|(name, unit, value)| (name.clone(), json!({"value": value, "unit": unit})))
            .collect();
        format!("{:#}\n", json!({"figures": rows, "notes": self.notes}))
    }
}

/// The value in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
