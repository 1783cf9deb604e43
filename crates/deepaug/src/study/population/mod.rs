//! A population of children that train side by side, which a scheduler lets take over one another's nets and policies
//! every few epochs (M. Jaderberg et al. 2017). What comes of it is a policy for each epoch.
//!
//! Every child is trained from one saved state to the next by a job of its own, so that a population runs on any
//! executor, and continues after a kill with what the journal and the states say.

pub(crate) mod pba;
pub(crate) mod record;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use deepaug_augmenter::Policy;
use deepaug_child_model::TrainError;

use crate::cancel::Cancel;
use crate::config::ValidConfig;
use crate::error::Error;
use crate::execute::{Executor, Job, JobId, Report, Task, run_all};
use crate::layout;
use crate::study::core::Core;
use crate::study::event::Event;
use crate::study::journal::Entry;
use crate::study::objective::Objective;
use crate::study::population::record::{Assignment, PopulationRecord};
use crate::study::scheduler::{Decision, Scheduler, TrialProgress};

/// A running population.
pub(crate) struct Population<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) core: &'a mut Core,
    pub(crate) objective: &'a Objective,
    pub(crate) executor: &'a mut dyn Executor,
    pub(crate) cancel: &'a Cancel,
    pub(crate) emit: &'a dyn Fn(&Event),
    /// Members that the scheduler has stopped, and that have taken over nobody since.
    pub(crate) stopped: BTreeSet<usize>,
}

impl Population<'_> {
    /// Trains the population to its end, and returns the policies of the member with the highest last validation
    /// accuracy, epoch by epoch.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::Child`] if too many members diverged; errors of the executor and of files.
    /// Everything that finished before is kept.
    pub(crate) fn run(mut self, scheduler: &mut dyn Scheduler, first: Vec<Policy>) -> Result<Policy, Error> {
        let config = self.core.config().clone();
        let (epochs, interval) = (config.epochs(), config.interval);
        std::fs::create_dir_all(self.states()).map_err(|error| Error::file(&self.states(), error))?;
        if self.record().policies_at(0).is_none() {
            let assigned = |(member, policy)| Assignment { member, donor: None, policy };
            self.assign(0, first.into_iter().enumerate().map(assigned).collect())?;
        }
        let begun = Instant::now();
        let mut from = 0;
        while from < epochs {
            let until = (from + interval).min(epochs);
            self.train(&config, from, until)?;
            if until < epochs {
                self.exploit(scheduler, until)?;
                self.remove_states_before(until)?;
            }
            self.record().write(self.folder)?;
            let best = self.record().best(until).map(|(_, accuracy)| accuracy);
            let left = begun.elapsed().div_f64((until) as f64).mul_f64((epochs - until) as f64);
            let taken = self.record().takeovers(until);
            (self.emit)(&Event::Exploited { epoch: until, epochs, best, taken, left: Some(left) });
            from = until;
        }
        let winner = self.record().best(epochs).map(|(member, _)| member);
        let schedule = winner.and_then(|winner| self.record().schedule(winner, epochs));
        let schedule = schedule.ok_or_else(|| all_diverged(config.population))?;
        // They have served their purpose.
        let _ = std::fs::remove_dir_all(self.states());
        (self.emit)(&Event::PopulationEnded { policy: schedule.clone() });
        Ok(schedule)
    }

    fn record(&self) -> &PopulationRecord {
        self.core.ledger().population()
    }

    fn states(&self) -> PathBuf {
        self.folder.join(layout::POPULATION_STATES)
    }

    /// Returns the file of a member's state after an epoch.
    fn state(&self, member: usize, epoch: usize) -> PathBuf {
        self.states().join(format!("{member}-{epoch}.safetensors"))
    }

    /// Trains every member that still learns from one epoch to another.
    fn train(&mut self, config: &ValidConfig, from: usize, until: usize) -> Result<(), Error> {
        let wanted = |&member: &usize| {
            let learns = self.record().learns(from, member) && !self.stopped.contains(&member);
            learns && self.record().part(from, member).is_none()
        };
        let members: Vec<usize> = (0..config.population).filter(wanted).collect();
        let jobs: Vec<Job> = members.iter().filter_map(|&member| self.job(member, from, until)).collect();
        for job in &jobs {
            if let Task::Part { from: Some(state), .. } = &job.task
                && !state.exists()
            {
                let why = "is missing, and the population cannot go on without it; restore it or start a new study";
                return Err(Error::study(state, why));
            }
        }
        let (objective, core, emit) = (self.objective, &mut *self.core, self.emit);
        let cancel = self.cancel;
        let epochs = config.epochs();
        let mut hear = |report: Report| match report {
            Report::Epoch { id, record } => {
                emit(&Event::PopulationEpoch { member: id.trial as usize, epochs, record });
                Ok(())
            }
            Report::Ended { id: JobId { trial, .. }, device, result } => {
                let member = trial as usize;
                let seed = objective.member_seed(member);
                if let Err(why) = &result {
                    emit(&Event::MemberFailed { member, why: why.clone() });
                }
                core.note(match result {
                    Ok(history) => Entry::MemberTrained { member, from, seed, device, history },
                    Err(why) => Entry::MemberFailed { member, from, seed, device, why },
                })
            }
            _ => Ok(()),
        };
        if !run_all(self.executor, jobs, &|| cancel.is_cancelled(), &mut hear)? {
            return Err(Error::Interrupted { path: self.folder.into() });
        }
        Ok(())
    }

    fn job(&self, member: usize, from: usize, until: usize) -> Option<Job> {
        let (since, donor, policy) = self.record().policy(member, from)?;
        let source = if since == from { donor.unwrap_or(member) } else { member };
        let start = (from > 0).then(|| self.state(source, from));
        Some(self.objective.member(member, policy, from..until, start, self.state(member, until)))
    }

    /// Lets the scheduler decide, with what all members have done so far, and records it. What is recorded already is
    /// decided again, so that a scheduler that resumes knows what it has done.
    fn exploit(&mut self, scheduler: &mut dyn Scheduler, epoch: usize) -> Result<(), Error> {
        let record = self.record();
        let epochs: Vec<_> = (0..record.members()).map(|member| record.epochs(member, epoch)).collect();
        let progress = |(member, epochs)| TrialProgress { trial: member as u64, epochs };
        let progress: Vec<TrialProgress<'_>> = epochs.iter().map(Vec::as_slice).enumerate().map(progress).collect();
        let decisions = scheduler.report(&progress);
        let mut stopped = self.stopped.clone();
        let learning = |member: usize| epochs.get(member).is_some_and(|epochs| epochs.len() == epoch);
        if decisions.iter().all(|decision| *decision == Decision::Stop) {
            return Err(all_diverged(epochs.len() - (0..epochs.len()).filter(|&member| learning(member)).count()));
        }
        let mut assigned = Vec::new();
        for (member, decision) in decisions.into_iter().enumerate() {
            if decision == Decision::Stop {
                stopped.insert(member);
            }
            if let Decision::TakeOver { from, policy } = decision {
                let donor = usize::try_from(from).ok().filter(|&donor| learning(donor)).ok_or_else(|| {
                    let why = format!(
                        "member {member} cannot take over from {from}, which does not exist or no longer learns"
                    );
                    Error::study(self.folder, why)
                })?;
                stopped.remove(&member);
                assigned.push(Assignment { member, donor: Some(donor), policy });
            }
        }
        self.stopped = stopped;
        if self.record().policies_at(epoch).is_none() {
            self.assign(epoch, assigned)?;
        }
        Ok(())
    }

    fn assign(&mut self, epoch: usize, members: Vec<Assignment>) -> Result<(), Error> {
        self.core.note(Entry::Exploited { epoch, members })
    }

    fn remove_states_before(&self, epoch: usize) -> Result<(), Error> {
        let folder = self.states();
        let failed = |error| Error::file(&folder, error);
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let after = path.file_stem().and_then(|stem| stem.to_str()?.split_once('-')?.1.parse::<usize>().ok());
            if after.is_some_and(|after| after < epoch) {
                std::fs::remove_file(&path).map_err(|error| Error::file(&path, error))?;
            }
        }
        Ok(())
    }
}

fn all_diverged(members: usize) -> Error {
    let why = format!(
        "{members} children of the population diverged, so nobody can take over; a lower learning_rate may help"
    );
    Error::Child(TrainError::Failed { why })
}
