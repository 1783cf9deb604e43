//! How fast policies are applied.

use std::time::{Duration, Instant};

use ndarray::{Array4, ArrayView4};

use crate::Policy;

/// Returns how many copies per second a policy makes on the current rayon pool. Whole batches run for the given
/// time, and the fastest counts: other work on the machine makes a batch slower, never faster.
pub fn images_per_second(policy: &Policy, images: ArrayView4<'_, u8>, time: Duration) -> f64 {
    let start = Instant::now();
    let mut best = 0.0_f64;
    for seed in 0.. {
        let begun = Instant::now();
        let copies = policy.copies(images, seed).sources.len();
        best = best.max(copies as f64 / begun.elapsed().as_secs_f64());
        // The first batches fill caches and tables.
        if seed > 1 && start.elapsed() >= time {
            break;
        }
    }
    best
}

/// Returns a batch of images that resemble photographs in what matters for speed: smooth, with edges and a little
/// noise.
pub fn example_images(count: usize, size: usize, channels: usize) -> Array4<u8> {
    Array4::from_shape_fn((count, size, size, channels), |(i, y, x, c)| {
        let (u, v) = (x as f32 / size as f32, y as f32 / size as f32);
        let wave = (u * (3 + i % 5) as f32 + c as f32).sin() + (v * (2 + i % 7) as f32 - u).cos();
        let edge = if (u - 0.5).hypot(v - 0.4) < 0.1 + 0.03 * (i % 9) as f32 { 60.0 } else { 0.0 };
        let noise = ((x * 7919 + y * 104_729 + c * 1301 + i * 31) % 17) as f32;
        (100.0 + 40.0 * wave + edge + noise).clamp(0.0, 255.0) as u8
    })
}
