//! Policies: the spaces that they are searched in, and reading them from files and studies.

pub(crate) mod read;
pub(crate) mod schemes;
pub(crate) mod space;
