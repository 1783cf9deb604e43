//! Hugging Face parquet files: an image column (bytes, or a struct of bytes and path) and a label column of numbers or names.

use std::fs::File;
use std::path::{Path, PathBuf};

use ::parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use ::parquet::column::page::Page;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row};
use ::parquet::schema::types::Type;

use super::{Content, Format, Item, Listing, entries, extension, part_in_name, shards};
use crate::dataset::Part;
use crate::error::DataError;
use crate::guard::catch_panic;
use crate::options::ReadOptions;

/// One parquet file, or a folder of them whose names or folder names tell train, validation and test apart.
#[derive(Debug)]
pub(crate) struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn recognises(&self, path: &Path) -> bool {
        // The folders used by Hugging Face's hub and its converter; walking all folders would take long with a
        // great many images.
        let usual = ["", "data", "default", "default/train"].map(|inner| path.join(inner));
        let has_one = |folder: &PathBuf| entries(folder).is_ok_and(|files| files.iter().any(|file| is_parquet(file)));
        is_parquet(path) || usual.iter().any(has_one)
    }

    fn list(&self, path: &Path, options: &ReadOptions) -> Result<Listing, DataError> {
        let mut listing = Listing::default();
        let files = shards(path, is_parquet)?;
        if files.is_empty() {
            return Err(DataError::unusable(path, "there are no .parquet files in it"));
        }
        for (part, file) in files {
            let (items, classes) = read_table(&file, part, options)?;
            listing.items.extend(items);
            listing.classes = listing.classes.or(classes);
        }
        Ok(listing)
    }
}

fn is_parquet(path: &Path) -> bool {
    path.is_file() && extension(path) == "parquet"
}

fn read_table(path: &Path, part: Part, options: &ReadOptions) -> Result<(Vec<Item>, Option<Vec<String>>), DataError> {
    let file = File::open(path).map_err(|e| DataError::io(path, e))?;
    catch_panic(|| Ok(rows(path, file, part, options))).unwrap_or_else(|why| Err(DataError::damaged(path, why)))
}

fn rows(
    path: &Path,
    file: File,
    part: Part,
    options: &ReadOptions,
) -> Result<(Vec<Item>, Option<Vec<String>>), DataError> {
    let unreadable = |error: ::parquet::errors::ParquetError| {
        DataError::damaged(path, format!("not a whole parquet file ({error}); fetch it again"))
    };
    let reader = SerializedFileReader::new(file).map_err(unreadable)?;
    if dictionary_beyond_its_bytes(&reader).map_err(unreadable)? {
        let why = "not a whole parquet file (a dictionary claims more entries than it has bytes); fetch it again";
        return Err(DataError::damaged(path, why));
    }
    let columns = Columns::find(&reader, options).map_err(|why| DataError::damaged(path, why))?;
    let mut items = Vec::new();
    for (number, row) in reader.get_row_iter(None).map_err(unreadable)?.enumerate() {
        let place = PathBuf::from(format!("{} (row {number})", path.display()));
        let item = columns.item(row.map_err(unreadable)?, &place, part);
        items.push(item.map_err(|why| DataError::damaged(&place, why))?);
    }
    Ok((items, columns.classes))
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
    /// The names of the classes behind the numbers.
    classes: Option<Vec<String>>,
}

impl Columns {
    fn find(reader: &SerializedFileReader<File>, options: &ReadOptions) -> Result<Self, String> {
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let all = || fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(", ");
        let physical = |field: &Type| field.is_primitive().then(|| field.get_physical_type());
        let is_image = |field: &Type| match physical(field) {
            Some(kind) => kind == PhysicalType::BYTE_ARRAY && !is_text(field),
            None => field.is_group() && field.get_fields().iter().any(|inner| inner.name() == "bytes"),
        };
        let is_number = |field: &Type| matches!(physical(field), Some(PhysicalType::INT32 | PhysicalType::INT64));
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
        let label =
            match &given.label {
                Some(name) => named(name, &is_cell, "labels"),
                None => choose("label", &["label", "labels", "fine_label"], &is_number, "the integer labels").or_else(
                    |why| choose("label", &["label", "class", "class_name"], &is_text, "the labels").map_err(|_| why),
                ),
            }?;
        let cell = |name: &Option<String>, kind| name.as_ref().map(|name| named(name, &is_cell, kind)).transpose();
        let (split, group) = (cell(&given.split, "parts")?, cell(&given.group, "groups")?);
        let classes = class_names(reader, &label);
        Ok(Self { image, label, split, group, classes })
    }

    fn item(&self, row: Row, place: &Path, part: Part) -> Result<Item, String> {
        let (mut image, mut label, mut split, mut group) = (None, None, None, None);
        for (name, field) in row.into_columns() {
            if name == self.image {
                image = bytes(field);
            } else if name == self.label {
                label = cell(&field);
            } else if Some(&name) == self.split.as_ref() {
                split = cell(&field);
            } else if Some(&name) == self.group.as_ref() {
                group = cell(&field);
            }
        }
        let empty = |name: &str| format!("{name} is empty");
        let label = label.ok_or_else(|| empty(&self.label))?;
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
        let group = match &self.group {
            None => None,
            Some(name) => Some(group.ok_or_else(|| empty(name))?),
        };
        let image =
            image.ok_or_else(|| format!("{} has no bytes; export the set with its images embedded", self.image))?;
        Ok(Item { name: place.into(), content: Content::Encoded(image), label, part, group })
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
        _ => return None,
    })
}
