//! Hugging Face parquet files: an image column (bytes, or a struct of bytes and path) and an integer label.

use std::fs::File;
use std::path::{Path, PathBuf};

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row};

use super::{Format, ReadOptions, entries, file_name, part_in_name, raster};
use crate::{DataError, Dataset, Part};

/// One parquet file, or a folder of them whose names tell train, validation and test apart.
#[derive(Debug)]
pub struct Parquet;

impl Format for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn recognises(&self, path: &Path) -> bool {
        is_parquet(path) || (path.is_dir() && entries(path).is_ok_and(|files| files.iter().any(|f| is_parquet(f))))
    }

    fn read(&self, path: &Path, options: &ReadOptions) -> Result<Dataset, DataError> {
        let files = if path.is_dir() {
            let all = entries(path)?.into_iter().filter(|file| is_parquet(file));
            all.map(|file| (part_in_name(&file_name(&file)).unwrap_or(Part::Train), file)).collect()
        } else {
            // Alone, a file is the whole set, whatever its name.
            vec![(Part::Train, path.to_path_buf())]
        };
        let (mut encoded, mut labels, mut parts, mut names) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (part, file) in files {
            let table = Table::read(&file)?;
            parts.extend(std::iter::repeat_n(part, table.labels.len()));
            labels.extend(table.labels);
            let place = |row| PathBuf::from(format!("{} (row {row})", file.display()));
            encoded.extend(table.images.into_iter().enumerate().map(|(row, bytes)| (place(row), bytes)));
            names = names.or(table.classes);
        }
        let images = raster::decode_all(&encoded, |item: &(PathBuf, Vec<u8>)| Ok(item.clone()))?;
        drop(encoded);
        let classes = labels.iter().max().map_or(0, |&largest| largest + 1);
        let names = names.unwrap_or_else(|| (0..classes).map(|class| class.to_string()).collect());
        Dataset::new(path, raster::stack(path, images, options)?, labels, names, parts)
    }
}

struct Table {
    images: Vec<Vec<u8>>,
    labels: Vec<usize>,
    classes: Option<Vec<String>>,
}

impl Table {
    fn read(path: &Path) -> Result<Self, DataError> {
        let unreadable = |error: ::parquet::errors::ParquetError| {
            DataError::damaged(path, format!("not a whole parquet file ({error}); fetch it again"))
        };
        let file = File::open(path).map_err(|e| DataError::io(path, e))?;
        let reader = SerializedFileReader::new(file).map_err(unreadable)?;
        let classes = class_names(&reader);
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for (number, row) in reader.get_row_iter(None).map_err(unreadable)?.enumerate() {
            let (image, label) = cells(row.map_err(unreadable)?)
                .map_err(|why| DataError::damaged(path, format!("row {number}: {why}")))?;
            images.push(image);
            labels.push(label);
        }
        Ok(Self { images, labels, classes })
    }
}

fn is_parquet(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "parquet")
}

/// The class names that the `datasets` library leaves in the file's metadata.
fn class_names(reader: &SerializedFileReader<File>) -> Option<Vec<String>> {
    let metadata = reader.metadata().file_metadata().key_value_metadata()?;
    let text = metadata.iter().find(|entry| entry.key == "huggingface")?.value.as_ref()?;
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let features = json["info"]["features"].as_object()?;
    let names = features.values().find(|feature| feature["_type"] == "ClassLabel")?["names"].as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_string)).collect()
}

/// The image bytes and the label of one row: the first column that holds bytes, and the integer column, `label` or
/// `fine_label` before any other.
fn cells(row: Row) -> Result<(Vec<u8>, usize), String> {
    let (mut image, mut label) = (None, None);
    for (name, field) in row.into_columns() {
        match field {
            Field::Bytes(bytes) if image.is_none() => image = Some(bytes.data().to_vec()),
            Field::Group(group) if image.is_none() => {
                image = group.into_columns().into_iter().find_map(|(_, field)| match field {
                    Field::Bytes(bytes) => Some(bytes.data().to_vec()),
                    _ => None,
                });
            }
            field => {
                if let Some(value) = integer(&field)
                    && (label.is_none() || matches!(name.as_str(), "label" | "fine_label"))
                {
                    label = Some(value);
                }
            }
        }
    }
    let image = image.ok_or("no column with the bytes of an image")?;
    let label = label.ok_or("no integer column with a label")?;
    Ok((image, usize::try_from(label).map_err(|_| format!("label {label} is negative"))?))
}

fn integer(field: &Field) -> Option<i64> {
    Some(match *field {
        Field::Byte(v) => v.into(),
        Field::Short(v) => v.into(),
        Field::Int(v) => v.into(),
        Field::Long(v) => v,
        Field::UByte(v) => v.into(),
        Field::UShort(v) => v.into(),
        Field::UInt(v) => v.into(),
        _ => return None,
    })
}
