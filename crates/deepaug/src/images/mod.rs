//! The user's images: reading and describing them, showing what policies do to them, writing augmented copies.

pub(crate) mod apply;
pub(crate) mod data;
pub(crate) mod preview;
pub(crate) mod suspects;
