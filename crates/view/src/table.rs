//! Columns padded to their widest cell; the last column is left as it is.

use crate::paint::width;

/// Spaces between columns.
const GAP: usize = 2;

/// Lays out rows of equal length. Every line ends with a newline.
pub fn render_table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if column + 1 < row.len() {
                text.extend(std::iter::repeat_n(' ', widths[column] + GAP - width(cell)));
            }
        }
        text.push('\n');
    }
    text
}
