//! The only place that writes to stdout and stderr.

use std::fmt::Display;
use std::io::Write;

use serde::Serialize;

/// Prints a line of a result. A reader that has gone away is not an error.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Prints one JSON object on a line.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => note(format_args!("cannot write this as JSON: {error}")),
    }
}

/// Prints a line about the work, not part of any result.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints an error in the requested form.
pub(crate) fn error(code: u8, message: &str, path: Option<String>, as_json: bool) {
    if as_json {
        json(&serde_json::json!({ "error": { "code": code, "message": message, "path": path } }));
    } else {
        note(format_args!("error: {message}"));
    }
}
