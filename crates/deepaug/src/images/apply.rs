//! Writes augmented copies of a folder of images, for trainers that read folders.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use deepaug_augmenter::{Application, CopySpec, Op, Policy};
use deepaug_dataset::DataError;
use deepaug_dataset::files::{image_files, png, read_image};
use ndarray::{Array4, Axis};
use rayon::prelude::*;
use serde::Serialize;

use crate::cancel::Cancel;
use crate::error::Error;
use crate::rng::{Purpose, derive};

/// The table of all copies, in their folder.
const COPIES: &str = "copies.csv";

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub struct Apply {
    /// The policies; each round uses the next one.
    pub policies: Vec<Policy>,
    /// Number of rounds of copies.
    pub rounds: usize,
    /// How policies are applied. Online, each round makes one copy of every image, by a sub-policy drawn at random
    /// and then finished, instead of a copy by each sub-policy of its portion.
    pub application: Application,
    /// Whether the original images are written too.
    pub originals: bool,
    /// Seed of all randomness.
    pub seed: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Number of images read.
    pub images: usize,
    /// Number of augmented copies written.
    pub copies: usize,
}

impl Apply {
    /// Writes copies of all images below `from` into the same folders below `to`, which must be new or empty, as
    /// PNG files whose names give the round and the sub-policy: `cat.jpg` becomes `cat-aug1a.png`. `copies.csv` says
    /// which image each was made from, in which round, and by which ops. The folder appears once it is complete. `progress` is called with the number of images done and the total.
    ///
    /// # Errors
    /// [`Error::Data`] names an unreadable image, [`Error::File`] a file that cannot be written,
    /// [`Error::Stopped`] says that it was stopped.
    pub fn run(
        &self,
        from: &Path,
        to: &Path,
        cancel: &Cancel,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Applied, Error> {
        let files = image_files(from)?;
        if std::fs::read_dir(to).is_ok_and(|mut inside| inside.next().is_some()) {
            let why = std::io::Error::other("the folder is not empty; choose a new one, or empty it");
            return Err(Error::file(to, why));
        }
        let parent = match to.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(|source| Error::file(parent, source))?;
        let draft = tempfile::Builder::new()
            .prefix(".deepaug-")
            .tempdir_in(parent)
            .map_err(|source| Error::file(parent, source))?;

        let mut copies: Vec<Vec<(usize, CopySpec)>> = vec![Vec::new(); files.len()];
        for round in 0..self.rounds {
            let (policy, seed) = (self.policy(round), Self::seed_of_round(self.seed, round));
            let plan = match self.application {
                Application::Online(_) => policy.plan_one_each(files.len(), seed),
                Application::Once | Application::Epoch => policy.plan(files.len(), seed),
            };
            for copy in plan {
                copies[copy.source].push((round, copy));
            }
        }
        let stems = stems(&files);
        self.list(from, &files, &stems, &copies, &draft.path().join(COPIES))?;
        let done = Mutex::new(0);
        files.par_iter().enumerate().try_for_each(|(i, file)| {
            let folder = file.parent().and_then(|folder| folder.strip_prefix(from).ok()).unwrap_or(Path::new(""));
            let folder = draft.path().join(folder);
            std::fs::create_dir_all(&folder).map_err(|source| Error::file(&folder, source))?;
            if self.originals {
                let target = folder.join(file.file_name().unwrap_or_default());
                std::fs::copy(file, &target).map_err(|source| Error::file(file, source))?;
            }
            self.write(file, &copies[i], &files, &folder, &stems[i])?;
            let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *done += 1;
            progress(*done, files.len());
            if cancel.is_cancelled() { Err(Error::Stopped) } else { Ok(()) }
        })?;

        let draft = draft.keep();
        open_to_all(&draft);
        std::fs::rename(&draft, to).map_err(|source| {
            let _ = std::fs::remove_dir_all(&draft);
            Error::file(to, source)
        })?;
        Ok(Applied { images: files.len(), copies: copies.iter().map(Vec::len).sum() })
    }

    fn policy(&self, round: usize) -> &Policy {
        &self.policies[round % self.policies.len()]
    }

    /// Returns the seed with which a round's copies are those of [`Policy::copies`].
    pub fn seed_of_round(seed: u64, round: usize) -> u64 {
        derive(seed, Purpose::Sample, round as u64)
    }

    fn name(&self, stem: &OsString, round: usize, copy: CopySpec) -> OsString {
        // A single copy per round needs no letter to tell it apart.
        let sub_policy = if self.application.keeps_originals() { copy.sub_policy } else { 0 };
        let letter = char::from(b'a' + (sub_policy % 26) as u8);
        let mut name = stem.clone();
        name.push(format!("-aug{}{letter}.png", round + 1));
        name
    }

    /// Writes the table of all copies.
    fn list(
        &self,
        from: &Path,
        files: &[PathBuf],
        stems: &[OsString],
        copies: &[Vec<(usize, CopySpec)>],
        to: &Path,
    ) -> Result<(), Error> {
        let failed = |error: csv::Error| Error::file(to, std::io::Error::other(error));
        let mut table = csv::Writer::from_path(to).map_err(failed)?;
        table.write_record(["copy", "source", "round", "policy"]).map_err(failed)?;
        for ((file, stem), copies) in files.iter().zip(stems).zip(copies) {
            let source = file.strip_prefix(from).unwrap_or(file);
            for &(round, copy) in copies {
                let path = source.with_file_name(self.name(stem, round, copy));
                let policy = self.policy(round);
                // Where an image gets several sub-policies, all but the first are drawn as it is made.
                let of_copy = match policy.draws {
                    0 | 1 => policy.sub_policies[copy.sub_policy].to_string(),
                    _ => policy.to_string(),
                };
                let cells =
                    [path.display().to_string(), source.display().to_string(), (round + 1).to_string(), of_copy];
                table.write_record(cells).map_err(failed)?;
            }
        }
        table.flush().map_err(|error| Error::file(to, error))
    }

    fn write(
        &self,
        file: &Path,
        copies: &[(usize, CopySpec)],
        files: &[PathBuf],
        folder: &Path,
        stem: &OsString,
    ) -> Result<(), Error> {
        if copies.is_empty() {
            return Ok(());
        }
        let image = read_image(file)?;
        for &(round, copy) in copies {
            let policy = self.policy(round);
            let mut copied = image.clone();
            let own = policy.sub_policies[copy.sub_policy].ops.iter().any(|step| step.op == Op::SamplePairing);
            // Further draws may select any of the ops.
            let pairs = own || (policy.draws > 1 && policy.steps().any(|step| step.op == Op::SamplePairing));
            // Any other image will do; a fixed distance saves every copy from reading all images.
            let other = &files[(copy.source + 1 + round) % files.len()];
            let others = if pairs { read_image(other)?.insert_axis(Axis(0)) } else { Array4::zeros((0, 0, 0, 0)) };
            if pairs && others.index_axis(Axis(0), 0).dim() != image.dim() {
                let why = format!(
                    "its size differs from that of {}; sample-pairing needs images of one size",
                    other.display()
                );
                return Err(DataError::Unusable { path: file.into(), why }.into());
            }
            let seed = Self::seed_of_round(self.seed, round);
            policy.apply(copy, copied.view_mut(), others.view(), seed);
            if let Application::Online(online) = self.application {
                online.finish_one(copied.view_mut(), copy.source, seed);
            }
            let path = folder.join(self.name(stem, round, copy));
            let bytes = png(copied).map_err(|why| Error::file(&path, std::io::Error::other(why)))?;
            std::fs::write(&path, bytes).map_err(|source| Error::file(&path, source))?;
        }
        Ok(())
    }
}

/// Returns the prefix of each file's copies: its stem, or its whole name if another file has the same stem.
fn stems(files: &[PathBuf]) -> Vec<OsString> {
    let stem = |file: &Path| file.with_extension("");
    let mut counts: HashMap<PathBuf, usize> = HashMap::new();
    files.iter().for_each(|file| *counts.entry(stem(file)).or_default() += 1);
    let alone = |file: &PathBuf| counts.get(&stem(file)).is_none_or(|&count| count == 1);
    let names = files.iter().map(|file| if alone(file) { file.file_stem() } else { file.file_name() });
    names.map(|name| name.unwrap_or_default().to_owned()).collect()
}

/// Makes a result as accessible as any other new folder; temporary folders are private to their owner.
fn open_to_all(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755));
    }
    #[cfg(not(unix))]
    let _ = folder;
}
