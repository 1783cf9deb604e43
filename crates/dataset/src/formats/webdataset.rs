//! WebDataset shards: tar archives in which files with the same stem form a sample, such as `000.jpg` and
//! `000.cls`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::{Content, Format, Item, Listing, file_name, is_image_name, shards};
use crate::dataset::Part;
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::tree::Tree;

/// A `.tar`, `.tar.gz` or `.tgz` file, or a folder of them whose names tell train, validation and test apart.
#[derive(Debug)]
pub(crate) struct WebDataset;

/// Largest text that a label can be.
const MAX_LABEL: u64 = 1 << 16;

impl Format for WebDataset {
    fn name(&self) -> &'static str {
        "webdataset"
    }

    fn recognises(&self, tree: &Tree, _options: &ReadOptions) -> bool {
        tree.files().any(is_shard)
    }

    fn list(&self, tree: &Tree, options: &ReadOptions) -> Result<Listing, DataError> {
        let files = shards(tree, is_shard);
        if files.is_empty() {
            return Err(DataError::unusable(tree.root(), "there are no .tar files in it"));
        }
        let mut listing = Listing::default();
        for (part, shard) in files {
            let file = BufReader::new(File::open(&shard).map_err(|error| DataError::io(&shard, error))?);
            let stream: Box<dyn Read> =
                if file_name(&shard).ends_with("gz") { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
            listing.items.extend(samples(&shard, stream, part, options)?);
            listing.sources.push(shard);
        }
        Ok(listing)
    }
}

fn is_shard(path: &Path) -> bool {
    let name = file_name(path).to_lowercase();
    [".tar", ".tar.gz", ".tgz"].iter().any(|end| name.ends_with(end))
}

/// What an archive holds for one stem.
#[derive(Default)]
struct Sample {
    image: Option<(String, Vec<u8>)>,
    label: Option<String>,
    group: Option<String>,
    subgroup: Option<String>,
    /// The keys of its JSON, where that has no label.
    keys: Option<String>,
}

fn samples(shard: &Path, stream: impl Read, part: Part, options: &ReadOptions) -> Result<Vec<Item>, DataError> {
    let cut =
        |error: std::io::Error| DataError::damaged(shard, format!("not a whole tar archive ({error}); fetch it again"));
    let at = |name: &str| PathBuf::from(format!("{} ({name})", shard.display()));
    let mut archive = tar::Archive::new(stream);
    let mut samples: BTreeMap<String, Sample> = BTreeMap::new();
    for entry in archive.entries().map_err(cut)? {
        let mut entry = entry.map_err(cut)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path_bytes().into_owned();
        let name = String::from_utf8(path).map_err(|error| {
            DataError::damaged(&at(&String::from_utf8_lossy(error.as_bytes())), "its name is not UTF-8; rename it")
        })?;
        let (stem, kind) = stem_and_kind(&name);
        if stem.rsplit('/').next().is_none_or(str::is_empty) {
            continue;
        }
        let sample = samples.entry(stem.to_string()).or_default();
        let wrong = |why: String| DataError::damaged(&at(&name), why);
        if is_image_name(Path::new(kind)) || is_image_name(Path::new(&format!("x.{kind}"))) {
            if let Some((before, _)) = &sample.image {
                return Err(wrong(format!("a second image of its sample, after {before}; only one is read")));
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(cut)?;
            sample.image = Some((name, bytes));
        } else if matches!(kind, "cls" | "txt" | "json") {
            let mut text = String::new();
            let size = entry.by_ref().take(MAX_LABEL).read_to_string(&mut text);
            size.map_err(|error| match error.kind() {
                std::io::ErrorKind::InvalidData => wrong("not text; it should hold a label".into()),
                _ => cut(error),
            })?;
            sample.learn(kind, text.trim(), options).map_err(wrong)?;
        }
    }
    let complete = |(stem, sample): (String, Sample)| {
        // Entries without an image are not samples: captions, licences.
        let (name, bytes) = sample.image?;
        let place = at(&name);
        // Archives of class folders have no separate labels.
        let label = sample.label.or_else(|| stem.rsplit('/').nth(1).map(String::from));
        Some(match label {
            Some(label) => Ok(Item {
                name: place,
                content: Content::Encoded(bytes),
                label,
                part,
                group: sample.group,
                subgroup: sample.subgroup,
            }),
            None => Err(DataError::damaged(
                &place,
                match sample.keys {
                    Some(keys) => {
                        format!("its {stem}.json has no label, but {keys}; set label_column to the key that holds it")
                    }
                    None => format!("there is no {stem}.cls beside it, which would hold its label"),
                },
            )),
        })
    };
    samples.into_iter().filter_map(complete).collect()
}

impl Sample {
    /// Reads the label and the group from a file next to the image. A `.cls` takes precedence over a `.json`, and
    /// that over a `.txt`, which may be a caption.
    fn learn(&mut self, kind: &str, text: &str, options: &ReadOptions) -> Result<(), String> {
        let columns = &options.columns;
        if kind == "json" {
            let json: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("not JSON ({error})"))?;
            let cell = |key: &str| super::json_cell(&json[key]);
            self.group = columns.group.as_deref().and_then(cell);
            self.subgroup = columns.subgroup.as_deref().and_then(cell);
            let label = cell(columns.label.as_deref().unwrap_or("label"));
            if label.is_none() {
                let keys = json.as_object().map(|keys| keys.keys().cloned().collect::<Vec<_>>().join(", "));
                self.keys = Some(keys.filter(|keys| !keys.is_empty()).unwrap_or("nothing at all".into()));
            }
            if columns.label.is_some() || self.label.is_none() {
                self.label = label.or_else(|| self.label.take());
            }
        } else if kind == "cls" || self.label.is_none() {
            if text.is_empty() {
                return Err("it is empty; it should hold a label".into());
            }
            self.label = Some(text.to_string());
        }
        Ok(())
    }
}

/// Splits a name as WebDataset does: at the first full stop of its last component.
fn stem_and_kind(name: &str) -> (&str, &str) {
    let name = name.strip_prefix("./").unwrap_or(name);
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[file..].find('.') {
        Some(stop) => (&name[..file + stop], &name[file + stop + 1..]),
        None => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_divided_at_the_first_full_stop() {
        assert_eq!(stem_and_kind("./a.b/000.left.jpg"), ("a.b/000", "left.jpg"));
        assert_eq!(stem_and_kind("000"), ("000", ""));
        assert_eq!(stem_and_kind(".hidden"), ("", "hidden"));
    }
}
