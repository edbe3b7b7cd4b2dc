//! Tables that fit the terminal; in a pipe every cell is as wide as it needs to be.

use super::Painter;
use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

/// Cells are already cleaned and have no colours: one that begins with a status's glyph gets the
/// status's colour here, after its width is known.
pub fn table(painter: Painter, head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head.iter().map(|text| text.to_uppercase()));
    for row in rows {
        table.add_row(row.into_iter().map(
            |text| match colour(&text).filter(|_| painter.colours) {
                Some(colour) => Cell::new(text).fg(colour),
                None => Cell::new(text),
            },
        ));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    // Padding at the end of a line would only be copied along.
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Sentences beside their marks, the last column broken at the terminal's width; at 100 in a pipe.
pub fn list(rows: Vec<Vec<String>>) -> String {
    const WIDTH: u16 = 100;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(|line| format!("  {}", line.trim_end())).collect::<Vec<_>>().join("\n")
}

fn colour(text: &str) -> Option<Color> {
    Some(match text.split(' ').next()? {
        "✓" => Color::Green,
        "✗" | "↶" => Color::Red,
        "●" => Color::Blue,
        "‖" => Color::Yellow,
        "–" | "○" => Color::DarkGrey,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_head_and_no_frame() {
        let rows = vec![vec!["r-1".into(), "✓ succeeded".into()]];
        let text = table(Painter { colours: false }, &["run", "status"], rows);
        assert_eq!(text, "RUN  STATUS\nr-1  ✓ succeeded");
    }
}
