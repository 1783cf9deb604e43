//! What every op guarantees, whatever its kernel.

mod common;

use deepaug_augmenter::{Category, Op, Policy, RangeTable, Step, SubPolicy};
use ndarray::{Array3, Array4, Axis, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

fn applied(op: Op, ranges: RangeTable, magnitude: f64, image: &Array3<u8>, seed: u64) -> Array3<u8> {
    let mut image = image.clone();
    op.apply(ranges, magnitude, image.view_mut(), &mut Xoshiro256PlusPlus::seed_from_u64(seed));
    image
}

fn one_op(op: Op, ranges: RangeTable, magnitude: f64) -> Policy {
    Policy::new(ranges, 1.0, vec![SubPolicy { ops: vec![Step::new(op, magnitude)] }])
}

#[test]
fn magnitude_0_is_the_identity() {
    for images in [common::grey(), common::colour(), common::wide()] {
        for op in Op::ALL {
            let copies = one_op(op, RangeTable::Monotone, 0.0).copies(images.view(), 1);
            assert_eq!(copies.images, images, "{op}");
        }
    }
}

/// Colour ops leave grey images unchanged; the grey images span the full range of values, so auto-contrast does
/// too.
fn leaves_alone(op: Op, grey: bool) -> bool {
    grey && matches!(op, Op::AddToHueAndSaturation | Op::Saturation | Op::AutoContrast)
}

#[test]
fn every_op_changes_images_at_magnitude_1() {
    for (images, grey) in [(common::grey(), true), (common::colour(), false)] {
        for ranges in RangeTable::ALL {
            for op in Op::ALL.into_iter().filter(|&op| ranges.has(op)) {
                let copies = one_op(op, ranges, 1.0).copies(images.view(), 1).images;
                let changed = copies.outer_iter().zip(images.outer_iter()).filter(|(a, b)| a != b).count();
                if leaves_alone(op, grey) {
                    assert!(changed <= 3, "{op} {ranges}: {changed} changed");
                } else {
                    assert!(changed >= images.dim().0 * 8 / 10, "{op} {ranges}: {changed} changed");
                }
            }
        }
    }
}

/// Each image gets ten draws, because most ops sometimes draw next to nothing.
#[test]
fn every_op_changes_a_pixel_visibly_at_the_least_magnitude() {
    let images = common::colour();
    for op in Op::ALL.into_iter().filter(|&op| RangeTable::Monotone.uses_magnitude(op) && op != Op::SamplePairing) {
        let mut policy = one_op(op, RangeTable::Monotone, RangeTable::Monotone.least_magnitude(op));
        policy.sub_policies = vec![policy.sub_policies[0].clone(); 10];
        let copies = policy.copies(images.view(), 1);
        let mut seen = vec![false; images.dim().0];
        for (copy, &source) in copies.images.outer_iter().zip(&copies.sources) {
            let original = images.index_axis(Axis(0), source);
            seen[source] |= copy.iter().zip(original).any(|(a, b)| a.abs_diff(*b) >= 4);
        }
        let count = seen.iter().filter(|&&seen| seen).count();
        assert!(2 * count > seen.len(), "{op}: {count} of {}", seen.len());
    }
}

/// Computes the mean distortion over all images, with 15 draws each, at 21 magnitudes. Draws are equal across
/// magnitudes, so that differences come from the magnitude.
#[test]
fn distortion_does_not_fall_as_the_magnitude_grows() {
    let mut failures = Vec::new();
    for (name, images) in [("grey", common::grey()), ("colour", common::colour())] {
        for op in Op::ALL {
            let mean = |step: u32| {
                let mut policy = one_op(op, RangeTable::Monotone, f64::from(step) / 20.0);
                let sub_policy = policy.sub_policies[0].clone();
                policy.sub_policies = vec![sub_policy; 15];
                let copies = policy.copies(images.view(), 9);
                let total: f64 = copies
                    .images
                    .outer_iter()
                    .zip(&copies.sources)
                    .map(|(copy, &source)| common::distortion(copy, images.index_axis(Axis(0), source)))
                    .sum();
                total / copies.sources.len() as f64
            };
            let means: Vec<f64> = (0..=20).map(mean).collect();
            let fall = means.windows(2).map(|pair| pair[0] - pair[1]).fold(f64::MIN, f64::max);
            if fall > 0.0 || (means[20] < 3.0 && !leaves_alone(op, name == "grey")) {
                failures.push(format!("{op} ({name}) falls by {fall:.4}: {means:.2?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn at_most_one_image_in_a_hundred_is_constant_at_magnitude_1() {
    for images in [common::grey(), common::colour()] {
        for op in Op::ALL {
            let mut policy = one_op(op, RangeTable::Monotone, 1.0);
            policy.sub_policies = vec![policy.sub_policies[0].clone(); 20];
            let copies = policy.copies(images.view(), 5).images;
            let constant = copies.outer_iter().filter(|image| image.iter().all(|v| *v == image[[0, 0, 0]])).count();
            assert!(100 * constant <= copies.dim().0, "{op}: {constant} of {} constant", copies.dim().0);
        }
    }
}

#[test]
fn copies_do_not_depend_on_the_number_of_threads() {
    let images = common::colour();
    for ranges in RangeTable::ALL {
        let ops: Vec<Step> = Op::ALL.into_iter().filter(|&op| ranges.has(op)).map(|op| Step::new(op, 0.4)).collect();
        let sub_policies: Vec<SubPolicy> = ops.chunks(2).map(|pair| SubPolicy { ops: pair.to_vec() }).collect();
        let policy = Policy::new(ranges, 0.7, sub_policies);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| policy.copies(images.view(), 3))
        };
        let one = with(1);
        assert_eq!(one.sources.len(), ops.len().div_ceil(2) * 21);
        assert_eq!(one, with(2));
        assert_eq!(one, with(5));
        assert_eq!(one, with(16));
    }
}

#[test]
fn a_copy_does_not_depend_on_what_else_is_in_the_batch() {
    let images = common::colour();
    for op in Op::ALL.into_iter().filter(|&op| op != Op::SamplePairing) {
        let policy = one_op(op, RangeTable::Monotone, 0.7);
        let all = policy.copies(images.view(), 3).images;
        for n in [1, 7] {
            let few = policy.copies(images.slice(s![..n, .., .., ..]), 3).images;
            assert_eq!(few, all.slice(s![..n, .., .., ..]), "{op} {n}");
        }
    }
}

#[test]
fn equal_seeds_give_equal_copies_and_others_do_not() {
    let images = common::colour();
    for op in Op::ALL {
        let mut policy = one_op(op, RangeTable::Monotone, 0.5);
        policy.portion = 0.5;
        let copies = policy.copies(images.view(), 1);
        assert_eq!(copies, policy.copies(images.view(), 1), "{op}");
        let other = policy.copies(images.view(), 2);
        assert_ne!(copies.sources, other.sources);
        policy.portion = 1.0;
        assert_ne!(policy.copies(images.view(), 1).images, policy.copies(images.view(), 2).images, "{op}");
    }
}

#[test]
fn sub_policies_draw_their_own_images_and_parameters() {
    let images = common::grey();
    let mut policy = one_op(Op::Rotate, RangeTable::Monotone, 1.0);
    policy.portion = 0.33;
    policy.sub_policies = vec![policy.sub_policies[0].clone(); 2];
    let copies = policy.copies(images.view(), 1);
    let (first, second) = copies.sources.split_at(20);
    assert!(first.is_sorted_by(|a, b| a < b) && second.is_sorted_by(|a, b| a < b));
    assert_ne!(first, second);
    let shared = first.iter().enumerate().filter_map(|(i, s)| Some((i, 20 + second.binary_search(s).ok()?)));
    let different =
        shared.filter(|&(i, j)| copies.images.index_axis(Axis(0), i) != copies.images.index_axis(Axis(0), j));
    assert!(different.count() > 0);
}

#[test]
fn copies_made_one_by_one_are_those_of_the_batch() {
    let images = common::colour();
    let ops = Op::ALL.into_iter().map(|op| Step { op, magnitude: 0.6, probability: 0.7 }).collect::<Vec<_>>();
    let sub_policies: Vec<SubPolicy> = ops.chunks(3).map(|steps| SubPolicy { ops: steps.to_vec() }).collect();
    let policy = Policy::new(RangeTable::Monotone, 0.4, sub_policies);
    let batch = policy.copies(images.view(), 8);
    let plan = policy.plan(images.dim().0, 8);
    assert_eq!(plan.iter().map(|copy| copy.source).collect::<Vec<_>>(), batch.sources);
    for (i, &copy) in plan.iter().enumerate() {
        let mut image = common::nth(&images, copy.source);
        policy.apply(copy, image.view_mut(), images.view(), 8);
        assert_eq!(image, batch.images.index_axis(Axis(0), i));
    }
}

#[test]
fn geometric_ops_do_nothing_at_magnitude_0_under_any_ranges() {
    let images = common::colour();
    // Under those of TANDA, magnitude 0 is a step the other way.
    for ranges in RangeTable::ALL.into_iter().filter(|&ranges| ranges != RangeTable::Tanda) {
        for op in Op::ALL.into_iter().filter(|&op| ranges.has(op) && op.category() == Category::Geometric) {
            assert_eq!(one_op(op, ranges, 0.0).copies(images.view(), 1).images, images, "{op} {ranges}");
        }
    }
}

#[test]
fn ops_are_applied_in_order() {
    let images = common::colour();
    let step = |op| Step::new(op, 1.0);
    let mut policy = one_op(Op::Invert, RangeTable::Monotone, 1.0);
    policy.sub_policies[0].ops.push(step(Op::Rotate));
    // The corners that a rotation leaves empty stay black only if the inversion came first.
    let black = policy.copies(images.view(), 4).images.iter().filter(|&&v| v == 0).count();
    policy.sub_policies[0].ops.reverse();
    let white = policy.copies(images.view(), 4).images.iter().filter(|&&v| v == 255).count();
    assert!(black > 1000 && white > 1000, "{black} black, {white} white");
}

#[test]
fn a_view_with_gaps_gets_the_same_pixels() {
    let image = common::nth(&common::colour(), 3);
    for op in Op::ALL {
        let mut padded = Array3::<u8>::zeros((32, 40, 3));
        padded.slice_mut(s![.., 5..37, ..]).assign(&image);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        op.apply(RangeTable::Monotone, 0.8, padded.slice_mut(s![.., 5..37, ..]), &mut rng);
        assert_eq!(padded.slice(s![.., 5..37, ..]), applied(op, RangeTable::Monotone, 0.8, &image, 1), "{op}");
        assert!(padded.slice(s![.., ..5, ..]).iter().all(|&v| v == 0));
    }
}

#[test]
fn empty_batches_and_images_are_fine() {
    let policy = one_op(Op::Rotate, RangeTable::Monotone, 1.0);
    for shape in [(0, 8, 8, 3), (4, 0, 8, 3), (4, 8, 8, 0)] {
        let copies = policy.copies(Array4::zeros(shape).view(), 1);
        assert_eq!(copies.images.dim(), shape);
    }
    let copies = Policy::none(RangeTable::Monotone).copies(common::grey().view(), 1);
    assert_eq!((copies.sources.len(), copies.images.dim()), (0, (0, 28, 28, 1)));
}

fn any_op() -> impl Strategy<Value = Op> {
    prop::sample::select(Op::ALL.to_vec())
}

fn any_ranges() -> impl Strategy<Value = RangeTable> {
    prop::sample::select(RangeTable::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Checks that no image, however small, makes an op panic, and that equal arguments give equal pixels.
    #[test]
    fn any_image_is_accepted(
        op in any_op(),
        ranges in any_ranges(),
        magnitude in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0, Just(f64::NAN), Just(7.0)],
        (height, width) in (1_usize..12, 1_usize..12),
        channels in prop::sample::select(vec![1_usize, 3]),
        seed: u64,
    ) {
        let image = Array3::from_shape_fn((height, width, channels), |(y, x, c)| (y * 37 + x * 91 + c * 50) as u8);
        let once = applied(op, ranges, magnitude, &image, seed);
        prop_assert_eq!(once.dim(), image.dim());
        prop_assert_eq!(&once, &applied(op, ranges, magnitude, &image, seed));
        if ranges == RangeTable::Monotone && (magnitude == 0.0 || magnitude.is_nan()) {
            prop_assert_eq!(once, image);
        }
    }

    /// Checks that the number of copies and their order are as documented.
    #[test]
    fn portions_are_rounded(n in 0_usize..50, portion in 0.0..=1.0, sub_policies in 0_usize..4, seed: u64) {
        let mut policy = one_op(Op::HorizontalFlip, RangeTable::Monotone, 1.0);
        policy.portion = portion;
        policy.sub_policies = vec![policy.sub_policies[0].clone(); sub_policies];
        let images = Array4::from_shape_fn((n, 1, 2, 1), |(i, _, x, _)| (i * 2 + x) as u8);
        let copies = policy.copies(images.view(), seed);
        let each = (portion * n as f64).round() as usize;
        prop_assert_eq!(copies.sources.len(), each * sub_policies);
        for part in copies.sources.chunks(each.max(1)) {
            prop_assert!(part.is_sorted_by(|a, b| a < b));
        }
        for (copy, &source) in copies.images.outer_iter().zip(&copies.sources) {
            prop_assert_eq!(copy.iter().copied().collect::<Vec<_>>(), vec![source as u8 * 2 + 1, source as u8 * 2]);
        }
    }
}
