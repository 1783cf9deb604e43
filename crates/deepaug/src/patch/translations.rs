//! What each training image would look like in each subgroup: learnt, made as the user says, or known from before.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use deepaug_augmenter::export::Target;
use deepaug_augmenter::{Application, Online};
use deepaug_child_model::EpochRecord;
use ndarray::{Array4, ArrayView4, Axis, concatenate};

use super::event::PatchEvent;
use super::judges::Judges;
#[cfg(feature = "generative")]
use super::learn::Lesson;
use super::translator::{Translate, TranslatorRecord};
use super::{Entry, Run};
use crate::config::Translator;
use crate::error::Error;
use crate::files::write_whole;
use crate::layout;
use crate::policies::read::Policies;

impl Run<'_> {
    /// Returns what each training image would look like in each subgroup.
    pub(super) fn translations(&mut self) -> Result<Vec<Array4<u8>>, Error> {
        let since = Instant::now();
        let all = self.dataset.gather(&self.split.train);
        let of: Vec<usize> = self.split.train.iter().map(|&image| self.subgroups.of[image]).collect();
        if self.translator.is_some()
            && let Some(known) = self.left_behind(all.view(), &of)?
        {
            return Ok(known);
        }
        let on_epoch = |_: &EpochRecord, _: usize| !self.cancel.is_cancelled();
        (self.on_event)(&PatchEvent::Judging { epochs: Judges::epochs(self.config) });
        let parts = [&self.split.train[..], &self.split.validation];
        let judges = Judges::train(self.config, self.dataset, self.subgroups, parts, &on_epoch);
        let judges = judges.map_err(|error| match error {
            Error::Stopped => self.paused(),
            error => error,
        })?;
        let (translate, record) = match Translate::known(self.config)? {
            None => self.learnt(&judges, since)?,
            Some(known) => {
                // A program is asked once for all images.
                let both = concatenate(Axis(0), &[all.view(), judges.images.view()]).expect("images of one size");
                let of_both = [&of[..], &judges.subgroups()].concat();
                let made = (0..self.subgroups.names.len())
                    .map(|into| known.apply(both.view(), &of_both, into, self.subgroups))
                    .collect::<Result<Vec<_>, _>>()?;
                let tail = all.dim().0;
                let judged =
                    judges.judge(0, &mut |into| Ok(made[into].slice_axis(Axis(0), (tail..).into()).to_owned()))?;
                let draw = &mut |images: ArrayView4<'_, u8>, of: &[usize], into: usize| {
                    known.apply(images, of, into, self.subgroups)
                };
                judges.draw(&self.subgroups.names, draw, &self.patch.out)?;
                (self.on_event)(&PatchEvent::Judged { steps: 0, judged: judged.clone(), at_most: Duration::ZERO });
                let record = TranslatorRecord {
                    translator: self.config.translator,
                    seconds: since.elapsed().as_secs_f64(),
                    steps: Vec::new(),
                    judged: vec![judged],
                };
                if let Translate::Program(_) = known {
                    for (into, made) in made.iter().enumerate() {
                        let path = self.patch.out.join(layout::translation(into));
                        let part = made.slice_axis(Axis(0), (..tail).into()).to_owned();
                        ndarray_npy::write_npy(&path, &part)
                            .map_err(|error| Error::file(&path, std::io::Error::other(error)))?;
                    }
                }
                (known, record)
            }
        };
        self.journal.append(&Entry::Translated(record.clone()))?;
        self.translator = Some(record);
        match self.left_behind(all.view(), &of)? {
            Some(made) => Ok(made),
            None => self.each(|into| translate.apply(all.view(), &of, into, self.subgroups)),
        }
    }

    /// Returns the translations that are known from before, if their files are there.
    fn left_behind(&self, all: ArrayView4<'_, u8>, of: &[usize]) -> Result<Option<Vec<Array4<u8>>>, Error> {
        match self.config.translator {
            Translator::Program => {
                let read = |into| ndarray_npy::read_npy(self.patch.out.join(layout::translation(into))).ok();
                let made: Option<Vec<Array4<u8>>> = (0..self.subgroups.names.len()).map(read).collect();
                Ok(made.filter(|made| made.iter().all(|made| made.dim() == all.dim())))
            }
            Translator::Policy => {
                let Some(known) = Translate::known(self.config)? else { return Ok(None) };
                self.each(|into| known.apply(all, of, into, self.subgroups)).map(Some)
            }
            #[cfg(feature = "generative")]
            Translator::Cyclegan => {
                let known = Lesson::read(&self.patch.out.join(layout::TRANSLATORS));
                known.map(|known| self.each(|into| known.apply(all, of, into, self.subgroups))).transpose()
            }
            #[cfg(not(feature = "generative"))]
            Translator::Cyclegan => Ok(None),
        }
    }

    fn each(&self, of: impl Fn(usize) -> Result<Array4<u8>, Error>) -> Result<Vec<Array4<u8>>, Error> {
        (0..self.subgroups.names.len()).map(of).collect()
    }

    #[cfg(feature = "generative")]
    fn learnt(&self, judges: &Judges, since: Instant) -> Result<(Translate, TranslatorRecord), Error> {
        let Self { config, dataset, subgroups, split, patch, .. } = self;
        let lesson = Lesson { config, dataset, subgroups, train: &split.train, judges, folder: &patch.out };
        lesson.learn(since, self.cancel, self.on_event)
    }

    #[cfg(not(feature = "generative"))]
    fn learnt(&self, _: &Judges, _: Instant) -> Result<(Translate, TranslatorRecord), Error> {
        Err(Error::Stopped)
    }

    /// Writes translators as code, and returns the files; a program is code already.
    pub(super) fn translator_as_code(&self) -> Result<Vec<PathBuf>, Error> {
        #[cfg(feature = "generative")]
        if self.config.translator == Translator::Cyclegan {
            let weights = self.patch.out.join(layout::TRANSLATORS);
            if let Some(Translate::Learnt(translators)) = Lesson::read(&weights) {
                let names = [self.subgroups.names[0].clone(), self.subgroups.names[1].clone()];
                let code = self.patch.out.join(layout::TRANSLATORS_MODULE);
                write_whole(&code, translators.pytorch(&names, layout::TRANSLATORS).as_bytes())?;
                return Ok(vec![weights, code]);
            }
        }
        if self.config.translator != Translator::Policy {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for (into, name) in self.config.translator_policies.iter().enumerate().filter(|(_, name)| *name != "none") {
            let policies = Policies {
                application: Application::Online(Online { chance: 1.0, ..Online::NOTHING }),
                origin: format!("Makes images look like those of {}.", self.subgroups.names[into]),
                ..Policies::answer(Path::new(name), 1)?
            };
            // An op that torchvision cannot do the same way is left to deepaug apply.
            if let Ok(code) = policies.export(Target::Torchvision) {
                let path = self.patch.out.join(layout::translator_code(into));
                write_whole(&path, code.as_bytes())?;
                files.push(path);
            }
        }
        Ok(files)
    }
}
