//! Hugging Face parquet files: an image column (bytes, or a struct of bytes and path) and a label column of numbers or names.

use std::fs::File;
use std::path::{Path, PathBuf};

use ::parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use ::parquet::column::page::Page;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row};
use ::parquet::schema::types::Type;

use super::{Content, Format, Item, Listing, part_in_name, part_of_folder, shards};
use crate::dataset::Part;
use crate::error::DataError;
use crate::guard::catch_panic;
use crate::options::ReadOptions;
use crate::tree::Tree;

/// One parquet file, or a folder of them whose names or folder names tell train, validation and test apart.
#[derive(Debug)]
pub(crate) struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn recognises(&self, tree: &Tree, options: &ReadOptions) -> bool {
        match tree.is_folder() {
            true => tree.files().any(|file| is_parquet(file) && holds_images(file, options)),
            false => is_parquet(tree.root()),
        }
    }

    fn list(&self, tree: &Tree, options: &ReadOptions) -> Result<Listing, DataError> {
        let mut listing = Listing::default();
        let files = shards(tree, |file| is_parquet(file) && (!tree.is_folder() || holds_images(file, options)));
        if files.is_empty() {
            return Err(DataError::unusable(tree.root(), "there are no .parquet files with images in it"));
        }
        refuse_configurations(tree, &files)?;
        refuse_missing_shards(&files)?;
        let mut hidden = (0, None);
        for (part, file) in files {
            let Table { items, classes, unlabelled } = read_table(&file, part, options)?;
            if unlabelled > 0 {
                hidden = (hidden.0 + unlabelled, hidden.1.or(Some(file.clone())));
            }
            listing.items.extend(items);
            listing.classes = listing.classes.or(classes);
            listing.sources.push(file);
        }
        if let (count, Some(file)) = hidden {
            let file = tree.name(&file);
            listing
                .notes
                .say(format!("passed over: {count} images whose label is -1, which hides it (the first in {file})"));
        }
        Ok(listing)
    }
}

/// What a file holds.
struct Table {
    items: Vec<Item>,
    classes: Option<Vec<String>>,
    /// Images whose label is hidden.
    unlabelled: usize,
}

/// Whether there is a column that can be of images.
fn holds_images(path: &Path, options: &ReadOptions) -> bool {
    let look = || {
        let reader = SerializedFileReader::new(File::open(path).map_err(|error| error.to_string())?);
        let reader = reader.map_err(|error| error.to_string())?;
        Ok(reader.metadata().file_metadata().schema().get_fields().iter().any(|field| match &options.columns.image {
            Some(name) => field.name() == name,
            None => is_image(field),
        }))
    };
    // One that cannot be read says so when it is.
    catch_panic(look).unwrap_or(true)
}

/// Refuses a repository of several sets: folders that each have a training part of their own.
fn refuse_configurations(tree: &Tree, files: &[(Part, PathBuf)]) -> Result<(), DataError> {
    let configuration = |file: &Path| -> PathBuf {
        let folder = file.parent().unwrap_or(file);
        let inside = folder.strip_prefix(tree.root()).unwrap_or(folder);
        inside.iter().filter(|name| part_of_folder(&name.to_string_lossy()).is_none()).collect()
    };
    let training = files.iter().filter(|(part, _)| *part == Part::Train);
    let folders: std::collections::BTreeSet<PathBuf> = training.map(|(_, file)| configuration(file)).collect();
    if folders.len() < 2 {
        return Ok(());
    }
    let names = folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
    let why = format!("there are several sets in it: {names}; name the folder of one of them");
    Err(DataError::unusable(tree.root(), why))
}

/// Refuses a set some of whose files are not there: `train-00001-of-00003.parquet` tells how many there are.
fn refuse_missing_shards(files: &[(Part, PathBuf)]) -> Result<(), DataError> {
    for (_, file) in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some((before, all)) = stem.rsplit_once("-of-") else { continue };
        let Some((name, _)) = before.rsplit_once('-') else { continue };
        let Ok(count) = all.split('-').next().unwrap_or_default().parse::<usize>() else { continue };
        let is_there = |number: usize| {
            let start = format!("{name}-{number:0width$}-of-{all}", width = before.len() - name.len() - 1);
            files.iter().any(|(_, other)| {
                other.parent() == file.parent() && super::file_name(other) == format!("{start}.parquet")
            })
        };
        if let Some(missing) = (0..count.min(100_000)).find(|&number| !is_there(number)) {
            let why =
                format!("{count} files make this part, but number {missing}, counted from 0, is not there; fetch it");
            return Err(DataError::damaged(file, why));
        }
    }
    Ok(())
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet"))
}

fn read_table(path: &Path, part: Part, options: &ReadOptions) -> Result<Table, DataError> {
    let file = File::open(path).map_err(|e| DataError::io(path, e))?;
    catch_panic(|| Ok(rows(path, file, part, options))).unwrap_or_else(|why| Err(DataError::damaged(path, why)))
}

fn rows(path: &Path, file: File, part: Part, options: &ReadOptions) -> Result<Table, DataError> {
    let unreadable = |error: ::parquet::errors::ParquetError| {
        DataError::damaged(path, format!("not a whole parquet file ({error}); fetch it again"))
    };
    let reader = SerializedFileReader::new(file).map_err(unreadable)?;
    if dictionary_beyond_its_bytes(&reader).map_err(unreadable)? {
        let why = "not a whole parquet file (a dictionary claims more entries than it has bytes); fetch it again";
        return Err(DataError::damaged(path, why));
    }
    let columns = Columns::find(&reader, options).map_err(|why| DataError::damaged(path, why))?;
    let (mut items, mut unlabelled) = (Vec::new(), 0);
    for (number, row) in reader.get_row_iter(None).map_err(unreadable)?.enumerate() {
        let place = PathBuf::from(format!("{} (row {number})", path.display()));
        let item = columns.item(row.map_err(unreadable)?, &place, part);
        match item.map_err(|why| DataError::damaged(&place, why))? {
            Some(item) => items.push(item),
            None => unlabelled += 1,
        }
    }
    Ok(Table { items, classes: columns.classes, unlabelled })
}

/// Whether a dictionary claims more entries than its bytes can hold. The decoder would allocate memory for all of
/// them first: 16 GB for a 3 kB file made by fuzzing.
fn dictionary_beyond_its_bytes(reader: &SerializedFileReader<File>) -> Result<bool, ::parquet::errors::ParquetError> {
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group)?;
        for column in 0..group.num_columns() {
            // If there is one, it comes first.
            if let Some(Page::DictionaryPage { num_values, buf, .. }) =
                group.get_column_page_reader(column)?.get_next_page()?
                && num_values as usize > buf.len()
            {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The relevant columns, chosen once for the whole file.
struct Columns {
    image: String,
    label: String,
    split: Option<String>,
    group: Option<String>,
    subgroup: Option<String>,
    /// The names of the classes behind the numbers.
    classes: Option<Vec<String>>,
}

impl Columns {
    fn find(reader: &SerializedFileReader<File>, options: &ReadOptions) -> Result<Self, String> {
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let all = || fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
        let physical = |field: &Type| field.is_primitive().then(|| field.get_physical_type());
        let is_integer = |field: &Type| matches!(physical(field), Some(PhysicalType::INT32 | PhysicalType::INT64));
        let is_number = |field: &Type| {
            let kind = physical(field);
            let is_one = matches!(kind, Some(PhysicalType::BOOLEAN | PhysicalType::FLOAT | PhysicalType::DOUBLE));
            is_integer(field) || is_one || is_list_of_numbers(field)
        };
        let is_cell = |field: &Type| is_number(field) || is_text(field);
        let named = |name: &str, fits: &dyn Fn(&Type) -> bool, kind: &str| match fields
            .iter()
            .find(|field| field.name() == name)
        {
            Some(field) if fits(field) => Ok(name.to_string()),
            Some(_) => Err(format!("the column \"{name}\" does not hold {kind}")),
            None => Err(format!("there is no column \"{name}\"; there are {}", all())),
        };
        // A well-known name first, otherwise the only column of its kind.
        let choose = |key: &str, usual: &[&str], fits: &dyn Fn(&Type) -> bool, kind: &str| {
            let fitting: Vec<&str> = fields.iter().filter(|field| fits(field)).map(|field| field.name()).collect();
            let by_name = usual.iter().copied().find(|name| fitting.contains(name));
            match (by_name, fitting.as_slice()) {
                (Some(name), _) | (None, &[name]) => Ok(name.to_string()),
                _ => Err(format!("cannot tell which column holds {kind}; there are {}. Set {key}_column", all())),
            }
        };
        let given = &options.columns;
        let image = match &given.image {
            Some(name) => named(name, &is_image, "images"),
            None => choose("image", &["image", "img"], &is_image, "the images' bytes"),
        }?;
        let label = match &given.label {
            Some(name) => named(name, &is_cell, "labels"),
            None => {
                choose("label", &["label", "labels", "fine_label"], &is_integer, "the integer labels").or_else(|why| {
                    choose("label", &["label", "class", "class_name"], &is_text, "the labels")
                        .or_else(|_| choose("label", &["label", "labels"], &is_number, "the labels"))
                        .map_err(|_| why)
                })
            }
        }?;
        let cell = |name: &Option<String>, kind| name.as_ref().map(|name| named(name, &is_cell, kind)).transpose();
        let (split, group) = (cell(&given.split, "parts")?, cell(&given.group, "groups")?);
        let subgroup = cell(&given.subgroup, "subgroups")?;
        let named_so = |field: &&std::sync::Arc<Type>| SPLIT.contains(&field.name().to_lowercase().as_str());
        let split = split.or_else(|| Some(fields.iter().filter(named_so).find(|field| is_text(field))?.name().into()));
        let classes = class_names(reader, &label);
        Ok(Self { image, label, split, group, subgroup, classes })
    }

    /// A row; none where its label is hidden.
    fn item(&self, row: Row, place: &Path, part: Part) -> Result<Option<Item>, String> {
        let (mut image, mut label, mut split, mut group, mut subgroup) = Default::default();
        for (name, field) in row.into_columns() {
            // One column may say several things.
            for (own, to) in [(&self.split, &mut split), (&self.group, &mut group), (&self.subgroup, &mut subgroup)] {
                if own.as_ref() == Some(&name) {
                    *to = cell(&field);
                }
            }
            if name == self.label {
                label = cell(&field);
            }
            if name == self.image {
                image = bytes(field);
            }
        }
        let empty = |name: &str| format!("{name} is empty");
        let label = label.ok_or_else(|| empty(&self.label))?;
        if label == "-1" {
            return Ok(None);
        }
        let label = match (&self.classes, label.parse::<i64>()) {
            (Some(classes), Ok(number)) => match usize::try_from(number).ok().and_then(|number| classes.get(number)) {
                Some(name) => name.clone(),
                None => return Err(format!("{} is {number}, but there are {} classes", self.label, classes.len())),
            },
            _ => label,
        };
        let part = match &self.split {
            None => part,
            Some(name) => {
                let word = split.ok_or_else(|| empty(name))?;
                part_in_name(&word)
                    .ok_or_else(|| format!("{name} is \"{word}\"; it should be train, validation or test"))?
            }
        };
        let filled = |column: &Option<String>, cell: Option<String>| match column {
            None => Ok(None),
            Some(name) => cell.ok_or_else(|| empty(name)).map(Some),
        };
        let (group, subgroup) = (filled(&self.group, group)?, filled(&self.subgroup, subgroup)?);
        let image =
            image.ok_or_else(|| format!("{} has no bytes; export the set with its images embedded", self.image))?;
        Ok(Some(Item { name: place.into(), content: Content::Encoded(image), label, part, group, subgroup }))
    }
}

/// Whether a column contains text.
fn is_text(field: &Type) -> bool {
    if !field.is_primitive() || field.get_physical_type() != PhysicalType::BYTE_ARRAY {
        return false;
    }
    let info = field.get_basic_info();
    matches!(info.logical_type_ref(), Some(LogicalType::String)) || info.converted_type() == ConvertedType::UTF8
}

/// Returns the class names that the `datasets` library stores in the file's metadata.
fn class_names(reader: &SerializedFileReader<File>, label: &str) -> Option<Vec<String>> {
    let metadata = reader.metadata().file_metadata().key_value_metadata()?;
    let text = metadata.iter().find(|entry| entry.key == "huggingface")?.value.as_ref()?;
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let names = json["info"]["features"][label]["names"].as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_string)).collect()
}

fn bytes(field: Field) -> Option<Vec<u8>> {
    match field {
        Field::Bytes(bytes) => Some(bytes.data().to_vec()),
        Field::Group(group) => {
            group.into_columns().into_iter().find_map(|(name, field)| if name == "bytes" { bytes(field) } else { None })
        }
        _ => None,
    }
}

/// Returns a number or a word.
fn cell(field: &Field) -> Option<String> {
    Some(match field {
        Field::Byte(v) => v.to_string(),
        Field::Short(v) => v.to_string(),
        Field::Int(v) => v.to_string(),
        Field::Long(v) => v.to_string(),
        Field::UByte(v) => v.to_string(),
        Field::UShort(v) => v.to_string(),
        Field::UInt(v) => v.to_string(),
        Field::ULong(v) => v.to_string(),
        Field::Str(text) => text.clone(),
        Field::Bool(is) => u8::from(*is).to_string(),
        Field::Float(v) => whole(f64::from(*v))?,
        Field::Double(v) => whole(*v)?,
        Field::ListInternal(list) => match list.elements() {
            [one] => cell(one)?,
            _ => return None,
        },
        _ => return None,
    })
}

/// A float that is a whole number.
fn whole(value: f64) -> Option<String> {
    (value.fract() == 0.0).then(|| format!("{value:.0}"))
}

/// Columns that say what part a row is of.
const SPLIT: [&str; 4] = ["split", "subset", "set", "partition"];

/// Whether a column can hold images: bytes, or a struct of them.
fn is_image(field: &Type) -> bool {
    match field.is_primitive() {
        true => field.get_physical_type() == PhysicalType::BYTE_ARRAY && !is_text(field),
        false => field.is_group() && field.get_fields().iter().any(|inner| inner.name() == "bytes"),
    }
}

/// Whether a column holds lists of numbers, of which those with one number each are labels.
fn is_list_of_numbers(field: &Type) -> bool {
    let is_list = field.is_group()
        && (field.get_basic_info().converted_type() == ConvertedType::LIST
            || field.get_basic_info().logical_type_ref() == Some(&LogicalType::List));
    let mut inner: &Type = field;
    while is_list && inner.is_group() && inner.get_fields().len() == 1 {
        inner = &inner.get_fields()[0];
    }
    is_list && inner.is_primitive() && inner.get_physical_type() != PhysicalType::BYTE_ARRAY
}
