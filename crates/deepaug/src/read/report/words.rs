//! Formats numbers for the page.

/// A non-breaking space.
const TIED: char = '\u{a0}';

/// Formats a number with its sign and a minus as wide as a plus.
pub(super) fn signed(value: f64, digits: usize) -> String {
    let text = format!("{value:+.digits$}");
    // A number that rounds to 0 has no sign.
    match text.trim_start_matches(['+', '-', '0', '.']) {
        "" => text.trim_start_matches(['+', '-']).to_string(),
        _ => text.replace('-', "\u{2212}"),
    }
}

/// Formats a difference of accuracies in points.
pub(super) fn points(share: f64, digits: usize) -> String {
    signed(100.0 * share, digits)
}

/// Formats the ends of an interval, in points.
pub(super) fn between((low, high): (f64, f64), digits: usize) -> String {
    format!("{} to {}", points(low, digits), points(high, digits))
}

/// Returns the last part of a path.
pub(super) fn short(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// Formats a share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}{TIED}%", 100.0 * share)
}

/// Formats a time as hours and minutes, or minutes, or seconds.
pub(super) fn time_of(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole}{TIED}s"),
        60..3600 => format!("{:.0}{TIED}min", seconds / 60.0),
        _ => format!("{}{TIED}h {}{TIED}min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_typeset_and_nothing_has_none() {
        assert_eq!(
            [signed(-1.25, 1), signed(0.04, 1), signed(-0.04, 1), signed(3.0, 0)],
            ["\u{2212}1.2", "0.0", "0.0", "+3"]
        );
        assert_eq!(between((-0.012, 0.034), 1), "\u{2212}1.2 to +3.4");
        assert_eq!(
            [time_of(59.0), time_of(90.0), time_of(7260.0)].map(|t| t.replace(TIED, " ")),
            ["59 s", "2 min", "2 h 1 min"]
        );
    }
}
