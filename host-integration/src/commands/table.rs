//! Columns of text.

use std::fmt::Write as _;

use super::printable::printable;

/// How the text of a column stands.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// Names.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Left(title) | Self::Right(title) => title,
        }
    }
}

/// The `rows` below the titles of `columns`, each column as wide as its longest text, and each
/// text [`printable`]: names come from who deploys components.
pub(super) fn table<const N: usize>(columns: [Column; N], rows: &[[String; N]]) -> String {
    let titles = columns.map(|column| column.title().to_owned());
    let rows: Vec<[String; N]> = [titles]
        .into_iter()
        .chain(
            rows.iter()
                .map(|row| row.each_ref().map(|cell| printable(cell))),
        )
        .collect();
    let widths: [usize; N] = std::array::from_fn(|at| {
        let each = rows.iter().map(|row| row[at].chars().count());
        each.max().unwrap_or_default()
    });
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), column) in row.iter().zip(widths).zip(columns) {
            // Writing to a string does not fail.
            let _ = match column {
                Column::Left(_) => write!(line, "  {cell:<width$}"),
                Column::Right(_) => write!(line, "  {cell:>width$}"),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [
            ["ping".into(), "7".into()],
            ["a\u{1b}[2J".into(), "1234567".into()],
        ];
        let text = table([Column::Left("function"), Column::Right("calls")], &rows);
        let expected = "  function    calls\n  ping            7\n  a\u{fffd}[2J     1234567\n";
        assert_eq!(text, expected);
    }
}
