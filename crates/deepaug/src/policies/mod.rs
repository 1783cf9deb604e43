//! Policies: their search spaces, and reading them from files and studies.

pub(crate) mod read;
pub(crate) mod schemes;
pub(crate) mod space;
