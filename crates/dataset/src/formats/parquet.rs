//! Hugging Face parquet files: an image column (bytes, or a struct of bytes and path) and an integer label.

use std::fs::File;
use std::path::{Path, PathBuf};

use ::parquet::basic::Type as PhysicalType;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row};
use ::parquet::schema::types::Type;

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
        if let Some(row) = labels.iter().position(|&label| label >= labels.len()) {
            let why = format!("label {} is not a class number below the number of images", labels[row]);
            return Err(DataError::damaged(&encoded[row].0, why));
        }
        let images = raster::decode_all(&encoded, options, |item| Ok((item.0.clone(), (&item.1[..]).into())))?;
        let classes = labels.iter().max().map_or(0, |&largest| largest + 1);
        let names = names.unwrap_or_else(|| (0..classes).map(|class| class.to_string()).collect());
        Dataset::new(path, raster::stack(path, images)?, labels, names, parts)
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
        let columns = Columns::find(&reader).map_err(|why| DataError::damaged(path, why))?;
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for (number, row) in reader.get_row_iter(None).map_err(unreadable)?.enumerate() {
            let (image, label) = columns
                .cells(row.map_err(unreadable)?)
                .map_err(|why| DataError::damaged(path, format!("row {number}: {why}")))?;
            images.push(image);
            labels.push(label);
        }
        Ok(Self { images, labels, classes: columns.classes })
    }
}

fn is_parquet(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "parquet")
}

/// The columns that matter, chosen once for the whole file.
struct Columns {
    image: String,
    label: String,
    classes: Option<Vec<String>>,
}

impl Columns {
    fn find(reader: &SerializedFileReader<File>) -> Result<Self, String> {
        let fields = reader.metadata().file_metadata().schema().get_fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        let physical = |field: &Type| field.is_primitive().then(|| field.get_physical_type());
        let is_image = |field: &Type| match physical(field) {
            Some(kind) => kind == PhysicalType::BYTE_ARRAY,
            None => field.get_fields().iter().any(|inner| inner.name() == "bytes"),
        };
        let is_label = |field: &Type| matches!(physical(field), Some(PhysicalType::INT32 | PhysicalType::INT64));
        // A well-known name first, else the only column of its kind.
        let choose = |what: &str, known: &[&str], fits: &dyn Fn(&Type) -> bool| {
            let fitting: Vec<&str> = fields.iter().filter(|field| fits(field)).map(|field| field.name()).collect();
            let by_name = known.iter().copied().find(|name| fitting.contains(name));
            match (by_name, fitting.as_slice()) {
                (Some(name), _) | (None, &[name]) => Ok(name.to_string()),
                _ => Err(format!("cannot tell which column holds {what}; there are {}", names.join(", "))),
            }
        };
        let image = choose("the images' bytes", &["image", "img"], &is_image)?;
        let label = choose("the integer labels", &["label", "labels", "fine_label"], &is_label)?;
        let classes = class_names(reader, &label);
        Ok(Self { image, label, classes })
    }

    /// The image bytes and the label of one row.
    fn cells(&self, row: Row) -> Result<(Vec<u8>, usize), String> {
        let (mut image, mut label) = (None, None);
        for (name, field) in row.into_columns() {
            if name == self.image {
                image = bytes(field);
            } else if name == self.label {
                label = integer(&field);
            }
        }
        let image = image.ok_or_else(|| format!("{} is empty", self.image))?;
        let label = label.ok_or_else(|| format!("{} is empty", self.label))?;
        Ok((image, usize::try_from(label).map_err(|_| format!("{} is {label}, which is negative", self.label))?))
    }
}

/// The class names that the `datasets` library leaves in the file's metadata.
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
