//! Records events as they happen: in the journal, then in what is known, then in the notebook.

use std::path::Path;

use crate::config::Config;
use crate::error::Error;
use crate::policies::space::Proposal;
use crate::study::adversary::Opposed;
use crate::study::journal::{Entry, Journal};
use crate::study::ledger::{Ledger, TrainingOutcome};
use crate::study::notebook::{Notebook, Row};
use crate::study::population::record::PopulationRecord;

/// Records what happens in a study.
#[derive(Debug)]
pub(crate) struct Recorder {
    journal: Journal,
    notebook: Notebook,
    ledger: Ledger,
    /// Trainings that ended in this run.
    fresh: usize,
}

impl Recorder {
    /// Makes the recorder from what the journal contains, and brings the notebook up to date with it.
    pub(crate) fn new(config: &Config, folder: &Path, journal: Journal, entries: Vec<Entry>) -> Result<Self, Error> {
        let ledger = Ledger::new(config, entries);
        let path = folder.join(&config.notebook_path);
        let notebook = Notebook::write(&path, rows(&ledger))?;
        Ok(Self { journal, notebook, ledger, fresh: 0 })
    }

    /// Does the same for a study with one row per training: the notebook is rewritten only if it is out of date.
    pub(crate) fn reopen(config: &Config, folder: &Path, journal: Journal, entries: Vec<Entry>) -> Result<Self, Error> {
        let ledger = Ledger::new(config, entries);
        let path = folder.join(&config.notebook_path);
        let last = ledger.last().and_then(|(trial, sample)| row(&ledger, trial, sample, ledger.ended(trial, sample)?));
        let notebook = Notebook::open(&path, ledger.counts().0, last.as_ref(), rows(&ledger))?;
        Ok(Self { journal, notebook, ledger, fresh: 0 })
    }

    /// Does the same with only part of the journal, for a study with one row per training: new trainings are added
    /// to the existing notebook.
    pub(crate) fn add_to(config: &Config, folder: &Path, journal: Journal, entries: Vec<Entry>) -> Result<Self, Error> {
        let notebook = Notebook::add_to(&folder.join(&config.notebook_path))?;
        Ok(Self { journal, notebook, ledger: Ledger::new(config, entries), fresh: 0 })
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Trainings that ended in this run.
    pub(crate) fn fresh(&self) -> usize {
        self.fresh
    }

    /// Records proposals that are not known yet.
    pub(crate) fn propose(&mut self, proposals: &[(u64, Proposal)]) -> Result<(), Error> {
        let is_new = |(trial, _): &&(u64, Proposal)| self.ledger.proposal(*trial).is_none();
        let new: Vec<(u64, Proposal)> = proposals.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let entry = |(trial, proposal): &(u64, Proposal)| {
            let Proposal { point, policy, scheme } = proposal.clone();
            Entry::Proposed { trial: *trial, point, policy, scheme }
        };
        self.journal.append_all(&new.iter().map(entry).collect::<Vec<_>>())?;
        new.into_iter().for_each(|(trial, proposal)| self.ledger.propose(trial, proposal));
        Ok(())
    }

    /// Records trainings that have ended.
    pub(crate) fn end(&mut self, ended: Vec<(u64, usize, TrainingOutcome)>) -> Result<(), Error> {
        let kind = self.ledger.kind();
        let entries: Vec<Entry> =
            ended.iter().map(|(trial, sample, ended)| ended.entry(kind, *trial, *sample)).collect();
        self.journal.append_all(&entries)?;
        // What is on disk counts as known, even if its row cannot be written.
        let ids: Vec<(u64, usize)> = ended.iter().map(|(trial, sample, _)| (*trial, *sample)).collect();
        self.fresh += ended.len();
        ended.into_iter().for_each(|(trial, sample, ended)| self.ledger.end(trial, sample, ended));
        let row = |(trial, sample)| row(&self.ledger, trial, sample, self.ledger.ended(trial, sample)?);
        ids.into_iter().filter_map(row).try_for_each(|row| self.notebook.append(&row))
    }

    /// Records an entry about a training that is looked into.
    pub(crate) fn note(&mut self, entry: Entry) -> Result<(), Error> {
        self.journal.append(&entry)?;
        if matches!(entry, Entry::Opposed { .. }) {
            self.ledger.note(entry);
            let rows = self.ledger.opposed().into_iter().flat_map(opposed_rows);
            return rows.into_iter().try_for_each(|row| self.notebook.append(&row));
        }
        let part = match &entry {
            Entry::MemberTrained { member, from, .. } | Entry::MemberFailed { member, from, .. } => {
                Some((*from, *member))
            }
            _ => None,
        };
        self.ledger.note(entry);
        let population = self.ledger.population();
        let row = part.and_then(|(from, member)| member_row(population, from, member, population.part(from, member)?));
        row.map_or(Ok(()), |row| self.notebook.append(&row))
    }

    /// Sorts the notebook's rows, which arrived as trainings ended, by trial and sample.
    pub(crate) fn sort_notebook(&mut self) -> Result<(), Error> {
        self.notebook.rewrite(rows(&self.ledger))
    }
}

/// Returns all rows of the notebook: those of trainings that were looked into, then all others by trial and sample.
pub(crate) fn rows(ledger: &Ledger) -> impl Iterator<Item = Row<'_>> {
    let population = ledger.population();
    let members = population.parts().filter_map(|(from, member, ended)| member_row(population, from, member, ended));
    let opposed = ledger.opposed().into_iter().flat_map(opposed_rows);
    opposed
        .chain(members)
        .chain(ledger.trainings().filter_map(|(trial, sample, ended)| row(ledger, trial, sample, ended)))
}

/// Returns the rows of a training against an adversary, each with the policies of its epoch.
fn opposed_rows(opposed: &Opposed) -> impl Iterator<Item = Row<'_>> {
    opposed.epochs().iter().map(|(policy, ended)| Row {
        trial: None,
        policy,
        scheme: None,
        sample: 0,
        phase: "adversary",
        reward: None,
        ended,
    })
}

fn member_row<'a>(
    population: &'a PopulationRecord,
    from: usize,
    member: usize,
    ended: &'a TrainingOutcome,
) -> Option<Row<'a>> {
    let (_, _, policy) = population.policy(member, from)?;
    Some(Row { trial: None, policy, scheme: None, sample: member, phase: "population", reward: None, ended })
}

fn row<'a>(ledger: &'a Ledger, trial: u64, sample: usize, ended: &'a TrainingOutcome) -> Option<Row<'a>> {
    let proposal = ledger.proposal(trial)?;
    Some(Row {
        trial: Some(trial),
        policy: &proposal.policy,
        scheme: proposal.scheme.as_deref(),
        sample,
        phase: ledger.phase(sample),
        reward: ledger.worth(ended).map(|worth| worth.as_told(ledger.kind())),
        ended,
    })
}
