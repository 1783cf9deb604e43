//! Subgroups that a table of its own gives: a list of images and the site, camera or background of each.

use std::collections::HashMap;
use std::path::{Component, Path};

use crate::error::DataError;
use crate::formats::manifest::IMAGE;
use crate::formats::table::{Table, at};
use crate::formats::{Item, Listing};

/// Looks up every image of a set in a table, by as much of its path as the table gives, with or without the file's
/// extension, in whatever case.
///
/// # Errors
/// [`DataError`]: the table cannot be read, has no such column, lacks an image, or says two things of one.
pub(crate) fn look_up(listing: &mut Listing, table: &Path, column: &str) -> Result<(), DataError> {
    let table = Table::read(table)?;
    let rows = Rows::of(&table, column)?;
    let mut used = vec![false; table.rows.len()];
    for item in &mut listing.items {
        let found = rows.find(item)?;
        let Some(&row) = found.first() else {
            let why = format!("{} is not in it; give every image a row", item.name.display());
            return Err(DataError::damaged(&table.path, why));
        };
        let cell = table.cell(row, rows.subgroup);
        if cell.is_empty() {
            let why = format!("{} has no \"{column}\"; give one or leave the image out", item.name.display());
            return Err(DataError::damaged(&at(&table.path, table.rows[row].0), why));
        }
        found.iter().for_each(|&row| used[row] = true);
        item.subgroup = Some(cell.into());
    }
    let unused: Vec<usize> = (0..used.len()).filter(|&row| !used[row]).collect();
    if let Some(&first) = unused.first() {
        let rows_of = if unused.len() == 1 { "1 row".into() } else { format!("{} rows", unused.len()) };
        let name = table.cell(first, rows.image);
        listing.notes.say(format!("passed over: {rows_of} of {} without an image ({name})", table.path.display()));
    }
    listing.sources.push(table.path);
    Ok(())
}

struct Rows<'t> {
    table: &'t Table,
    image: usize,
    subgroup: usize,
    /// The rows by the last part of the image's path, with and without an extension.
    by_name: HashMap<String, Vec<usize>>,
}

impl<'t> Rows<'t> {
    fn of(table: &'t Table, column: &str) -> Result<Self, DataError> {
        let head: Vec<&str> = table.head.iter().map(str::trim).collect();
        let wrong = |why: String| DataError::damaged(&table.path, why);
        let Some(subgroup) = head.iter().position(|cell| *cell == column) else {
            return Err(wrong(format!("there is no column \"{column}\"; there are {}", head.join(", "))));
        };
        let is_named = |place: usize, name: &str| place != subgroup && head[place].to_lowercase() == name;
        let usual = || IMAGE.iter().find_map(|name| (0..head.len()).find(|&place| is_named(place, name)));
        let only_other = || (head.len() == 2).then(|| 1 - subgroup);
        let Some(image) = usual().or_else(only_other) else {
            return Err(wrong(format!(
                "which column names the image is not clear; call it \"image\". There are {}",
                head.join(", ")
            )));
        };
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for row in 0..table.rows.len() {
            if let Some(last) = parts(table.cell(row, image)).last() {
                by_name.entry(last.clone()).or_default().push(row);
            }
        }
        Ok(Self { table, image, subgroup, by_name })
    }

    /// Returns the rows of an image, which agree: of those whose whole path ends its own, the longest.
    fn find(&self, item: &Item) -> Result<Vec<usize>, DataError> {
        let mut own = parts(&item.name.to_string_lossy());
        let Some(name) = own.pop() else { return Ok(Vec::new()) };
        let stem = Path::new(&name).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let mut best: Vec<usize> = Vec::new();
        let mut most = 0;
        for row in [Some(name), stem].into_iter().flatten().filter_map(|name| self.by_name.get(&name)).flatten() {
            let of_row = parts(self.table.cell(*row, self.image));
            let folders = &of_row[..of_row.len() - 1];
            if !own.ends_with(folders) || folders.len() < most || best.contains(row) {
                continue;
            }
            if folders.len() > most {
                best.clear();
            }
            most = folders.len();
            best.push(*row);
        }
        let cell = |row: usize| self.table.cell(row, self.subgroup);
        if let [first, ..] = best[..]
            && let Some(&other) = best.iter().find(|&&row| cell(row) != cell(first))
        {
            let why = format!(
                "{} is \"{}\" here and \"{}\" in line {}; give more of its path",
                item.name.display(),
                cell(first),
                cell(other),
                self.table.rows[other].0
            );
            return Err(DataError::damaged(&at(&self.table.path, self.table.rows[first].0), why));
        }
        Ok(best)
    }
}

/// Returns the parts of a path in lower case.
fn parts(path: &str) -> Vec<String> {
    let plain = path.trim().replace('\\', "/");
    let named = Path::new(&plain).components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_string_lossy().to_lowercase()),
        _ => None,
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Part;
    use crate::formats::Content;

    fn listing(names: &[&str]) -> Listing {
        let item = |name: &&str| Item {
            name: name.into(),
            content: Content::File,
            label: "a".into(),
            part: Part::Train,
            group: None,
            subgroup: None,
        };
        Listing { items: names.iter().map(item).collect(), ..Listing::default() }
    }

    fn found(names: &[&str], table: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sites.csv");
        std::fs::write(&path, table).unwrap();
        let mut listing = listing(names);
        look_up(&mut listing, &path, "site").map_err(|error| error.to_string())?;
        Ok(listing.items.into_iter().map(|item| item.subgroup.unwrap()).collect())
    }

    #[test]
    fn images_are_found_by_as_much_of_their_path_as_the_table_gives() {
        let names = ["/data/cat/1.png", "/data/dog/1.png", "/data/dog/2.JPG"];
        let table = "image,site\ncat/1.png,north\ndog\\1.png,south\n2,north\n";
        assert_eq!(found(&names, table).unwrap(), ["north", "south", "north"]);
        let other = "who,site,when\n1.png,north,1\n";
        assert!(found(&names[..1], other).unwrap_err().contains("which column names the image is not clear"));
        assert_eq!(found(&names[..1], "site;bild\nwest;data/cat/1.png\n").unwrap(), ["west"]);
        // Two rows that agree are one.
        assert_eq!(found(&names[..1], "path,site\n1.png,x\n1.png,x\n").unwrap(), ["x"]);
    }

    #[test]
    fn what_is_missing_or_contradicts_itself_is_said_with_its_line() {
        let names = ["/data/cat/1.png"];
        for (table, words) in [
            ("image,site\n2.png,north\n", "cat/1.png is not in it; give every image a row"),
            ("image,clinic\n1.png,north\n", "there is no column \"site\"; there are image, clinic"),
            ("image,site\n1.png,\n", "has no \"site\""),
            ("image,site\n1.png,a\n1.png,b\n", "is \"a\" here and \"b\" in line 3; give more of its path"),
            ("image,site\ndog/1.png,a\n", "is not in it"),
            ("", "the table is empty"),
        ] {
            let error = found(&names, table).unwrap_err();
            assert!(error.contains(words) && error.contains("sites.csv"), "{table:?}: {error}");
        }
    }

    #[test]
    fn rows_without_an_image_are_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sites.csv");
        std::fs::write(&path, "image,site\n1.png,a\n7.png,b\n8.png,b\n").unwrap();
        let mut listing = listing(&["x/1.png"]);
        look_up(&mut listing, &path, "site").unwrap();
        assert!(format!("{:?}", listing.notes).contains("passed over: 2 rows of"), "{:?}", listing.notes);
        assert_eq!(listing.sources, [path]);
    }
}
