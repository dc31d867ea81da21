//! Text from elsewhere, for a terminal: that does what some characters say.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer};

/// `text` with each character that a terminal does something for replaced. It is one line.
pub(super) fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// `json` with such characters written as JSON has it: the values stay as they are, and so do its lines.
pub(super) fn printable_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => text.push(c),
            _ if c.is_control() => text += &format!("\\u{:04x}", u32::from(c)),
            _ => text.push(c),
        }
    }
    text
}

/// A text that was [`printable`] when it came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Printable(String);

impl<'de> Deserialize<'de> for Printable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(printable(&text)))
    }
}

impl Deref for Printable {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Printable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_same_values_without_what_a_terminal_does_something_for() {
        let json = "{\"a\u{7f}\u{9b}2J\": \"\\u001b\",\n\"b\": \"ü\"}";
        let printable = printable_json(json);
        let controls = |c: char| c.is_control() && c != '\n';
        assert_eq!(printable.find(controls), None, "{printable}");
        let value = |json: &str| serde_json::from_str::<serde_json::Value>(json).expect("JSON");
        assert_eq!(value(&printable), value(json));
    }
}
