//! Where trainings are carried out.

pub(crate) mod workers;
