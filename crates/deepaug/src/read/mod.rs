//! Reads the results of a study: its tables, and the page about it.

pub mod inspect;
pub(crate) mod report;
