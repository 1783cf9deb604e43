//! A search as it runs: a live bar in a terminal, plain lines elsewhere, JSON for programs.

use std::sync::Mutex;
use std::time::Duration;

use deepaug::{Event, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Shows events.
pub(crate) enum View {
    Json(Mutex<()>),
    Lines,
    Bar(ProgressBar),
}

impl View {
    /// The view for where this program runs.
    pub(crate) fn new(json: bool) -> Self {
        if json {
            return Self::Json(Mutex::new(()));
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if bar.is_hidden() { Self::Lines } else { Self::Bar(bar) }
    }

    pub(crate) fn show(&self, event: &Event) {
        match self {
            Self::Json(turn) => {
                // One line at a time, whichever thread an event comes from.
                let _turn = turn.lock();
                output::json(event);
            }
            Self::Lines => match event {
                Event::Epoch { .. } | Event::TrialStarted { .. } | Event::Trained { phase: "search", .. } => {}
                event => output::note(event),
            },
            Self::Bar(bar) => draw(bar, event),
        }
    }

    /// Leaves the terminal as it was found.
    pub(crate) fn close(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn draw(bar: &ProgressBar, event: &Event) {
    match event {
        Event::Started { trainings, .. } => {
            bar.set_length(*trainings as u64);
            let style =
                ProgressStyle::with_template("{spinner} {wide_bar} {pos}/{len} trainings  {prefix}\n  {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar.println(event.to_string());
        }
        Event::TrialStarted { trial, policy } => bar.set_message(format!("trial {trial}: {policy}")),
        Event::Epoch { trial, sample, epochs, record } => {
            bar.set_message(format!(
                "trial {trial} sample {sample} epoch {}/{epochs}: validation {:.3}",
                record.epoch, record.val_acc
            ));
            if record.epoch == *epochs {
                bar.inc(1);
            }
        }
        Event::TrialFinished { progress, .. } => {
            bar.set_position(progress.trainings_done as u64);
            bar.set_prefix(standing(progress));
            bar.println(event.to_string());
        }
        Event::Pretraining { .. } | Event::Trained { .. } => bar.set_message(event.to_string()),
        event => bar.println(event.to_string()),
    }
}

fn standing(progress: &Progress) -> String {
    let mut text = String::new();
    if let Some(left) = progress.left {
        text.push_str(&format!("{} left", indicatif::HumanDuration(left)));
    }
    if let (Some((_, best)), Some(baseline)) = (progress.best, progress.baseline) {
        text.push_str(&format!(", best {best:.3}, none {baseline:.3}"));
    }
    text
}
