//! Measures how many images per second a set is read at, or how long a first and a second start take with a cache.
//!
//!     cargo run --release --example read_speed -- my-images 64 2
//!     cargo run --release --example read_speed -- my-images 64 2 cache
//!
//! The second argument is the side that images are resized to (0 for their own), the third the number of threads.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use deepaug_dataset::{Dataset, ImageSize, ReadOptions};

#[expect(clippy::print_stdout, reason = "it is a program")]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, side, threads, cache @ ..] = &arguments[..] else {
        return Err("usage: read_speed PATH SIDE THREADS [cache]".into());
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    let image_size = match side.parse()? {
        0 => ImageSize::Own,
        side => ImageSize::Side(side),
    };
    let plain = ReadOptions { image_size, ..ReadOptions::default() };
    let seconds = |options: &ReadOptions| -> Result<(usize, f64), Box<dyn Error>> {
        let start = Instant::now();
        let images = Dataset::read(Path::new(path), options)?.len();
        Ok((images, start.elapsed().as_secs_f64()))
    };
    let report = if cache.is_empty() {
        let (images, time) = seconds(&plain)?;
        serde_json::json!({ "images": images, "images_per_second": images as f64 / time })
    } else {
        let folder = tempfile::tempdir()?;
        let cached = ReadOptions { cache: Some(folder.path().into()), ..plain };
        let ((images, first), (_, second)) = (seconds(&cached)?, seconds(&cached)?);
        serde_json::json!({ "images": images, "first_start_seconds": first, "second_start_seconds": second })
    };
    println!("{report}");
    Ok(())
}
