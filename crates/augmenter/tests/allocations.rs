//! Ops allocate nothing once their buffers have been used.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use deepaug_augmenter::{Op, RangeTable};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting this thread's requests.
struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_op_allocates_for_each_image() {
    for (size, channels) in [(32, 3), (40, 1)] {
        let images = deepaug_augmenter::measure::example_images(1, size, channels);
        let mut image = images.index_axis(ndarray::Axis(0), 0).to_owned();
        for ranges in RangeTable::ALL {
            for op in Op::ALL {
                let mut apply = |draws: u64| {
                    let before = COUNT.get();
                    for seed in 0..draws {
                        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
                        op.apply(ranges, 0.9, image.view_mut(), rng);
                    }
                    COUNT.get() - before
                };
                apply(40);
                assert_eq!(apply(40), 0, "{op} {ranges} {size}");
            }
        }
    }
}
