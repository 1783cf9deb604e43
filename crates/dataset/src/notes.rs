//! What is said of a set besides its images: what was assumed, and what was passed over.

use std::collections::BTreeMap;
use std::path::Path;

use crate::tree::{Tree, extension};

/// Sentences for the user, in the order in which they came up.
#[derive(Debug, Default)]
pub(crate) struct Notes(Vec<String>);

impl Notes {
    pub(crate) fn say(&mut self, note: impl Into<String>) {
        self.0.push(note.into());
    }

    pub(crate) fn extend(&mut self, notes: impl IntoIterator<Item = String>) {
        self.0.extend(notes);
    }

    pub(crate) fn into_inner(self) -> Vec<String> {
        self.0
    }

    /// Names files that are passed over: for each kind how many there are, one of them, and what to do.
    pub(crate) fn pass_over<'a>(&mut self, files: impl IntoIterator<Item = &'a Path>) {
        let mut kinds: BTreeMap<String, (usize, &Path)> = BTreeMap::new();
        for file in files {
            kinds.entry(extension(file)).or_insert((0, file)).0 += 1;
        }
        for (kind, (count, example)) in kinds {
            let what = match (kind.as_str(), count) {
                ("", 1) => "1 file without an extension".to_string(),
                ("", count) => format!("{count} files without an extension"),
                (kind, 1) => format!("1 .{kind} file"),
                (kind, count) => format!("{count} .{kind} files"),
            };
            let then = remedy(&kind).map(|remedy| format!("; {remedy}")).unwrap_or_default();
            self.say(format!("passed over: {what} ({}){then}", example.display()));
        }
    }

    /// Names what is neither file nor folder.
    pub(crate) fn pass_over_special(&mut self, tree: &Tree) {
        if let [first, ..] = tree.special() {
            let count = tree.special().len();
            self.say(format!(
                "passed over: {count} pipe{} or other special file{} ({})",
                if count == 1 { "" } else { "s" },
                if count == 1 { "" } else { "s" },
                first.display()
            ));
        }
    }
}

/// How images of a kind that is not read become images that are.
fn remedy(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "dcm" | "dicom" => "DICOM is not read: convert it with `dcmj2pnm --write-png scan.dcm scan.png` (DCMTK)",
        "ico" => "icons are not read: convert them with `magick mogrify -format png *.ico`",
        "svg" => "drawings are not read: convert them with `rsvg-convert -o image.png image.svg`",
        "nii" => "NIfTI is not read: save slices as PNG, with nibabel and Pillow",
        _ => return None,
    })
}
