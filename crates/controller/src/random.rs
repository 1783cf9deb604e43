//! Random search.

use crate::{
    design,
    error::SearchError,
    history::History,
    point::Point,
    rng::{Purpose, stream},
    searcher::Searcher,
    settings::ValidSettings,
    space::Space,
};

/// Independent uniform points, never repeated: the baseline of every comparison (J. Bergstra, Y. Bengio, Random
/// search for hyper-parameter optimization, JMLR 13, 2012). The incumbent is the trial with the lowest observed
/// cost.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomSearch {
    space: Space,
    settings: ValidSettings,
    seed: u64,
    history: History,
}

impl RandomSearch {
    pub(crate) fn new(space: Space, settings: ValidSettings, seed: u64, history: History) -> Self {
        Self { space, settings, seed, history }
    }
}

impl Searcher for RandomSearch {
    fn ask_unless(&mut self, trial: u64, is_taken: &dyn Fn(&Point) -> bool) -> Result<Point, SearchError> {
        self.history.check_new(trial)?;
        let known = self.history.known(&self.space);
        let point = design::fresh(&self.space, &known, is_taken, &mut stream(self.seed, Purpose::Random, trial))?;
        self.history.register(&self.space, trial, point.clone())?;
        Ok(point)
    }

    fn space(&self) -> &Space {
        &self.space
    }

    fn history(&self) -> &History {
        &self.history
    }

    fn history_mut(&mut self) -> (&Space, &mut History) {
        (&self.space, &mut self.history)
    }
}
