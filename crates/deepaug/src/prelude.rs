//! What most programs that embed a search need: `use deepaug::prelude::*;`.

pub use crate::cancel::Cancel;
pub use crate::config::Config;
pub use crate::error::Error;
pub use crate::study::ask_tell::AskTell;
pub use crate::study::event::Event;
pub use crate::study::result::{Advice, SearchResult};
pub use crate::study::{Budget, Study};
pub use deepaug_augmenter::{Application, Augmentation, Op, Policy};
pub use deepaug_child_model::{ChildModel, DeviceChoice, EpochRecord, History, TrainError, Training};
pub use deepaug_dataset::Dataset;
