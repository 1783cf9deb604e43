//! Writes augmented copies of images, for trainers that read folders.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use deepaug_augmenter::{Application, CopySpec, Online, Op, Policy};
use deepaug_dataset::files::{image_files, part_of_file, png, read_image};
use deepaug_dataset::{DataError, Dataset, Part};
use ndarray::{Array3, Array4, Axis};
use rayon::prelude::*;
use serde::Serialize;

use crate::cancel::Cancel;
use crate::error::{ConfigError, Error};
use crate::images::data::fingerprint;
use crate::rng::{Purpose, derive};

/// The table of all copies, in their folder.
const COPIES: &str = "copies.csv";

/// The file of an unfinished folder that says of what it is, and is locked by who writes it.
const WHAT: &str = ".deepaug-apply";

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
    /// Number of images that copies could be made of.
    pub images: usize,
    /// Number of augmented copies written.
    pub copies: usize,
}

/// Images to copy.
enum Source<'a> {
    /// The files of a folder, each in its own size.
    Files { from: &'a Path, files: Vec<PathBuf>, stems: Vec<OsString> },
    /// Those of a data set, some of which are for testing only.
    Set { dataset: &'a Dataset, has_parts: bool, folders: Vec<String> },
}

impl<'a> Source<'a> {
    fn files(from: &'a Path) -> Result<Self, Error> {
        let files = image_files(from)?;
        let stems = stems(&files);
        Ok(Self::Files { from, files, stems })
    }

    fn set(dataset: &'a Dataset) -> Self {
        let mut folders: Vec<String> = Vec::new();
        for class in dataset.classes() {
            let name = file_name_of(class);
            let is_free = |name: &String| {
                name != COPIES && folders.iter().all(|folder| folder.to_lowercase() != name.to_lowercase())
            };
            let mut numbered = (2..).map(|number| format!("{name}-{number}"));
            let free = Some(name.clone()).filter(is_free).or_else(|| numbered.find(is_free));
            folders.push(free.unwrap_or(name));
        }
        Self::Set { dataset, has_parts: dataset.parts().iter().any(|&part| part != Part::Train), folders }
    }

    fn len(&self) -> usize {
        match self {
            Self::Files { files, .. } => files.len(),
            Self::Set { dataset, .. } => dataset.len(),
        }
    }

    /// Returns the images that are copied.
    fn copied(&self) -> Vec<usize> {
        let is_copied = |&i: &usize| match self {
            Self::Files { from, files, .. } => part_of_file(from, &files[i]).is_none_or(|part| part == Part::Train),
            Self::Set { dataset, .. } => dataset.parts()[i] == Part::Train,
        };
        (0..self.len()).filter(is_copied).collect()
    }

    /// Returns where an image is found, in the user's words.
    fn name(&self, i: usize) -> String {
        match self {
            Self::Files { from, files, .. } => files[i].strip_prefix(from).unwrap_or(&files[i]).display().to_string(),
            Self::Set { dataset, .. } => dataset.name(i),
        }
    }

    /// Returns the folder of an image's copies, and what their names start with.
    fn place(&self, i: usize) -> (PathBuf, OsString) {
        match self {
            Self::Files { from, files, stems } => {
                let folder = files[i].parent().and_then(|folder| folder.strip_prefix(from).ok());
                (folder.unwrap_or(Path::new("")).into(), stems[i].clone())
            }
            Self::Set { dataset, has_parts, folders } => {
                let part = match (has_parts, dataset.parts()[i]) {
                    (false, _) => "",
                    (true, Part::Train) => "train",
                    (true, Part::Validation) => "validation",
                    (true, Part::Test) => "test",
                };
                (Path::new(part).join(&folders[dataset.labels()[i]]), format!("{i:06}").into())
            }
        }
    }

    fn read(&self, i: usize) -> Result<Array3<u8>, Error> {
        match self {
            Self::Files { files, .. } => Ok(read_image(&files[i])?),
            Self::Set { dataset, .. } => Ok(dataset.images().index_axis(Axis(0), i).to_owned()),
        }
    }

    /// Writes the original.
    fn write(&self, i: usize, folder: &Path, stem: &OsString) -> Result<(), Error> {
        match self {
            Self::Files { files, .. } => {
                let path = folder.join(files[i].file_name().unwrap_or_default());
                if path.exists() {
                    return Ok(());
                }
                let bytes = std::fs::read(&files[i]).map_err(|source| Error::file(&files[i], source))?;
                write_at_once(&path, &bytes)
            }
            Self::Set { .. } => {
                let mut name = stem.clone();
                name.push(".png");
                let path = folder.join(name);
                if path.exists() { Ok(()) } else { write_png(&path, self.read(i)?) }
            }
        }
    }

    /// Whether a path is within the folder of the images.
    fn contains(&self, path: &Path) -> bool {
        let Self::Files { from, .. } = self else { return false };
        let parent = path.ancestors().skip(1).find(|folder| folder.exists() || folder.as_os_str().is_empty());
        let parent = parent.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        match (from.canonicalize(), parent.map(Path::canonicalize)) {
            (Ok(from), Some(Ok(parent))) => parent.starts_with(from),
            _ => false,
        }
    }

    /// Returns what tells it from other images.
    fn digest(&self) -> String {
        match self {
            Self::Files { files, .. } => {
                let mut checksum = crc32fast::Hasher::new();
                for file in files {
                    let about = std::fs::metadata(file).ok();
                    let changed = about.as_ref().and_then(|about| about.modified().ok());
                    let line = format!("{}\0{:?}\0{changed:?}\n", file.display(), about.map(|about| about.len()));
                    checksum.update(line.as_bytes());
                }
                format!("{} files, crc32 {:08x}", files.len(), checksum.finalize())
            }
            Self::Set { dataset, .. } => fingerprint(dataset),
        }
    }
}

impl Apply {
    /// Writes copies of all images below `from` into the same folders below `to`, which must be new or empty, as
    /// PNG files whose names give the round and the sub-policy: `cat.jpg` becomes `cat-aug1a.png`. `copies.csv` says
    /// which image each was made from, in which round, and by which ops.
    ///
    /// The copies are collected in `to` with the ending `.unfinished`, and the folder appears once it is complete.
    /// Stopped or killed, the same call continues where it was. `progress` is called with the number of images done
    /// and the total.
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
        self.write_all(&Source::files(from)?, to, cancel, progress)
    }

    /// Does the same with a data set, in a folder for each class, below one for each part if the set says which
    /// images are for testing: these are never copied, and with `originals` written as they are.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_on(
        &self,
        dataset: &Dataset,
        to: &Path,
        cancel: &Cancel,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Applied, Error> {
        self.write_all(&Source::set(dataset), to, cancel, progress)
    }

    fn write_all(
        &self,
        source: &Source<'_>,
        to: &Path,
        cancel: &Cancel,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Applied, Error> {
        if self.policies.iter().any(|policy| !policy.earlier.is_empty()) {
            let why = "the policy changes during training, which copies cannot; `deepaug export` writes code that does";
            return Err(ConfigError::new(why).into());
        }
        // Without a slash at the end.
        let to = &to.components().collect::<PathBuf>();
        let refuse = |why: &str| Err(Error::file(to, std::io::Error::other(why)));
        let is_empty = std::fs::read_dir(to).map(|mut inside| inside.next().is_none());
        match std::fs::symlink_metadata(to) {
            _ if to.file_name().is_none() => return refuse("give the folder a name"),
            Ok(about) if !about.is_dir() => return refuse("there is something else of this name; choose another"),
            Ok(_) if !is_empty.is_ok_and(|is_empty| is_empty) => {
                return refuse("the folder is not empty; choose a new one, or empty it");
            }
            _ => {}
        }
        if source.contains(to) {
            return refuse("it lies in the images' own folder, which its copies would become part of");
        }
        let mut draft = to.as_os_str().to_owned();
        draft.push(".unfinished");
        let draft = PathBuf::from(draft);
        let lock = self.claim(source, &draft)?;
        let done = self.write_into(source, &draft, cancel, progress);
        if let Err(error) = &done {
            // What can be continued is kept.
            if !matches!(error, Error::Stopped | Error::File { .. }) {
                let _ = std::fs::remove_dir_all(&draft);
            }
        }
        let copies = done?;
        std::fs::remove_file(draft.join(WHAT)).map_err(|source| Error::file(&draft, source))?;
        drop(lock);
        std::fs::rename(&draft, to).map_err(|source| Error::file(to, source))?;
        Ok(Applied { images: source.copied().len(), copies })
    }

    /// Makes the folder for what is unfinished, or continues the one that is there if it is of the same images and
    /// settings. Returns the lock that keeps others out.
    fn claim(&self, source: &Source<'_>, draft: &Path) -> Result<File, Error> {
        let failed = |source| Error::file(draft, source);
        let what = format!("{self:?}\n{}\n", source.digest());
        let is_new = !draft.join(WHAT).exists();
        if is_new && std::fs::read_dir(draft).is_ok_and(|mut inside| inside.next().is_some()) {
            return Err(failed(std::io::Error::other("the folder is not of an unfinished apply; move it away")));
        }
        std::fs::create_dir_all(draft).map_err(failed)?;
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(draft.join(WHAT));
        let mut file = file.map_err(failed)?;
        if file.try_lock().is_err() {
            return Err(failed(std::io::Error::other("another process is writing it")));
        }
        let mut known = String::new();
        file.read_to_string(&mut known).map_err(failed)?;
        // One that was killed before it had written this has made nothing.
        if known.is_empty() {
            file.write_all(what.as_bytes()).map_err(failed)?;
        } else if known != what {
            let why = "it was begun with other images or options; repeat those to complete it, or delete it";
            return Err(failed(std::io::Error::other(why)));
        }
        Ok(file)
    }

    /// Returns the number of copies.
    fn write_into(
        &self,
        source: &Source<'_>,
        draft: &Path,
        cancel: &Cancel,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<usize, Error> {
        let copied = source.copied();
        let mut copies: Vec<Vec<(usize, CopySpec)>> = vec![Vec::new(); source.len()];
        for round in 0..self.rounds {
            let (policy, seed) = (self.policy(round), Self::seed_of_round(self.seed, round));
            let plan = match self.application {
                Application::Online(_) => policy.plan_one_each(copied.len(), seed),
                Application::Once | Application::Epoch => policy.plan(copied.len(), seed),
            };
            for copy in plan {
                copies[copied[copy.source]].push((round, copy));
            }
        }
        if self.originals {
            self.check_names(source, &copies)?;
        }
        self.list(source, &copies, &draft.join(COPIES))?;
        let done = Mutex::new(0);
        (0..source.len()).into_par_iter().try_for_each(|i| {
            let (folder, stem) = source.place(i);
            let folder = draft.join(folder);
            if self.originals || !copies[i].is_empty() {
                std::fs::create_dir_all(&folder).map_err(|source| Error::file(&folder, source))?;
            }
            if self.originals {
                source.write(i, &folder, &stem)?;
            }
            self.write(source, i, &copies[i], &copied, &folder, &stem)?;
            let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *done += 1;
            progress(*done, source.len());
            if cancel.is_cancelled() { Err(Error::Stopped) } else { Ok(()) }
        })?;
        Ok(copies.iter().map(Vec::len).sum())
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

    /// Refuses copies that would have the name of an original, as those of copies have.
    fn check_names(&self, source: &Source<'_>, copies: &[Vec<(usize, CopySpec)>]) -> Result<(), Error> {
        let Source::Files { files, from, .. } = source else { return Ok(()) };
        let originals: HashSet<&Path> = files.iter().filter_map(|file| file.strip_prefix(from).ok()).collect();
        for (i, copies) in copies.iter().enumerate() {
            let (folder, stem) = source.place(i);
            let taken = copies.iter().map(|&(round, copy)| folder.join(self.name(&stem, round, copy)));
            if let Some(taken) = taken.into_iter().find(|path| originals.contains(path.as_path())) {
                let why =
                    format!("is called like the copy to be made of {}; write copies without originals", source.name(i));
                return Err(DataError::Unusable { path: from.join(taken), why }.into());
            }
        }
        Ok(())
    }

    /// Writes the table of all copies.
    fn list(&self, source: &Source<'_>, copies: &[Vec<(usize, CopySpec)>], to: &Path) -> Result<(), Error> {
        let failed = |error: csv::Error| Error::file(to, std::io::Error::other(error));
        let mut table = csv::Writer::from_path(to).map_err(failed)?;
        table.write_record(["copy", "source", "round", "policy"]).map_err(failed)?;
        for (i, copies) in copies.iter().enumerate() {
            let ((folder, stem), name) = (source.place(i), source.name(i));
            for &(round, copy) in copies {
                let path = folder.join(self.name(&stem, round, copy));
                let policy = self.policy(round);
                // Where an image gets several sub-policies, all but the first are drawn as it is made.
                let of_copy = match policy.draws {
                    0 | 1 if policy.counts.is_empty() => policy.sub_policies[copy.sub_policy].to_string(),
                    _ => policy.to_string(),
                };
                let finish = self.application.online().map(|online| Online { chance: 0.0, ..online });
                let of_copy = match finish.filter(|finish| *finish != Online::NOTHING) {
                    Some(finish) => format!("{of_copy}; then {finish}"),
                    None => of_copy,
                };
                let cells = [path.display().to_string(), name.clone(), (round + 1).to_string(), of_copy];
                table.write_record(cells).map_err(failed)?;
            }
        }
        table.flush().map_err(|error| Error::file(to, error))
    }

    /// Writes the copies of an image, except those that are there.
    fn write(
        &self,
        source: &Source<'_>,
        i: usize,
        copies: &[(usize, CopySpec)],
        copied: &[usize],
        folder: &Path,
        stem: &OsString,
    ) -> Result<(), Error> {
        let path = |round, copy| folder.join(self.name(stem, round, copy));
        let missing: Vec<_> = copies.iter().filter(|&&(round, copy)| !path(round, copy).exists()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let image = source.read(i)?;
        for &&(round, copy) in &missing {
            let policy = self.policy(round);
            let mut copy_of = image.clone();
            let own = policy.sub_policies[copy.sub_policy].ops.iter().any(|step| step.op == Op::SamplePairing);
            // Further draws may select any of the ops.
            let pairs = own
                || ((policy.draws > 1 || !policy.counts.is_empty())
                    && policy.steps().any(|step| step.op == Op::SamplePairing));
            // Any other image will do; a fixed distance saves every copy from reading all images.
            let other = copied[(copy.source + 1 + round) % copied.len()];
            let others = if pairs { source.read(other)?.insert_axis(Axis(0)) } else { Array4::zeros((0, 0, 0, 0)) };
            if pairs && others.index_axis(Axis(0), 0).dim() != image.dim() {
                let why = format!(
                    "its size differs from that of {}; sample-pairing needs images of one size",
                    source.name(other)
                );
                return Err(DataError::Unusable { path: source.name(i).into(), why }.into());
            }
            let seed = Self::seed_of_round(self.seed, round);
            policy.apply(copy, copy_of.view_mut(), others.view(), seed);
            if let Application::Online(online) = self.application {
                online.finish_one(copy_of.view_mut(), copy.source, seed);
            }
            write_png(&path(round, copy), copy_of)?;
        }
        Ok(())
    }
}

fn write_png(path: &Path, image: Array3<u8>) -> Result<(), Error> {
    let bytes = png(image).map_err(|why| Error::file(path, std::io::Error::other(why)))?;
    write_at_once(path, &bytes)
}

/// Writes a file that is there whole or not at all if this process is killed.
fn write_at_once(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let write = std::fs::write(&unfinished, bytes).and_then(|()| std::fs::rename(&unfinished, path));
    write.map_err(|source| Error::file(path, source))
}

/// Returns a class's name as that of a folder.
fn file_name_of(class: &str) -> String {
    let safe = class.replace(['/', '\\', '\0', ':'], "_");
    if safe.is_empty() || safe.starts_with('.') { format!("_{safe}") } else { safe }
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
