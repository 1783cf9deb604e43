//! Tables as they stand in their files: CSV, TSV, or lines of JSON, in UTF-8 or UTF-16.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord};

use super::{extension, json_cell, read_file};
use crate::error::DataError;

/// A table as it stands in its file.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) path: PathBuf,
    pub(crate) head: StringRecord,
    /// With the lines they begin at.
    pub(crate) rows: Vec<(u64, StringRecord)>,
}

impl Table {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = read_file(path)?;
        let bytes = utf8(path, &bytes)?;
        if extension(path) == "jsonl" { Self::json(path, &bytes) } else { Self::csv(path, &bytes) }
    }

    fn csv(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let count = |mark: u8| first.iter().filter(|&&byte| byte == mark).count();
        let delimiter = match extension(path).as_str() {
            "tsv" => b'\t',
            // Spreadsheets of many countries write semicolons.
            _ => [b',', b';', b'\t'].into_iter().max_by_key(|&mark| (count(mark), mark == b',')).unwrap_or(b','),
        };
        let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(bytes);
        let damaged = |error: csv::Error| {
            let line = error.position().map_or(1, csv::Position::line);
            DataError::damaged(&at(path, line), format!("not a row of a table ({error})"))
        };
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(damaged)?;
            rows.push((record.position().map_or(1, csv::Position::line), record));
        }
        if rows.is_empty() {
            return Err(DataError::damaged(path, "the table is empty"));
        }
        let (_, head) = rows.remove(0);
        Ok(Self { path: path.into(), head, rows })
    }

    /// One object a line; the keys of the first are the columns.
    fn json(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        let mut head: Option<StringRecord> = None;
        let mut rows = Vec::new();
        for (number, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            let line_number = number as u64 + 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let wrong = |error: serde_json::Error| {
                DataError::damaged(&at(path, line_number), format!("not an object of JSON ({error})"))
            };
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).map_err(wrong)?;
            let head = head.get_or_insert_with(|| object.keys().collect());
            let cell = |key: &str| object.get(key).and_then(json_cell).unwrap_or_default();
            rows.push((line_number, head.iter().map(cell).collect()));
        }
        let head = head.ok_or_else(|| DataError::damaged(path, "the table is empty"))?;
        Ok(Self { path: path.into(), head, rows })
    }

    /// A cell without the spaces around it; empty where the row is too short.
    pub(crate) fn cell(&self, row: usize, column: usize) -> &str {
        self.rows[row].1.get(column).unwrap_or_default().trim()
    }
}

/// What errors call a line.
pub(crate) fn at(path: &Path, line: u64) -> PathBuf {
    PathBuf::from(format!("{} (line {line})", path.display()))
}

/// The text of a table, whose mark at the beginning says whether a spreadsheet wrote it in UTF-16.
fn utf8<'b>(path: &Path, bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, DataError> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        let text = String::from_utf16(&units);
        text.map(|text| Cow::Owned(text.into_bytes()))
            .map_err(|_| DataError::damaged(path, "neither UTF-8 nor UTF-16; save it as UTF-8"))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(Cow::Borrowed(rest)),
        _ => Ok(Cow::Borrowed(bytes)),
    }
}
