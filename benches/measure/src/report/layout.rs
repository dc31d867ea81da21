//! Aligning the cells of a table.

/// The header's cells. Those in `left` are aligned to the left, all others to the right.
pub(crate) struct Header {
    pub(crate) titles: Vec<&'static str>,
    pub(crate) left: &'static [&'static str],
}

/// The rows below the header, in columns as wide as they need to be. A row whose first cell is not empty begins a
/// group, with an empty line before it, if some row's first cell is empty.
pub(crate) fn table(header: &Header, rows: &[Vec<String>]) -> String {
    let titles = header
        .titles
        .iter()
        .map(|&title| title.to_owned())
        .collect();
    let lines: Vec<Vec<String>> = std::iter::once(titles)
        .chain(rows.iter().cloned())
        .collect();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..header.titles.len()).map(width).collect();
    let begins = |row: &[String]| row.first().is_some_and(|cell| !cell.is_empty());
    let grouped = rows.iter().any(|row| !begins(row));
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        if number > 1 && grouped && begins(line) {
            text.push('\n');
        }
        let cells = line.iter().zip(&widths).zip(&header.titles);
        let cells = cells.map(
            |((cell, &width), title)| match header.left.contains(title) {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            },
        );
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
