//! A table that names an image and its label in each row: CSV, or TSV by its name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

use super::{Content, Format, Item, Listing, extension, is_image_name, part_in_name, read_file};
use crate::dataset::Part;
use crate::error::DataError;
use crate::options::{OnBadImage, ReadOptions};

/// A CSV or TSV file, or a folder containing one with a usual name.
#[derive(Debug)]
pub(crate) struct Manifest;

/// Tables that identify a folder, starting with that of Hugging Face's image folders.
const NAMES: [&str; 3] = ["metadata", "labels", "manifest"];

impl Format for Manifest {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn recognises(&self, path: &Path) -> bool {
        if path.is_dir() { table_in(path).is_some() } else { is_table(path) }
    }

    fn files(&self, path: &Path, options: &ReadOptions) -> Result<Vec<PathBuf>, DataError> {
        let images = self.list(path, options)?.items.into_iter().map(|item| item.name);
        Ok(std::iter::once(table_at(path)?).chain(images).collect())
    }

    fn list(&self, path: &Path, options: &ReadOptions) -> Result<Listing, DataError> {
        let table = table_at(path)?;
        let bytes = read_file(&table)?;
        parse(&table, &bytes, options).map(|items| Listing { items, classes: None })
    }
}

fn is_table(path: &Path) -> bool {
    matches!(extension(path).as_str(), "csv" | "tsv")
}

fn table_in(folder: &Path) -> Option<PathBuf> {
    let names = NAMES.iter().flat_map(|name| ["csv", "tsv"].map(|kind| format!("{name}.{kind}")));
    names.map(|name| folder.join(name)).find(|path| path.is_file())
}

fn table_at(path: &Path) -> Result<PathBuf, DataError> {
    if !path.is_dir() {
        return Ok(path.into());
    }
    table_in(path).ok_or_else(|| {
        DataError::unusable(path, "there is no metadata.csv, labels.csv or manifest.csv in it; name the table itself")
    })
}

/// Parses the rows of a table; paths in it are relative to its folder.
fn parse(table: &Path, bytes: &[u8], options: &ReadOptions) -> Result<Vec<Item>, DataError> {
    let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |mark: u8| first.iter().filter(|&&byte| byte == mark).count();
    let delimiter = match extension(table).as_str() {
        "tsv" => b'\t',
        // In many countries spreadsheets write semicolons.
        _ => [b',', b';', b'\t'].into_iter().max_by_key(|&mark| (count(mark), mark == b',')).unwrap_or(b','),
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(bytes);
    let mut records = reader.records();
    let at = |line: u64| PathBuf::from(format!("{} (line {line})", table.display()));
    let damaged = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        DataError::damaged(&at(line), format!("not a row of a table ({error})"))
    };
    let Some(head) = records.next().transpose().map_err(damaged)? else {
        return Err(DataError::damaged(table, "the table is empty"));
    };
    let columns = Places::find(&head, options).map_err(|why| DataError::damaged(table, why))?;
    let folder = table.parent().unwrap_or(Path::new(""));
    let first = columns.headless.then_some(Ok(head));
    let mut items = Vec::new();
    let mut seen: HashMap<PathBuf, (String, u64)> = HashMap::new();
    for record in first.into_iter().chain(records) {
        let record = record.map_err(damaged)?;
        let line = record.position().map_or(1, csv::Position::line);
        let wrong = |why: String| DataError::damaged(&at(line), why);
        let item = columns.item(&record, folder).map_err(wrong)?;
        match seen.get(&item.name) {
            Some((label, before)) if *label != item.label => {
                let why = format!(
                    "{} is \"{}\" here, but \"{label}\" in line {before}; one image has one label",
                    item.name.display(),
                    item.label
                );
                return Err(wrong(why));
            }
            Some((_, before)) => {
                return Err(wrong(format!("{} is in line {before} already; remove one", item.name.display())));
            }
            None => _ = seen.insert(item.name.clone(), (item.label.clone(), line)),
        }
        // Images to be skipped are counted where all bad ones are.
        if options.on_bad_image == OnBadImage::Error && !item.name.is_file() {
            return Err(wrong(format!("{}: no such file; paths start from the table's folder", item.name.display())));
        }
        items.push(item);
    }
    Ok(items)
}

/// The positions of the columns in a row.
struct Places {
    image: usize,
    label: usize,
    split: Option<usize>,
    group: Option<usize>,
    headless: bool,
}

impl Places {
    fn find(head: &StringRecord, options: &ReadOptions) -> Result<Self, String> {
        let given = &options.columns;
        let place = |given: &Option<String>, usual: &[&str]| match given {
            Some(name) => match head.iter().position(|cell| cell.trim() == name) {
                Some(place) => Ok(Some(place)),
                None => Err(format!("there is no column \"{name}\"; there are {}", list(head))),
            },
            None => Ok(usual.iter().find_map(|name| head.iter().position(|cell| cell.trim().to_lowercase() == *name))),
        };
        let image = place(
            &given.image,
            &["path", "image", "file", "filename", "file_name", "image_path", "filepath", "file_path", "img"],
        )?;
        let label = place(&given.label, &["label", "class", "category", "target", "class_name", "y"])?;
        let split = place(&given.split, &["split", "subset", "part", "set"])?;
        let group = place(&given.group, &["group", "group_id", "patient", "patient_id", "subject", "subject_id"])?;
        match (image, label) {
            (Some(image), Some(label)) => Ok(Self { image, label, split, group, headless: false }),
            (None, None) if head.len() >= 2 && is_image_name(Path::new(head[0].trim())) => {
                let split = head.get(2).filter(|cell| part_in_name(cell).is_some()).map(|_| 2);
                Ok(Self { image: 0, label: 1, split, group: None, headless: true })
            }
            _ => {
                let (what, key) = if image.is_none() { ("images", "image") } else { ("labels", "label") };
                Err(format!("cannot tell which column holds the {what}; there are {}. Set {key}_column", list(head)))
            }
        }
    }

    fn item(&self, record: &StringRecord, folder: &Path) -> Result<Item, String> {
        let cell = |place: usize| record.get(place).unwrap_or_default().trim();
        let filled = |place: usize, what: &str| match cell(place) {
            "" => Err(format!("there is no {what}; give one or remove the row")),
            text => Ok(text.to_string()),
        };
        let part = match self.split {
            None => Part::Train,
            Some(place) => part_in_name(cell(place)).ok_or_else(|| {
                format!("\"{}\" is not a part of a split; it should be train, validation or test", cell(place))
            })?,
        };
        Ok(Item {
            name: folder.join(filled(self.image, "path to an image")?),
            content: Content::File,
            label: filled(self.label, "label")?,
            part,
            group: self.group.map(|place| filled(place, "group")).transpose()?,
        })
    }
}

fn list(head: &StringRecord) -> String {
    head.iter().map(|cell| format!("\"{}\"", cell.trim())).collect::<Vec<_>>().join(", ")
}
