//! Learning translations between two subgroups.

use std::path::Path;
use std::time::{Duration, Instant};

use deepaug_dataset::{Dataset, Subgroups};
use deepaug_generative::Device;
use deepaug_generative::cyclegan::{Settings, Side, StepRecord, Translators, Verdict, train};
use ndarray::ArrayView4;

use super::event::PatchEvent;
use super::judges::Judges;
use super::translator::{LearningStep, Translate, TranslatorRecord};
use crate::cancel::Cancel;
use crate::config::{Translator, ValidConfig};
use crate::error::Error;
use crate::generative::device;
use crate::layout;
use crate::rng::{Purpose, derive};

/// Batches between two judgements.
const JUDGED: usize = 50;

/// What translations are learnt from.
pub(super) struct Lesson<'a> {
    pub(super) config: &'a ValidConfig,
    pub(super) dataset: &'a Dataset,
    pub(super) subgroups: &'a Subgroups,
    pub(super) train: &'a [usize],
    pub(super) judges: &'a Judges,
    pub(super) folder: &'a Path,
}

impl Lesson<'_> {
    /// Learns until judges take translations for real, and writes the translators.
    pub(super) fn learn(
        &self,
        since: Instant,
        cancel: &Cancel,
        on_event: &dyn Fn(&PatchEvent),
    ) -> Result<(Translate, TranslatorRecord), Error> {
        let config = self.config;
        let settings = Settings {
            width: config.translator_width,
            steps: config.translator_steps,
            batch: config.translator_batch,
            generator_learning_rate: config.translator_learning_rate,
            discriminator_learning_rate: config.translator_discriminator_learning_rate,
            cycle: config.translator_cycle,
            identity: config.translator_identity,
            ..Settings::default()
        };
        let of = |subgroup: usize| -> Vec<usize> {
            self.train.iter().copied().filter(|&image| self.subgroups.of[image] == subgroup).collect()
        };
        let sides = [of(0), of(1)];
        let images = sides.each_ref().map(|side| self.dataset.gather(side));
        let labels = sides.each_ref().map(|side| self.dataset.gather_labels(side));
        let mut record =
            TranslatorRecord { translator: Translator::Cyclegan, seconds: 0.0, steps: Vec::new(), judged: Vec::new() };
        let begun = Instant::now();
        let mut hear = |step: &StepRecord, translators: &Translators| {
            let StepRecord { step, loss, cycle, discriminators } = *step;
            record.steps.push(LearningStep { step, loss, cycle, discriminators });
            if cancel.is_cancelled() {
                return Ok(Verdict::Stop);
            }
            if !step.is_multiple_of(JUDGED) && step != settings.steps {
                return Ok(Verdict::GoOn);
            }
            let judged = self.judges.judge(step, &mut |into| {
                translators.translate(self.judges.images.view(), into).map_err(|error| self.failed(&error))
            });
            let judged = judged.map_err(|error| deepaug_generative::Error::Device(error.to_string()))?;
            let translate = &mut |images: ArrayView4<'_, u8>, _: &[usize], into: usize| {
                translators.translate(images, into).map_err(|error| self.failed(&error))
            };
            let drawn = self.judges.draw(&self.subgroups.names, translate, self.folder);
            drawn.map_err(|error| deepaug_generative::Error::Device(error.to_string()))?;
            let passes = judged.passes();
            let left = begun.elapsed().div_f64(step as f64).mul_f64((settings.steps - step) as f64);
            let left = if passes { Duration::ZERO } else { left };
            on_event(&PatchEvent::Judged { steps: settings.steps, judged: judged.clone(), at_most: left });
            record.judged.push(judged);
            Ok(if passes { Verdict::Enough } else { Verdict::GoOn })
        };
        let seed = derive(config.seed, Purpose::Patch, 0);
        let sides = [0, 1].map(|side| Side { images: images[side].view(), classes: &labels[side] });
        let translators =
            train(sides, &settings, device(config.device), seed, &mut hear).map_err(|error| match error {
                deepaug_generative::Error::Stopped => Error::Paused { path: self.folder.join(layout::PATCH_JOURNAL) },
                error => self.failed(&error),
            })?;
        if !record.judged.last().is_some_and(|judged| judged.passes()) {
            return Err(self.not_passed(&record));
        }
        record.seconds = since.elapsed().as_secs_f64();
        let path = self.folder.join(layout::TRANSLATORS);
        translators.save(&path).map_err(|error| self.failed(&error))?;
        Ok((Translate::Learnt(translators), record))
    }

    /// Reads translators that have been learnt.
    pub(super) fn read(path: &Path) -> Option<Translate> {
        Translators::read(path, Device::Cpu).ok().map(Translate::Learnt)
    }

    fn failed(&self, error: &deepaug_generative::Error) -> Error {
        Error::study(self.folder, format!("the translators could not be trained: {error}"))
    }

    fn not_passed(&self, record: &TranslatorRecord) -> Error {
        let names = &self.subgroups.names;
        let found = record.judged.last().map_or_else(String::new, |judged| {
            let share = |share: f64| format!("{:.0} %", 100.0 * share);
            let of = |into: usize| {
                let (taken, kept) = (share(judged.taken[into]), share(judged.kept[into]));
                format!("into \"{}\", {taken} are taken for it, and the class of {kept} is read right", names[into])
            };
            let (subgroup, class) = (share(judged.own_subgroup), share(judged.own_class));
            format!(" ({}; {}; of untouched images, {subgroup} and {class})", of(0), of(1))
        });
        let sheet = self.folder.join(layout::TRANSLATIONS);
        let why = format!(
            "the translators are not good enough to be used after {} batches{found}. See {}; raise translator_steps, say how \
             images are translated with translator = \"policy\" or \"program\", or compare the arms that need no translations: \
             --arms erm,balanced,group-dro",
            record.steps.len(),
            sheet.display()
        );
        Error::study(self.folder, why)
    }
}
