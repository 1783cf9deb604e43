//! Reading what a study has found: its tables, and the page about it.

pub mod inspect;
pub(crate) mod report;
