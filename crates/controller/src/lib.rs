//! A Bayesian optimiser for mixed search spaces (categories, reals, integers, conditional parameters) and
//! expensive, noisy objectives, with an *ask* and *tell* interface. It minimises costs.
//!
//! ```
//! use deepaug_controller::{Method, Outcome, Settings, Space, searcher};
//!
//! let space = Space::new()
//!     .categorical("preconditioner", ["none", "jacobi", "ilu"])?
//!     .real("relaxation", 0.0, 2.0)?
//!     .integer("sweeps", 1, 8)?
//!     .active_when("relaxation", "preconditioner", ["jacobi", "ilu"])?;
//! let mut searcher = searcher(Method::BayesianOptimization, space, Settings::default(), 42)?;
//!
//! for trial in 0..40 {
//!     let point = searcher.ask(trial)?;
//!     // Measure something slow here.
//!     let kind = point[0].category().unwrap_or(0);
//!     let relaxation = point[1].real().unwrap_or(0.0);
//!     let sweeps = point[2].integer().unwrap_or(1) as f64;
//!     let seconds = [3.0, 2.0, 1.0][kind] + (relaxation - 1.3).powi(2) + 0.1 * (sweeps - 4.0).abs();
//!     searcher.tell(trial, Outcome::Cost(seconds))?;
//! }
//! let best = searcher.incumbent()?.expect("forty trials have a cost");
//! let (_, point, outcome) = searcher.finished()[best as usize];
//! assert_eq!(point[0].category(), Some(2), "{outcome:?}");
//! # Ok::<(), deepaug_controller::SearchError>(())
//! ```
//!
//! # Modules
//! - [`forest`]: the surrogate, a regression forest that also works on its own as a linfa algorithm.
//! - [`acquisition`]: how promising a point is.
//! - [`population`]: who takes over from whom in population-based training, and what changes.
//!
//! Everything else is at the root: [`Space`] and [`Point`]; [`Searcher`], [`Outcome`] and [`searcher()`];
//! [`Settings`].

pub mod acquisition;
pub mod forest;
pub mod population;

mod bayesian;
mod design;
mod error;
mod explanation;
mod history;
mod lfbo;
mod maximiser;
mod model;
mod neighbours;
mod point;
mod policy_gradient;
mod random;
mod registry;
mod rng;
mod searcher;
mod settings;
mod space;
mod surrogate;
mod target;
mod trend;

pub use self::{
    acquisition::Acquisition,
    bayesian::BayesianOptimization,
    error::{ForestError, PointError, SearchError, SettingError, SpaceError},
    explanation::{Effect, Explanation, Level, LevelValue},
    history::{History, Outcome, Trial},
    point::{Point, Value},
    policy_gradient::{Learnt, LearntDecision, PolicyGradientSettings, Writer, normalised},
    random::RandomSearch,
    registry::{Method, Snapshot, searcher},
    searcher::Searcher,
    settings::{MaximiserSettings, Settings, ValidSettings},
    space::{Condition, Domain, Parameter, Place, Space},
    target::Target,
};

/// Runs the README's examples as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
