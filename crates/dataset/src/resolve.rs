//! From the names that tables give images to the files that they mean.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::dataset::Part;
use crate::error::DataError;
use crate::formats::part_of_path;
use crate::tree::{Tree, file_name, has_image_name, is_image};

/// Looks for the one file that a name can mean: as it stands, seen from the table's folder; else among all images that lie there, by the
/// end of its path, with or without the file's extension, in whatever case.
#[derive(Debug)]
pub(crate) struct Resolver<'t> {
    /// The table's folder.
    folder: PathBuf,
    /// What lies there; nothing where the table alone was named, until a name does not stand as it is.
    around: Option<&'t Tree>,
    walked: OnceCell<Option<Tree>>,
    /// Images by the name of their file, and by that without its extension, in lower case; made when a name does not stand as it is.
    index: OnceCell<Index>,
    /// All files that lie there.
    known: OnceCell<HashSet<&'t OsStr>>,
}

#[derive(Debug, Default)]
struct Index {
    names: HashMap<String, Vec<PathBuf>>,
    stems: HashMap<String, Vec<PathBuf>>,
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// The file of this very name.
    Exact(PathBuf),
    /// The only file that it can mean.
    Assumed(PathBuf),
    /// Several that it can mean equally well.
    Ambiguous(Vec<PathBuf>),
    /// No image.
    Missing,
}

impl<'t> Resolver<'t> {
    /// For a table of a tree, or one that is all of it.
    pub(crate) fn new(tree: &'t Tree, table: &Path) -> Self {
        let folder = table.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let around = tree.is_folder().then_some(tree);
        Self { folder: folder.into(), around, walked: OnceCell::new(), index: OnceCell::new(), known: OnceCell::new() }
    }

    /// What names are looked up in; none where it cannot be walked.
    pub(crate) fn tree(&self) -> Option<&Tree> {
        self.around.or_else(|| self.walked.get_or_init(|| Tree::new(&self.folder).ok()).as_ref())
    }

    /// The folder that paths start from.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn known(&self) -> &HashSet<&'t OsStr> {
        self.known.get_or_init(|| self.around.into_iter().flat_map(Tree::files).map(Path::as_os_str).collect())
    }

    /// Looks for an image of a part.
    pub(crate) fn find(&self, name: &str, part: Part) -> Found {
        let stands = self.folder.join(name);
        // One that the tree lacks may be hidden, or outside.
        let is_there = || self.known().contains(stands.as_os_str()) || stands.is_file();
        if !name.is_empty() && has_image_name(&stands) && is_there() {
            return Found::Exact(stands);
        }
        let plain = name.replace('\\', "/");
        self.search(&plain, part).or_else(|| self.search(&decoded(&plain)?, part)).unwrap_or_else(|| {
            // A file without an extension, named in full.
            if !name.is_empty() && stands.is_file() { Found::Exact(stands) } else { Found::Missing }
        })
    }

    fn search(&self, name: &str, part: Part) -> Option<Found> {
        let wanted: Vec<String> = parts(Path::new(name)).collect();
        let last = wanted.last()?;
        let tree = self.tree()?;
        let index = self.index.get_or_init(|| Index::of(tree));
        let named = index.names.get(last);
        let candidates = named.or_else(|| index.stems.get(last).filter(|_| !has_image_name(Path::new(last))))?;
        // Those that agree with most of the folders that the name gives.
        let agreement = |file: &PathBuf| {
            let found: Vec<String> = parts(file.parent().unwrap_or(file)).collect();
            wanted.iter().rev().skip(1).zip(found.iter().rev()).take_while(|(a, b)| a == b).count()
        };
        let most = candidates.iter().map(agreement).max()?;
        let mut best: Vec<&PathBuf> = candidates.iter().filter(|file| agreement(file) == most).collect();
        let narrow = |best: &mut Vec<&PathBuf>, is_fitting: &dyn Fn(&Path) -> bool| {
            if best.len() > 1 && best.iter().any(|file| is_fitting(file)) {
                best.retain(|file| is_fitting(file));
            }
        };
        narrow(&mut best, &|file| file.parent() == Some(&self.folder));
        narrow(&mut best, &|file| part_of_path(tree, file) == Some(part));
        Some(match best[..] {
            [one] => Found::Assumed(one.clone()),
            _ => Found::Ambiguous(best.into_iter().cloned().collect()),
        })
    }
}

impl Index {
    fn of(tree: &Tree) -> Self {
        let mut index = Self::default();
        for file in tree.files().filter(|file| is_image(file)) {
            let name = file_name(file).to_lowercase();
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
            index.stems.entry(stem).or_default().push(file.into());
            index.names.entry(name).or_default().push(file.into());
        }
        index
    }
}

/// The parts of a path's name, in lower case, without what says nothing of the file.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = String> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_string_lossy().to_lowercase()),
        _ => None,
    })
}

/// A name with its percent codes decoded (RFC 3986); none where it has none.
fn decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    let mut is_coded = false;
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                is_coded = true;
                bytes.push(code);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|_| is_coded)
}

/// The error of a name that can mean several files.
pub(crate) fn ambiguous(name: &str, files: &[PathBuf]) -> String {
    let (first, second) = (files[0].display(), files[1].display());
    format!("{name} can mean {first} and {second}; give the path to one of them")
}

/// The error of a table none of whose names is found.
pub(crate) fn nothing_found(table: &Path, column: &str, example: &str) -> DataError {
    DataError::damaged(
        table,
        format!(
            "no image is called as its column \"{column}\" says (\"{example}\"); set image_column, or put the images beside it"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"\x89PNG\r\n\x1a\n").unwrap();
        }
        let tree = Tree::new(folder.path()).unwrap();
        (folder, tree)
    }

    #[test]
    fn names_mean_the_one_file_that_they_can_mean() {
        let (folder, tree) = tree(&[
            "a/1.png",
            "b/1.png",
            "b/2.PNG",
            "train_images/7.jpg",
            "test_images/7.jpg",
            "part 1/x y.png",
            "hash",
            "v1.2/c.png",
        ]);
        let resolver = Resolver::new(&tree, &folder.path().join("table.csv"));
        let found = |name: &str, part| match resolver.find(name, part) {
            Found::Exact(file) => format!("= {}", tree.name(&file)),
            Found::Assumed(file) => format!("~ {}", tree.name(&file)),
            Found::Ambiguous(files) => files.iter().map(|file| format!("? {} ", tree.name(file))).collect(),
            Found::Missing => "-".into(),
        };
        for (name, expected) in [
            ("a/1.png", "= a/1.png"),
            ("2.png", "~ b/2.PNG"),
            ("2", "~ b/2.PNG"),
            ("1", "? a/1.png ? b/1.png "),
            ("old/b/1.png", "~ b/1.png"),
            ("C:\\data\\b\\1.png", "~ b/1.png"),
            ("part%201/x%20y.png", "~ part 1/x y.png"),
            ("x y", "~ part 1/x y.png"),
            ("hash", "~ hash"),
            ("c", "~ v1.2/c.png"),
            ("../../a/1.png", "~ a/1.png"),
            ("3.png", "-"),
            ("", "-"),
        ] {
            assert_eq!(found(name, Part::Train), expected, "{name}");
        }
        assert_eq!(found("7", Part::Train), "~ train_images/7.jpg");
        assert_eq!(found("7.jpg", Part::Test), "~ test_images/7.jpg");
        assert_eq!(found("7.jpg", Part::Validation), "? test_images/7.jpg ? train_images/7.jpg ");
    }
}
