//! Finds the data augmentation that is right for a set of labelled images, and says whether it helps.
//!
//! A [`Study`] is one search: it asks a controller for policies, trains child models on images augmented by them,
//! and tells the controller each reward. Everything is stored in one folder, from which the study can be resumed.
//!
//! ```
//! use deepaug::{Config, Study};
//!
//! # fn main() -> Result<(), deepaug::Error> {
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! # let out = folder.path().join("first");
//! let mut config = Config { iters: 1, train_set_size: 40.into(), validation_set_size: 20.into(), ..Config::default() };
//! # config.model = deepaug::Model::TinyCnn;
//! config.child_epochs = 1.into();
//! let study = Study::create(config, Some(&out))?; // reads the data, makes the folder
//! let result = study.run(&|event| eprintln!("{event}"))?;
//! println!("{}\n{}", result.answer, result.policy());
//! # Ok(())
//! # }
//! ```
//!
//! Main types: [`Config`] configures a search; [`Study`] runs it, by [`Objective`] and [`reward`]; the `journal`
//! and the `notebook` record it; [`SearchResult`] is its result; [`Event`] reports progress; [`Error`] is what can
//! go wrong. [`AskTell`] is a search whose trials another program judges, [`JudgedStudy`] one whose trainings the
//! caller carries out, [`Server`] one that answers lines of JSON; [`execute`] carries out trainings. [`read_data`] and [`DataReport`] read and describe images,
//! [`Policies`] reads the policies found, [`Apply`] writes augmented copies of a folder, [`policy_sheet`] and
//! [`LabelCheck`] show what a policy does, [`ChildBench`] and [`OpBench`] measure speed. The policies, data sets
//! and children of the other crates are re-exported.

mod bench;
mod cancel;
pub mod cluster;
pub mod compare;
mod config;
mod error;
pub mod execute;
pub mod explain;
mod files;
#[cfg(feature = "generative")]
mod generative;
mod images;
mod layout;
mod logits;
pub mod patch;
mod policies;
pub mod prelude;
mod probe;
mod read;
mod remedy;
pub mod reward;
mod rng;
pub mod statistics;
mod strategies;
mod study;
pub mod subsample;
mod train;

pub use bench::{ChildBench, ChildSpeed, OpBench, OpSpeed};
pub use cancel::Cancel;
pub use config::auto::Auto;
pub use config::colour::Colour;
pub use config::{
    AugmentMode, Child, ClusterConfig, Config, DensityCount, EarlyStopping, EpochSize, Holdout, LossKind,
    ObjectiveKind, OverfitMeasure, Portion, RewardKind, SearchMethod, SearchSpace, Sizes, TandaGenerator, Translator,
    ValidConfig,
};
pub use deepaug_augmenter::export::Target;
pub use deepaug_augmenter::{
    Application, Augmentation, Copies, Online, Op, Piece, Policy, Published, RangeTable, Step, SubPolicy,
};
pub use deepaug_child_model::{
    Activation, Adapter, Candidate as ImageCandidate, Capacity, ChildModel, Choose, Device, DeviceChoice, EpochRecord,
    History, KernelSize, Layer, Model, Net, Observer, OpTally, Optimiser, Padding, Program, RowLoss, Rule, Schedule,
    Selection, Session, Settings, State, StateFiles, Strategy, StrategyRecord, SurenessRecord, TrainError, Training,
    TrainingSet, adapters, kill_programs,
};
pub use deepaug_controller as controller;
pub use deepaug_dataset::files::image_files;
pub use deepaug_dataset::{
    Amount, Channels, ClassCounts, DataError, Dataset, Fit, LabelledImage, OnBadImage, Part, ReadOptions, Split,
    SplitSizes, Summary,
};
pub use error::{ConfigError, Error, ExitCode};
pub use images::apply::{Applied, Apply};
pub use images::data::{DataReport, data_sheet, read_data, split};
pub use images::preview::{
    CheckedOp, LabelCheck, op_sheet, policy_sheet, policy_sheet_of, preview_config, write_sheet,
};
pub use images::suspects::{Suspect, Suspects};
pub use policies::read::{Policies, select_ops};
pub use policies::space::PolicySpace;
pub use read::inspect::{self, Inspection};
pub use read::report::{write_explanation, write_patch, write_report, write_subsample, write_suspects};
pub use remedy::Remedy;
pub use study::ask_tell::{AskTell, Asked, Observation, Rebuilt, rebuild};
pub use study::builder::StudyBuilder;
pub use study::candidate::{Candidate, Gain};
pub use study::event::{Event, Progress};
pub use study::folder::{Changes, folder_with_images, study_config};
pub use study::journal::ReportedOutcome;
pub use study::judged::JudgedStudy;
pub use study::objective::{Fold, Objective};
pub use study::result::{Advice, SearchResult, Termination, Verdict};
pub use study::scheduler::{Decision, Finished, Scheduler, TrialProgress};
pub use study::serve::{Server, Tell};
pub use study::sizing::{Sizing, Wanted};
pub use study::trials::{TrialRecord, TrialState, seed_of_sample};
pub use study::{Budget, Study};
pub use train::final_training::{FinalOptions, TrainSize};
pub use train::{Train, Trained};
