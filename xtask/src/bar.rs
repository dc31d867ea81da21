//! A bar that shows how far something is.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar is drawn when nothing happens, so that its clock goes on.
const TICK: Duration = Duration::from_millis(200);

/// A bar on standard error when that is a terminal, else none. `template` names no colours.
pub fn bar(length: u64, template: &str) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(length).with_style(style);
        bar.enable_steady_tick(TICK);
        bar
    })
}
