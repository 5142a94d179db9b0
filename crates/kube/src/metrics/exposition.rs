//! Prometheus text, written line by line.

use std::fmt::Write as _;

use super::Histogram;

/// A page of metrics under construction.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a metric.
    pub(super) fn head(&mut self, name: &str, type_: &str, help: &str) {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {type_}");
    }

    /// One sample.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.labelled(name, labels, None);
        let _ = writeln!(self.0, " {value}");
    }

    /// One sample that is a whole number.
    pub(super) fn count(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.labelled(name, labels, None);
        let _ = writeln!(self.0, " {value}");
    }

    /// One histogram.
    pub(super) fn histogram<const N: usize>(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        bounds: &[f64; N],
        histogram: &Histogram<N>,
    ) {
        let bucket = format!("{name}_bucket");
        let mut cumulated = 0;
        for (bound, observed) in bounds.iter().zip(&histogram.buckets) {
            cumulated += u64::from(*observed);
            self.labelled(&bucket, labels, Some(&bound_text(*bound)));
            let _ = writeln!(self.0, " {cumulated}");
        }
        self.labelled(&bucket, labels, Some("+Inf"));
        let _ = writeln!(self.0, " {}", histogram.count);
        self.sample(&format!("{name}_sum"), labels, histogram.sum);
        self.count(&format!("{name}_count"), labels, histogram.count);
    }

    fn labelled(&mut self, name: &str, labels: &[(&str, &str)], bound: Option<&str>) {
        self.0.push_str(name);
        let mut separator = '{';
        for (label, value) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            self.0.push(separator);
            separator = ',';
            let _ = write!(self.0, "{label}=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if separator == ',' {
            self.0.push('}');
        }
    }

    /// The page.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A bound as Go prints it: exponents below 1e-4.
fn bound_text(bound: f64) -> String {
    if bound != 0.0 && bound < 1e-4 { format!("{bound:e}").replace("e-", "e-0") } else { bound.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_buckets_cumulated() {
        let mut text = Text::default();
        text.count("a", &[("b", "c\"\\\nd")], 1);
        let mut histogram = Histogram::default();
        histogram.observe(&[1e-8, 2.0], 1.0);
        histogram.observe(&[1e-8, 2.0], 3.0);
        text.histogram("h", &[], &[1e-8, 2.0], &histogram);
        assert_eq!(
            text.finish(),
            "a{b=\"c\\\"\\\\\\nd\"} 1\nh_bucket{le=\"1e-08\"} 0\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 4\nh_count 2\n"
        );
    }
}
