//! A table that names an image and its label in each row: CSV, TSV, or lines of JSON.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::StringRecord;

use super::table::{Table, at};
use super::{Content, Format, Item, Listing, extension, file_name, is_image_name, part_in_name, part_of_path};
use crate::dataset::Part;
use crate::error::DataError;
use crate::options::{Columns, OnBadImage, ReadOptions};
use crate::resolve::{Found, Resolver, ambiguous, nothing_found};
use crate::tree::Tree;

/// A table, or a folder that holds some which name the images in it.
#[derive(Debug)]
pub(crate) struct Manifest;

/// Tables that are taken where several fit, that of Hugging Face's image folders first.
const NAMES: [&str; 3] = ["metadata", "labels", "manifest"];

/// What columns are usually called.
pub(crate) const IMAGE: [&str; 18] = [
    "path",
    "image",
    "file",
    "filename",
    "file_name",
    "image_path",
    "filepath",
    "file_path",
    "img",
    "image_id",
    "imageid",
    "image_name",
    "img_name",
    "img_path",
    "img_id",
    "id",
    "name",
    "photo",
];
const LABEL: [&str; 14] = [
    "label",
    "class",
    "category",
    "target",
    "class_name",
    "y",
    "labels",
    "label_name",
    "dx",
    "diagnosis",
    "species",
    "breed",
    "label_id",
    "class_id",
];
const SPLIT: [&str; 14] = [
    "split",
    "subset",
    "part",
    "set",
    "data set",
    "dataset",
    "data_set",
    "partition",
    "is_valid",
    "is_val",
    "is_validation",
    "is_test",
    "is_train",
    "train_test",
];
const GROUP: [&str; 6] = ["group", "group_id", "patient", "patient_id", "subject", "subject_id"];

/// Ids without an extension name images where there is one for at least this many files.
const FEWEST_IDS: usize = 5;

/// Rows of a table that are looked at to tell which column names images.
const LOOKED_AT: usize = 40;

impl Format for Manifest {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn recognises(&self, tree: &Tree, options: &ReadOptions) -> bool {
        if !tree.is_folder() {
            return is_table(tree.root());
        }
        candidates(tree).into_iter().any(|path| of_images(tree, &path, options).is_some())
    }

    fn files(&self, tree: &Tree, options: &ReadOptions) -> Result<Vec<PathBuf>, DataError> {
        let Listing { items, sources, .. } = self.list(tree, options)?;
        Ok(sources.into_iter().chain(items.into_iter().map(|item| item.name)).collect())
    }

    fn list(&self, tree: &Tree, options: &ReadOptions) -> Result<Listing, DataError> {
        let mut listing = Listing::default();
        if !tree.is_folder() {
            let table = tree.table(tree.root())?;
            add(tree, &table, Part::Train, options, &mut listing)?;
            return Ok(listing);
        }
        for (part, table) in chosen(tree, options)? {
            add(tree, &table, part, options, &mut listing)?;
        }
        Ok(listing)
    }
}

pub(crate) fn is_table(path: &Path) -> bool {
    matches!(extension(path).as_str(), "csv" | "tsv" | "jsonl")
}

/// Tables in the folder, and in folders of parts.
fn candidates(tree: &Tree) -> Vec<PathBuf> {
    let root = tree.root();
    let folders = std::iter::once(root).chain(tree.folders_in(root));
    let is_answer = |path: &Path| file_name(path).to_lowercase().contains("submission");
    folders
        .flat_map(|folder| tree.files_in(folder))
        .filter(|path| is_table(path) && !is_answer(path))
        .cloned()
        .collect()
}

/// A table whose rows name images that lie there, and that has labels. Columns that were asked for and are not there are an error of
/// one that would fit without them.
fn of_images(tree: &Tree, path: &Path, options: &ReadOptions) -> Option<Rc<Table>> {
    let table = tree.table(path).ok()?;
    let usual = ReadOptions { columns: Columns::default(), ..options.clone() };
    let fits = |options: &ReadOptions| Places::find(&table, tree, options).is_ok_and(|places| places.resolves);
    (fits(options) || (options.columns != usual.columns && fits(&usual))).then_some(table)
}

/// The tables that make the set: those of its parts, or the one that is left.
fn chosen(tree: &Tree, options: &ReadOptions) -> Result<Vec<(Part, Rc<Table>)>, DataError> {
    let mut tables: Vec<Rc<Table>> =
        candidates(tree).iter().filter_map(|path| of_images(tree, path, options)).collect();
    let part = |table: &Table| part_in_name(&file_name(&table.path)).or_else(|| part_of_path(tree, &table.path));
    let parts: Vec<Part> = tables.iter().filter_map(|table| part(table)).collect();
    let is_each_once = (1..parts.len()).all(|i| !parts[..i].contains(&parts[i]));
    let stem = |table: &Table| table.path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let usual = NAMES.iter().find_map(|name| tables.iter().position(|table| stem(table) == *name));
    let all_are_parts = parts.len() == tables.len() && is_each_once;
    match (tables.len(), usual) {
        (0, _) => Err(DataError::unusable(
            tree.root(),
            "no table in it names the images that lie there; name the table itself, and set image_column and label_column",
        )),
        (_, Some(usual)) if !all_are_parts => Ok(vec![(Part::Train, tables.swap_remove(usual))]),
        (1, _) if !all_are_parts => Ok(vec![(Part::Train, tables.swap_remove(0))]),
        _ if is_each_once && !parts.is_empty() => {
            Ok(tables.into_iter().filter_map(|table| Some((part(&table)?, table))).collect())
        }
        _ => Err(DataError::unusable(
            tree.root(),
            format!(
                "{} and {} both name its images; name the table that is meant",
                tree.name(&tables[0].path),
                tree.name(&tables[1].path)
            ),
        )),
    }
}

/// Adds the rows of a table of a part to a listing.
fn add(tree: &Tree, table: &Table, part: Part, options: &ReadOptions, listing: &mut Listing) -> Result<(), DataError> {
    let places = Places::find(table, tree, options)?;
    let mut table = Cow::Borrowed(table);
    if places.headless {
        let head = table.head.clone();
        table.to_mut().rows.insert(0, (1, head));
    }
    listing.notes.extend(places.notes.iter().cloned());
    let path = &table.path;
    let resolver = Resolver::new(tree, path);
    let first = listing.items.len();
    // The rows of files: paths as words, for hashing their components takes long.
    let mut seen: HashMap<OsString, usize> = HashMap::with_capacity(table.rows.len());
    let mut assumed: (usize, Option<(String, PathBuf)>) = (0, None);
    for row in 0..table.rows.len() {
        let line = table.rows[row].0;
        let wrong = |why: String| DataError::damaged(&at(path, line), why);
        let (name, mut item) = places.item(&table, row, part).map_err(wrong)?;
        item.name = match resolver.find(&name, item.part) {
            Found::Exact(file) => file,
            Found::Assumed(file) => {
                assumed = (assumed.0 + 1, assumed.1.or_else(|| Some((name, file.clone()))));
                file
            }
            Found::Ambiguous(files) => return Err(wrong(ambiguous(&name, &files))),
            // Images to be skipped are counted where all bad ones are.
            Found::Missing if options.on_bad_image == OnBadImage::Skip => resolver.folder().join(&name),
            Found::Missing => {
                let missing = resolver.folder().join(&name);
                let why = format!("{}: no such file; paths start from the table's folder", missing.display());
                return Err(wrong(why));
            }
        };
        if let Some(before) = seen.insert(item.name.clone().into_os_string(), row) {
            let (label, before) = (&listing.items[first + before].label, table.rows[before].0);
            let name = item.name.display();
            let why = if *label == item.label {
                format!("{name} is in line {before} already; remove one")
            } else {
                format!("{name} is \"{}\" here, but \"{label}\" in line {before}; one image has one label", item.label)
            };
            return Err(wrong(why));
        }
        listing.items.push(item);
    }
    if let (count, Some((name, file))) = assumed {
        listing.notes.say(format!(
            "{count} of the names in {} are no paths as they stand: \"{name}\" is taken to be {}",
            file_name(path),
            file.strip_prefix(resolver.folder()).unwrap_or(&file).display()
        ));
    }
    listing.sources.push(path.clone());
    Ok(())
}

/// The positions of the columns in a row.
struct Places {
    image: usize,
    label: usize,
    split: Option<(usize, Split)>,
    group: Option<usize>,
    subgroup: Option<usize>,
    headless: bool,
    /// Whether most of its names are images that lie there.
    resolves: bool,
    notes: Vec<String>,
}

/// How a column says what part a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Split {
    /// By name.
    Names,
    /// By whether it is of this part; else it is of the training part, or, if it is asked whether it is of that, of validation.
    Flag(Part),
    /// By the number of a fold: the first validates.
    Folds,
}

impl Places {
    fn find(table: &Table, tree: &Tree, options: &ReadOptions) -> Result<Self, DataError> {
        let Table { path, head, .. } = table;
        let given = &options.columns;
        let wrong = |why: String| DataError::damaged(path, why);
        let named = |name: &String| match head.iter().position(|cell| cell.trim() == name) {
            Some(place) => Ok(place),
            None => Err(wrong(format!("there is no column \"{name}\"; there are {}", list(head)))),
        };
        let given_or = |given: &Option<String>, usual: &dyn Fn() -> Option<usize>| match given {
            Some(name) => named(name).map(Some),
            None => Ok(usual()),
        };
        let usual = |names: &[&str]| {
            names.iter().find_map(|name| head.iter().position(|cell| cell.trim().to_lowercase() == *name))
        };
        if given == &Columns::default()
            && head.len() >= 2
            && is_image_name(Path::new(head[0].trim()))
            && usual(&IMAGE).is_none()
        {
            let split = head.get(2).filter(|cell| part_in_name(cell).is_some()).map(|_| (2, Split::Names));
            return Ok(Self {
                image: 0,
                label: 1,
                split,
                group: None,
                subgroup: None,
                headless: true,
                resolves: true,
                notes: Vec::new(),
            });
        }
        // The names of images are those that files have.
        let resolver = Resolver::new(tree, path);
        let step = table.rows.len().div_ceil(LOOKED_AT).max(1);
        let looked_at: Vec<usize> = (0..table.rows.len()).step_by(step).collect();
        // Numbers that happen to be names of files are no ids of images unless there are many of them, and their column is called so.
        let is_usual = |column: usize| IMAGE.contains(&head[column].trim().to_lowercase().as_str());
        let has_many = || table.rows.len() * FEWEST_IDS >= resolver.tree().map_or(0, |tree| tree.files().count());
        let found = |column: usize| {
            let is_found = |row: &&usize| {
                let name = table.cell(**row, column);
                match resolver.find(name, Part::Train) {
                    Found::Exact(_) => true,
                    Found::Assumed(_) if is_image_name(Path::new(name)) => true,
                    Found::Assumed(_) | Found::Ambiguous(_) => is_usual(column) && has_many(),
                    Found::Missing => false,
                }
            };
            looked_at.iter().filter(is_found).count()
        };
        let is_most = |count: usize| 2 * count >= looked_at.len().max(1);
        let by_name = || {
            let usual =
                IMAGE.iter().filter_map(|name| head.iter().position(|cell| cell.trim().to_lowercase() == *name));
            let others = 0..head.len();
            let usual: Vec<usize> = usual.collect();
            let rest: Vec<usize> = others.filter(|place| !usual.contains(place)).collect();
            let first = usual.first().copied();
            usual.iter().chain(&rest).copied().find(|&place| is_most(found(place))).or(first)
        };
        let image = given_or(&given.image, &by_name)?;
        let split = match &given.split {
            Some(name) => {
                let place = named(name)?;
                let kind = Split::of(table, place).ok_or_else(|| {
                    let odd = (0..table.rows.len()).find(|&row| part_in_name(table.cell(row, place)).is_none());
                    let row = odd.unwrap_or_default();
                    let why = format!(
                        "\"{}\" is not a part of a split; it should be train, validation or test",
                        table.rows.get(row).map_or("", |_| table.cell(row, place))
                    );
                    DataError::damaged(&at(path, table.rows.get(row).map_or(1, |row| row.0)), why)
                })?;
                Some((place, kind))
            }
            None => SPLIT.iter().find_map(|name| {
                let place = head.iter().position(|cell| cell.trim().to_lowercase() == *name)?;
                Split::of(table, place).filter(|kind| *kind != Split::Folds).map(|kind| (place, kind))
            }),
        };
        let group = given_or(&given.group, &|| usual(&GROUP))?;
        let subgroup = given_or(&given.subgroup, &|| None)?;
        let only_other = || {
            let taken = [image, split.map(|(place, _)| place), group, subgroup];
            let others: Vec<usize> = (0..head.len()).filter(|&place| !taken.contains(&Some(place))).collect();
            match others[..] {
                [one] if image.is_some() => Some(one),
                _ => None,
            }
        };
        let label =
            given_or(&given.label, &|| usual(&LABEL).filter(|&place| Some(place) != image).or_else(only_other))?;
        match (image, label) {
            (Some(image), Some(label)) => {
                let mut notes = Vec::new();
                let column = |place: usize| head[place].trim().to_string();
                if given.label.is_none() && !LABEL.contains(&column(label).to_lowercase().as_str()) {
                    notes.push(format!(
                        "labels are taken from the column \"{}\" of {}",
                        column(label),
                        file_name(path)
                    ));
                }
                if let Some((place, Split::Folds)) = split {
                    notes.push(format!(
                        "fold 0 of \"{}\" is the validation part, the others are to learn from",
                        column(place)
                    ));
                }
                let count = found(image);
                if count == 0 && !looked_at.is_empty() && options.on_bad_image == OnBadImage::Error && tree.is_folder()
                {
                    let example = table.cell(looked_at[0], image);
                    if !is_image_name(Path::new(example)) {
                        return Err(nothing_found(path, &column(image), example));
                    }
                }
                Ok(Self { image, label, split, group, subgroup, headless: false, resolves: is_most(count), notes })
            }
            _ => {
                let (what, key) = if image.is_none() { ("images", "image") } else { ("labels", "label") };
                Err(wrong(format!(
                    "cannot tell which column holds the {what}; there are {}. Set {key}_column",
                    list(head)
                )))
            }
        }
    }

    /// The name of a row's image, and the rest of it.
    fn item(&self, table: &Table, row: usize, part: Part) -> Result<(String, Item), String> {
        let filled = |place: usize, what: &str| match table.cell(row, place) {
            "" => Err(format!("there is no {what}; give one or remove the row")),
            text => Ok(text.to_string()),
        };
        let part = match self.split {
            None => part,
            Some((place, kind)) => {
                let word = table.cell(row, place);
                kind.part(word).ok_or_else(|| {
                    format!("\"{word}\" is not a part of a split; it should be train, validation or test")
                })?
            }
        };
        let item = Item {
            name: PathBuf::new(),
            content: Content::File,
            label: filled(self.label, "label")?,
            part,
            group: self.group.map(|place| filled(place, "group")).transpose()?,
            subgroup: self.subgroup.map(|place| filled(place, "subgroup")).transpose()?,
        };
        Ok((filled(self.image, "path to an image")?, item))
    }
}

impl Split {
    /// How a column says it; none where it says something else.
    fn of(table: &Table, place: usize) -> Option<Self> {
        let name = table.head[place].trim().to_lowercase();
        let flag = name.strip_prefix("is_").and_then(part_in_name).map_or(Self::Flag(Part::Validation), Self::Flag);
        // One odd word among many is a slip, which is refused where it stands.
        let count =
            |kind: Self| (0..table.rows.len()).filter(|&row| kind.part(table.cell(row, place)).is_some()).count();
        let counts = [Self::Folds, flag, Self::Names].map(|kind| (count(kind), kind));
        let (most, kind) = counts.into_iter().max_by_key(|(count, _)| *count)?;
        (2 * most >= table.rows.len().max(1)).then_some(kind)
    }

    /// The part of a row.
    pub(super) fn part(self, word: &str) -> Option<Part> {
        match self {
            Self::Names => part_in_name(word),
            Self::Flag(part) => match word.to_lowercase().as_str() {
                "true" | "1" | "1.0" | "yes" => Some(part),
                "false" | "0" | "0.0" | "no" if part == Part::Train => Some(Part::Validation),
                "false" | "0" | "0.0" | "no" => Some(Part::Train),
                _ => None,
            },
            Self::Folds => match word.parse::<f64>().ok().filter(|fold| fold.fract() == 0.0)? {
                0.0 => Some(Part::Validation),
                _ => Some(Part::Train),
            },
        }
    }
}

fn list(head: &StringRecord) -> String {
    head.iter().map(|cell| format!("\"{}\"", cell.trim())).collect::<Vec<_>>().join(", ")
}
