//! `deepaug data`, and the reading of images for other commands.

use std::path::{Path, PathBuf};

use deepaug::explain::Subject;
use deepaug::{
    Auto, Cancel, Config, DataReport, Dataset, Error, Holdout, Summary, Suspect, Suspects, ValidConfig, data_sheet,
    read_data, write_sheet, write_suspects,
};
use indicatif::ProgressBar;

use super::{keep, stop_on_ctrl_c};
use crate::progress::bar;
use crate::{args, output};

/// Bad images and sets of duplicates to list; `--json` has them all.
const LISTED: usize = 10;

/// The bar of reading images.
const READING: &str = "{wide_bar} {pos}/{len} images read, {per_sec}, {eta} left";

/// Suspect images to list.
const SUSPECTS: usize = 10;

pub(crate) fn run(args: &args::Data) -> Result<(), Error> {
    let mut config = configuration(args.config.as_deref(), args.data.as_deref(), &args.reading)?;
    config.seed = args.seed.unwrap_or(config.seed);
    let config = config.check()?;
    let out = args.out.clone().unwrap_or_else(|| sheet_name(&config.data));
    keep(&out, |bytes| bytes.starts_with(b"\x89PNG"), "a picture")?;
    if let Some(path) = &args.write_split {
        keep(path, |bytes| bytes.starts_with(DataReport::SPLIT_HEAD.as_bytes()), "such a list")?;
    }
    let bar = bar(args.json, READING);
    let report = DataReport::new(&config, &|done, all| show(&bar, done, all));
    bar.finish_and_clear();
    let (report, dataset) = report?;
    if let Some(path) = &args.write_split {
        report.write_split(&dataset, path)?;
    }
    let suspects = args.suspects.as_deref().map(|page| suspects(page, &config, &dataset, args.json)).transpose()?;
    let written = write_sheet(data_sheet(&dataset), &out);
    if args.json {
        let mut value = serde_json::to_value(&report).unwrap_or_default();
        value["out"] = written.is_ok().then(|| out.display().to_string()).into();
        if let Some(suspects) = &suspects {
            value["suspects"] = serde_json::to_value(suspects).unwrap_or_default();
        }
        output::json(&value);
    } else {
        print(&report, &config);
        if written.is_ok() {
            output::line(format_args!("\n{} shows images of each class", out.display()));
        }
        if let Some(path) = &args.write_split {
            output::line(format_args!("{} lists the part of each image", path.display()));
        }
        if let (Some(suspects), Some(page)) = (&suspects, &args.suspects) {
            print_suspects(suspects, page);
        }
    }
    match written {
        // The report is what was asked for.
        Err(error) if args.out.is_none() => {
            output::note(format_args!("no picture of the images: {error}; --out FILE writes it elsewhere"));
            Ok(())
        }
        other => other,
    }
}

/// Finds images whose label may be wrong, and writes them as a page and a table.
fn suspects(page: &Path, config: &ValidConfig, dataset: &Dataset, json: bool) -> Result<Suspects, Error> {
    let is_ours = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("that may be wrong</title>");
    keep(page, is_ours, "a page of suspects")?;
    let table = page.with_extension("csv");
    keep(&table, |bytes| bytes.starts_with(b"image,class,loss,read_as"), "a table of suspects")?;
    let cancel = Cancel::new();
    stop_on_ctrl_c(cancel.clone());
    let bar = bar(json, "training nets on parts of the images {wide_bar} {pos}/{len} epochs, {eta} left");
    let found = Suspects::find(config, dataset, &cancel, &|done, all| show(&bar, done, all));
    bar.finish_and_clear();
    let found = found?;
    write_suspects(&found, dataset, page)?;
    found.write(&table)?;
    Ok(found)
}

fn print_suspects(suspects: &Suspects, page: &Path) {
    output::line(format_args!(
        "\nNets that had not learnt from them read {:.1} % of images as labelled. Most sure to be something else:",
        100.0 * suspects.accuracy
    ));
    for suspect in suspects.images.iter().filter(|suspect| suspect.read_as != suspect.class).take(SUSPECTS) {
        let Suspect { name, class, read_as, probability, .. } = suspect;
        output::line(format_args!("  {name}: labelled {class}, read as {read_as} ({:.1} %)", 100.0 * probability));
    }
    let table = page.with_extension("csv");
    output::line(format_args!("{} shows more of each class, {} lists all images", page.display(), table.display()));
}

/// Reads the images that a net is to look at, and says how it is trained.
pub(crate) fn look(subject: &Subject, look: &args::Look, json: bool) -> Result<(ValidConfig, Dataset), Error> {
    let mut config = subject.config(look.data.as_deref());
    ask(&mut config, &look.reading)?;
    config.device = look.device.unwrap_or(config.device);
    config.seed = look.seed.unwrap_or(config.seed);
    let config = config.check()?;
    let dataset = read(&config, json)?;
    Ok((config, dataset))
}

/// Starts from a file or the quickstart, and applies the arguments that say which images are read and how.
pub(crate) fn configuration(file: Option<&Path>, data: Option<&Path>, typed: &args::Reading) -> Result<Config, Error> {
    let mut config = match file {
        Some(path) => Config::read(path)?,
        None => Config::quickstart(),
    };
    if let Some(data) = data {
        config.data = data.to_string_lossy().into_owned();
    }
    ask(&mut config, typed)?;
    Ok(config)
}

/// Applies the arguments to a configuration.
pub(crate) fn ask(config: &mut Config, typed: &args::Reading) -> Result<(), Error> {
    config.image_size = typed.image_size.unwrap_or(config.image_size);
    config.on_bad_image = typed.on_bad_image.unwrap_or(config.on_bad_image);
    if let Some(format) = &typed.data_format {
        config.data_format = if format == "auto" { Auto::Auto } else { Auto::Given(format.clone()) };
    }
    for (key, value) in [
        (&mut config.image_column, &typed.image_column),
        (&mut config.label_column, &typed.label_column),
        (&mut config.split_column, &typed.split_column),
        (&mut config.group_column, &typed.group_column),
        (&mut config.subgroup_column, &typed.subgroup_column),
        (&mut config.subgroup_table, &typed.subgroup_table),
    ] {
        if let Some(value) = value {
            key.clone_from(value);
        }
    }
    *config = config.with_all(typed.set.iter().map(String::as_str))?;
    Ok(())
}

/// Reads the images of a search, shows a bar meanwhile, and warns of anything that may spoil it.
pub(crate) fn read(config: &Config, json: bool) -> Result<Dataset, Error> {
    let config = config.clone().check()?;
    let bar = bar(json, READING);
    let dataset = read_data(&config, &|done, all| show(&bar, done, all));
    bar.finish_and_clear();
    let dataset = dataset?;
    if !json {
        let summary = Summary::new(&dataset, None);
        if let [first, ..] = &summary.skipped[..] {
            let (count, name) = (summary.skipped.len(), first.name.display());
            output::note(format_args!("unreadable images left out: {count}; the first is {name}: {}", first.why));
        }
        summary.warnings.iter().for_each(|warning| output::note(format_args!("warning: {warning}")));
    }
    Ok(dataset)
}

/// Shows how much of one of several steps is done.
pub(crate) fn show_as(bar: &ProgressBar, step: &'static str, done: usize, all: usize) {
    if bar.message() != step {
        bar.set_message(step);
        bar.set_position(0);
    }
    show(bar, done, all);
}

fn show(bar: &ProgressBar, done: usize, all: usize) {
    bar.set_length(all as u64);
    // Threads finish in any order; the bar never moves back.
    bar.set_position(bar.position().max(done as u64));
}

fn sheet_name(data: &str) -> PathBuf {
    let name = Path::new(data).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    PathBuf::from(format!("{}-sheet.png", if name.is_empty() { "images" } else { &name }))
}

fn print(report: &DataReport, config: &Config) {
    let DataReport { summary, refused, unused, .. } = report;
    let [height, width, channels] = summary.shape;
    let colour = if channels == 1 { "grey" } else { "RGB" };
    output::line(format_args!(
        "{}: {} images of {} classes, {}",
        config.data,
        summary.images,
        summary.classes.len(),
        summary.format
    ));
    let [smallest, middle, largest] = summary.source_sizes.map(|[width, height]| format!("{width}x{height}"));
    match summary.different_sizes {
        1 if middle == format!("{width}x{height}") => output::line(format_args!("  size      {middle}, {colour}")),
        1 => output::line(format_args!("  size      {middle}, resized to {width}x{height}, {colour}")),
        sizes => output::line(format_args!(
            "  size      {sizes} sizes, {smallest} to {largest} (median {middle}), now {width}x{height}, {colour}"
        )),
    }
    let values = |values: &[f64]| values.iter().map(|value| format!("{value:.1}")).collect::<Vec<_>>().join(" ");
    output::line(format_args!("  mean      {} of 255", values(&summary.mean)));
    output::line(format_args!("  deviation {} of 255", values(&summary.standard_deviation)));
    let whose = match (summary.own_split, config.holdout) {
        (true, _) => "the data's own",
        (false, Holdout::Fixed) => "that of a search with this seed",
        (false, Holdout::Repeated) => {
            "that of a search with this seed; train and validation are divided anew for each training"
        }
    };
    output::line(format_args!("  split     {whose}"));
    if let Some(groups) = summary.groups {
        output::line(format_args!("  groups    {groups}, kept together"));
    }
    let widest = summary.classes.iter().map(|class| class.name.chars().count()).max().unwrap_or(0).max(5);
    output::line(format_args!("\n{:<widest$}  {:>8}  {:>10}  {:>8}", "class", "train", "validation", "test"));
    for class in &summary.classes {
        output::line(format_args!(
            "{:<widest$}  {:>8}  {:>10}  {:>8}",
            class.name, class.train, class.validation, class.test
        ));
    }
    if *unused > 0 {
        output::line(format_args!("{unused} more are outside the test set, and a search has no use for them"));
    }
    if summary.duplicates > 0 {
        output::line(format_args!("\nimages identical to an earlier one: {}", summary.duplicates));
        for set in summary.duplicate_sets.iter().take(LISTED) {
            output::line(format_args!("  {}", set.join(" = ")));
        }
        more(summary.duplicate_sets.len());
    }
    if !summary.skipped.is_empty() {
        output::line(format_args!("\nunreadable images: {}", summary.skipped.len()));
        for skipped in summary.skipped.iter().take(LISTED) {
            output::line(format_args!("  {}: {}", skipped.name.display(), skipped.why));
        }
        more(summary.skipped.len());
    }
    for warning in &summary.warnings {
        output::line(format_args!("\nwarning: {warning}"));
    }
    if let Some(why) = refused {
        output::line(format_args!("\nA search would refuse this data: {why}"));
    }
}

fn more(count: usize) {
    if count > LISTED {
        output::line(format_args!("  and {} more, which --json lists", count - LISTED));
    }
}
