//! Progress of a search or a comparison: live lines in a terminal, plain lines elsewhere, JSON for programs.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deepaug::cluster::ClusterEvent;
use deepaug::compare::CompareEvent;
use deepaug::{Event, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Shows what happens to other machines, beside everything else.
pub(crate) trait Beside {
    fn show_beside(&self, event: &ClusterEvent);
}

impl Beside for View {
    fn show_beside(&self, event: &ClusterEvent) {
        match self {
            Self::Json(turn) => {
                let _turn = turn.lock();
                output::json(event);
            }
            Self::Lines => output::note(event),
            Self::Live(live) => {
                let _ = live.lock().unwrap_or_else(PoisonError::into_inner).all.println(event.to_string());
            }
        }
    }
}

impl Beside for Trainings {
    fn show_beside(&self, event: &ClusterEvent) {
        match self {
            Self::Json(turn) => {
                let _turn = turn.lock();
                output::json(event);
            }
            Self::Lines => output::note(event),
            Self::Bar(bar) => bar.println(event.to_string()),
        }
    }
}

/// Makes a bar, which hides itself without a terminal, and for programs.
pub(crate) fn bar(json: bool, template: &str) -> ProgressBar {
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Shows events.
pub(crate) enum View {
    Json(Mutex<()>),
    Lines,
    Live(Mutex<Live>),
}

impl View {
    /// Returns the view that suits the terminal.
    pub(crate) fn new(json: bool) -> Self {
        if json {
            return Self::Json(Mutex::new(()));
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        if all.is_hidden() { Self::Lines } else { Self::Live(Mutex::new(Live::new(all))) }
    }

    pub(crate) fn show(&self, event: &Event) {
        match self {
            Self::Json(turn) => {
                // One line at a time, whichever thread an event comes from.
                let _turn = turn.lock();
                output::json(event);
            }
            Self::Lines => match event {
                Event::Epoch { .. }
                | Event::PopulationEpoch { .. }
                | Event::TrialStarted { .. }
                | Event::Trained { phase: "search", .. } => {}
                event => output::note(event),
            },
            Self::Live(live) => live.lock().unwrap_or_else(PoisonError::into_inner).show(event),
        }
    }

    /// Restores the terminal.
    pub(crate) fn close(&self) {
        if let Self::Live(live) = self {
            let _ = live.lock().unwrap_or_else(PoisonError::into_inner).all.clear();
        }
    }
}

/// A bar for the search, and below it a line for each running training.
pub(crate) struct Live {
    all: MultiProgress,
    whole: ProgressBar,
    under_way: BTreeMap<(u64, usize), ProgressBar>,
    trained: u64,
}

impl Live {
    fn new(all: MultiProgress) -> Self {
        let whole = all.add(ProgressBar::no_length());
        whole.set_style(style("{spinner} {wide_bar} {pos}/{len} trainings  {prefix}"));
        Self { all, whole, under_way: BTreeMap::new(), trained: 0 }
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Started { trainings, .. } => {
                self.whole.set_length(*trainings as u64);
                self.whole.enable_steady_tick(Duration::from_millis(200));
                self.say(event);
            }
            Event::TrialStarted { .. } => {}
            Event::Epoch { trial, sample, epochs, record } => {
                let line = self.under_way.entry((*trial, *sample)).or_insert_with(|| {
                    let line = self.all.add(ProgressBar::new(*epochs as u64));
                    line.set_style(style("  {msg}  {bar:20} {pos}/{len} epochs"));
                    line
                });
                line.set_position(record.epoch as u64);
                line.set_message(format!("trial {trial} sample {sample}: validation {:.3}", record.val_acc));
            }
            Event::Trained { trial, sample, .. } | Event::TrainingFailed { trial, sample, .. } => {
                if let Some(line) = self.under_way.remove(&(*trial, *sample)) {
                    line.finish_and_clear();
                    self.all.remove(&line);
                }
                self.trained += 1;
                self.whole.set_position(self.trained);
                if matches!(event, Event::TrainingFailed { .. } | Event::Trained { phase: "confirm", .. }) {
                    self.say(event);
                }
            }
            Event::TrialFinished { progress, .. } => {
                self.trained = self.trained.max(progress.trainings_done as u64);
                self.whole.set_position(self.trained);
                self.whole.set_prefix(standing(progress));
                self.say(event);
            }
            Event::PopulationEpoch { .. }
            | Event::AdversaryEpoch { .. }
            | Event::TandaStep { .. }
            | Event::Pretraining { .. } => {
                self.whole.set_prefix(event.to_string());
            }
            event => self.say(event),
        }
    }

    fn say(&self, event: &Event) {
        // A terminal that has gone away is not an error.
        let _ = self.all.println(event.to_string());
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn standing(progress: &Progress) -> String {
    let mut text = String::new();
    if let Some(left) = progress.left {
        text.push_str(&format!("{} left", indicatif::HumanDuration(left)));
    }
    if let Some(speed) = progress.images_per_second {
        text.push_str(&format!(", {speed:.0} images/s"));
    }
    if let (Some((_, best)), Some(baseline)) = (progress.best, progress.baseline) {
        text.push_str(&format!(", best {best:.3}, none {baseline:.3}"));
    }
    text
}

/// Shows the trainings of a comparison.
pub(crate) enum Trainings {
    Json(Mutex<()>),
    Lines,
    Bar(ProgressBar),
}

impl Trainings {
    /// Returns the view that suits the terminal.
    pub(crate) fn new(json: bool) -> Self {
        if json {
            return Self::Json(Mutex::new(()));
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if bar.is_hidden() { Self::Lines } else { Self::Bar(bar) }
    }

    pub(crate) fn show(&self, event: &CompareEvent) {
        match (self, event) {
            (Self::Json(turn), event) => {
                let _turn = turn.lock();
                output::json(event);
            }
            (Self::Lines, CompareEvent::Epoch { .. }) => {}
            (Self::Lines, event) => output::note(event),
            (Self::Bar(bar), CompareEvent::Started { trainings, known, .. }) => {
                bar.set_length(*trainings as u64);
                bar.set_position(*known as u64);
                let style = ProgressStyle::with_template("{spinner} {wide_bar} {pos}/{len} trainings\n  {wide_msg}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.enable_steady_tick(Duration::from_millis(200));
                bar.println(event.to_string());
            }
            (Self::Bar(bar), CompareEvent::Epoch { .. }) => bar.set_message(event.to_string()),
            (Self::Bar(bar), event) => {
                bar.inc(1);
                bar.println(event.to_string());
            }
        }
    }

    /// Restores the terminal.
    pub(crate) fn close(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
