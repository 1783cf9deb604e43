//! Events as they happen: into the journal, from there into what is known, and into the notebook.

use std::path::Path;

use crate::config::Config;
use crate::error::Error;
use crate::policies::space::Proposal;
use crate::study::journal::{Entry, Journal};
use crate::study::ledger::{Ledger, TrainingOutcome};
use crate::study::notebook::{Notebook, Row};

/// Writes down what happens in a study.
#[derive(Debug)]
pub(crate) struct Recorder {
    journal: Journal,
    notebook: Notebook,
    ledger: Ledger,
    /// Trainings that ended in this run.
    fresh: usize,
}

impl Recorder {
    /// The study's memory, with what its journal holds, and a notebook that is brought up to it.
    pub(crate) fn new(config: &Config, folder: &Path, journal: Journal, entries: Vec<Entry>) -> Result<Self, Error> {
        let ledger = Ledger::new(config, entries);
        let path = folder.join(&config.notebook_path);
        let notebook = Notebook::write(&path, rows(&ledger))?;
        Ok(Self { journal, notebook, ledger, fresh: 0 })
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Trainings that ended in this run.
    pub(crate) fn fresh(&self) -> usize {
        self.fresh
    }

    /// Writes a proposal down, unless it is known.
    pub(crate) fn propose(&mut self, trial: u64, proposal: Proposal) -> Result<(), Error> {
        if self.ledger.proposal(trial).is_none() {
            let Proposal { point, policy, scheme } = proposal.clone();
            self.journal.append(&Entry::Proposed { trial, point, policy, scheme })?;
            self.ledger.propose(trial, proposal);
        }
        Ok(())
    }

    /// Writes a training down that has ended.
    pub(crate) fn end(&mut self, trial: u64, sample: usize, ended: TrainingOutcome) -> Result<(), Error> {
        self.journal.append(&ended.entry(trial, sample))?;
        self.fresh += 1;
        self.ledger.end(trial, sample, ended);
        match self.ledger.ended(trial, sample).and_then(|ended| row(&self.ledger, trial, sample, ended)) {
            Some(row) => self.notebook.append(&row),
            None => Ok(()),
        }
    }

    /// Puts the notebook's rows, which came as trainings ended, into the order of their trials and samples.
    pub(crate) fn sort_notebook(&mut self) -> Result<(), Error> {
        self.notebook.rewrite(rows(&self.ledger))
    }
}

fn rows(ledger: &Ledger) -> impl Iterator<Item = Row<'_>> {
    ledger.trainings().filter_map(|(trial, sample, ended)| row(ledger, trial, sample, ended))
}

fn row<'a>(ledger: &'a Ledger, trial: u64, sample: usize, ended: &'a TrainingOutcome) -> Option<Row<'a>> {
    let proposal = ledger.proposal(trial)?;
    Some(Row { trial, proposal, sample, phase: ledger.phase(sample), reward: ledger.worth(ended), ended })
}
