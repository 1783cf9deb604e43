//! How many images a second a set is read at, and how long a start takes with them in the cache.
//!
//!     cargo run --release --example read_speed -- my-images 64 2
//!
//! The second number is the side that images are brought to (0 for their own), the third the number of threads.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use deepaug_dataset::{Dataset, ImageSize, ReadOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, side, threads] = &arguments[..] else { return Err("usage: read_speed PATH SIDE THREADS".into()) };
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
    let (images, time) = seconds(&plain)?;
    let folder = tempfile::tempdir()?;
    let cached = ReadOptions { cache: Some(folder.path().into()), ..plain };
    let (_, first) = seconds(&cached)?;
    let (_, second) = seconds(&cached)?;
    let report = serde_json::json!({
        "images": images,
        "images_per_second": images as f64 / time,
        "first_start_seconds": first,
        "second_start_seconds": second,
    });
    println!("{report}");
    Ok(())
}
