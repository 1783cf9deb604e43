//! Writes files that appear whole or not at all.

use std::path::Path;

use serde::Serialize;

use crate::error::Error;

/// Writes a value as JSON, like [`write_whole`].
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| Error::file(path, error.into()))?;
    text.push(b'\n');
    write_whole(path, &text)
}

/// Writes a table with named columns, like [`write_whole`].
pub(crate) fn write_table(
    path: &Path,
    columns: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<(), Error> {
    let table = || -> std::io::Result<Vec<u8>> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(columns)?;
        rows.into_iter().try_for_each(|row| table.write_record(row))?;
        table.into_inner().map_err(|error| error.into_error())
    };
    write_whole(path, &table().map_err(|error| Error::file(path, error))?)
}

/// Writes a file under another name, syncs it and renames it: readers see the old file or the whole new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::io::Write;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // As for any other file, the user's umask decides who may read it.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let write = || {
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| Error::file(path, error))
}
