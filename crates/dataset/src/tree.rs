//! What lies at a path: one walk, before anything is opened.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::DataError;
use crate::formats::table::Table;

/// The files and folders at a path, in the order of their names: the same on every machine.
#[derive(Debug)]
pub(crate) struct Tree {
    root: PathBuf,
    is_folder: bool,
    /// Each folder with the files directly in it, the root among them.
    folders: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// What is neither file nor folder: pipes, sockets, devices. Nothing of these is opened.
    special: Vec<PathBuf>,
    /// Tables that have been read.
    tables: RefCell<HashMap<PathBuf, Rc<Table>>>,
}

/// Hidden or system folders that hold no images of the user's, though images may lie in them.
const SYSTEM_FOLDERS: [&str; 8] =
    ["__MACOSX", "@eaDir", ".git", ".svn", ".ipynb_checkpoints", ".thumbnails", ".cache", ".AppleDouble"];

impl Tree {
    /// Walks a file, or a folder and all folders in it. Hidden files are left out; a hidden folder only where it holds no images,
    /// for a class may be called `.NET`. Symbolic links are followed, never in a circle.
    ///
    /// # Errors
    /// [`DataError`]: nothing there, a folder that cannot be read, a circle, a name that is not UTF-8.
    pub(crate) fn new(path: &Path) -> Result<Self, DataError> {
        let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => DataError::Missing { path: path.into() },
            _ => DataError::io(path, source),
        })?;
        let mut tree = Self {
            root: path.into(),
            is_folder: metadata.is_dir(),
            folders: BTreeMap::new(),
            special: Vec::new(),
            tables: RefCell::default(),
        };
        if !tree.is_folder {
            return match metadata.is_file() {
                true => Ok(tree),
                false => Err(DataError::unusable(path, "neither a file nor a folder")),
            };
        }
        let walk = walkdir::WalkDir::new(path).follow_links(true).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(|entry| entry.depth() == 0 || is_visible(entry)) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let at = error.path().unwrap_or(path).to_path_buf();
                    if error.loop_ancestor().is_some() {
                        return Err(DataError::unusable(&at, "a symbolic link to a folder that it lies in; remove it"));
                    }
                    // A link that leads nowhere is an error only where its image is asked for.
                    if std::fs::symlink_metadata(&at).is_ok_and(|metadata| metadata.is_symlink()) {
                        tree.add(at);
                        continue;
                    }
                    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other("cannot be walked"));
                    return Err(DataError::io(&at, source));
                }
            };
            if entry.path().to_str().is_none() {
                return Err(DataError::damaged(entry.path(), "its name is not UTF-8; rename it"));
            }
            let kind = entry.file_type();
            if kind.is_dir() {
                tree.folders.entry(entry.into_path()).or_default();
            } else if kind.is_file() {
                tree.add(entry.into_path());
            } else {
                tree.special.push(entry.into_path());
            }
        }
        Ok(tree)
    }

    /// Reads a table, once.
    pub(crate) fn table(&self, path: &Path) -> Result<Rc<Table>, DataError> {
        if let Some(known) = self.tables.borrow().get(path) {
            return Ok(known.clone());
        }
        let table = Rc::new(Table::read(path)?);
        self.tables.borrow_mut().insert(path.into(), table.clone());
        Ok(table)
    }

    fn add(&mut self, file: PathBuf) {
        let folder = file.parent().unwrap_or(&self.root).to_path_buf();
        self.folders.entry(folder).or_default().push(file);
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// All files, the root itself if it is one.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let alone = (!self.is_folder).then_some(&*self.root);
        alone.into_iter().chain(self.folders.values().flatten().map(PathBuf::as_path))
    }

    /// The files directly in a folder.
    pub(crate) fn files_in(&self, folder: &Path) -> &[PathBuf] {
        self.folders.get(folder).map_or(&[], Vec::as_slice)
    }

    /// The folders directly in a folder.
    pub(crate) fn folders_in<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a Path> {
        self.within(folder).map(|(inner, _)| inner).filter(move |inner| inner.parent() == Some(folder))
    }

    /// Whether there are files in a folder or in those within it.
    pub(crate) fn has_files(&self, folder: &Path) -> bool {
        self.within(folder).any(|(_, files)| !files.is_empty())
    }

    /// A folder and those within it, which follow it in the order of paths: there may be ten thousand others.
    fn within<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = (&'a Path, &'a [PathBuf])> {
        let from = self.folders.range::<Path, _>((Bound::Included(folder), Bound::Unbounded));
        from.take_while(move |(inner, _)| inner.starts_with(folder)).map(|(inner, files)| (&**inner, &**files))
    }

    /// What is neither file nor folder.
    pub(crate) fn special(&self) -> &[PathBuf] {
        &self.special
    }

    /// A path as messages call it: from the root on.
    pub(crate) fn name<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

fn is_visible(entry: &walkdir::DirEntry) -> bool {
    match entry.file_name().to_str() {
        Some(name) if SYSTEM_FOLDERS.contains(&name) || name.starts_with(".Trash") => false,
        Some(name) if !name.starts_with('.') => true,
        Some(_) => entry.file_type().is_dir() && holds_images(entry.path()),
        None => true,
    }
}

fn holds_images(folder: &Path) -> bool {
    let inside = std::fs::read_dir(folder).into_iter().flatten().flatten();
    inside.map(|entry| entry.path()).any(|path| has_image_name(&path))
}

/// The letters after the last full stop of a file's name, in lower case.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// The last part of a path.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a file's name says that it is an image, of a kind that can be read or not. It is asked of every file, often.
pub(crate) fn has_image_name(path: &Path) -> bool {
    let Some(end) = path.extension().map(std::ffi::OsStr::as_encoded_bytes).filter(|end| end.len() <= 4) else {
        return false;
    };
    let mut lower = [0; 4];
    lower.iter_mut().zip(end).for_each(|(lower, byte)| *lower = byte.to_ascii_lowercase());
    matches!(
        &lower[..end.len()],
        b"png"
            | b"jpg"
            | b"jpeg"
            | b"jpe"
            | b"jfif"
            | b"webp"
            | b"bmp"
            | b"gif"
            | b"tif"
            | b"tiff"
            | b"avif"
            | b"heic"
            | b"heif"
            | b"jp2"
            | b"jxl"
            | b"ppm"
            | b"pgm"
            | b"tga"
    )
}

/// Ends of names of files that are known to be something else. Whatever else there is, such as files named by a hash alone, is
/// told by its first bytes.
const NO_IMAGES: [&str; 53] = [
    "txt", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "toml", "ini", "cfg", "md", "rst", "html", "htm",
    "pdf", "doc", "docx", "xls", "xlsx", "ods", "ppt", "pptx", "zip", "tar", "gz", "tgz", "7z", "rar", "bz2", "xz",
    "npy", "npz", "parquet", "pkl", "h5", "hdf5", "mat", "db", "sqlite", "log", "py", "ipynb", "mp4", "avi", "mov",
    "wav", "mp3", "dcm", "dicom", "ico", "svg", "nii",
];

/// Whether a file is an image, by its name, or where that says nothing, by its first bytes.
pub(crate) fn is_image(path: &Path) -> bool {
    if has_image_name(path) {
        return true;
    }
    if NO_IMAGES.contains(&extension(path).as_str()) {
        return false;
    }
    let mut first = [0; 16];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut first));
    read.is_ok_and(|count| image::guess_format(&first[..count]).is_ok_and(|kind| kind != image::ImageFormat::Ico))
}
