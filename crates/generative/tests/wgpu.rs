//! Nets on the GPU learn what they learn on the CPU. Only where the feature `gpu` is on; a machine without an adapter shows the
//! test as skipped, not as passed.
#![expect(clippy::print_stdout, reason = "a test without a harness says how it ended")]

#[cfg(not(feature = "gpu"))]
fn main() {
    println!("0 passed, 0 failed, 1 skipped: built without the feature gpu");
}

#[cfg(feature = "gpu")]
fn main() {
    if !deepaug_generative::has_gpu() {
        println!("0 passed, 0 failed, 1 skipped: there is no adapter");
        return;
    }
    on_gpu::translators_learn_the_same();
    on_gpu::sequences_learn_the_same();
    println!("2 passed, 0 failed, 0 skipped");
}

#[cfg(feature = "gpu")]
mod on_gpu {
    use deepaug_augmenter::{Op, RangeTable, Step};
    use deepaug_dataset::Dataset;
    use deepaug_generative::cyclegan::{Settings, Side, Verdict};
    use deepaug_generative::{Device, cyclegan, tanda};
    use ndarray::s;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 2e-3 * a.abs().max(1.0)
    }

    pub(crate) fn translators_learn_the_same() {
        let clothes = Dataset::sample().images().slice(s![..64, .., .., ..]).to_owned();
        let marked = clothes.mapv(|value| 255 - value);
        let classes = vec![0; 64];
        let settings = Settings { steps: 3, batch: 4, width: 4, ..Settings::default() };
        let run = |device: Device| {
            let mut steps = Vec::new();
            let sides = [&clothes, &marked].map(|images| Side { images: images.view(), classes: &classes });
            let learnt = cyclegan::train(sides, &settings, device, 0, &mut |step, _| {
                steps.push(*step);
                Ok(Verdict::GoOn)
            });
            (steps, learnt.unwrap().translate(clothes.slice(s![..8, .., .., ..]), 1).unwrap())
        };
        let ((cpu, ours), (gpu, theirs)) = (run(Device::Cpu), run(Device::Gpu));
        for (a, b) in cpu.iter().zip(&gpu) {
            let all = |step: &cyclegan::StepRecord| [step.loss, step.cycle[0], step.cycle[1], step.discriminators[0]];
            assert!(all(a).iter().zip(all(b)).all(|(a, b)| close(*a, b)), "{a:?} {b:?}");
        }
        let apart = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart <= Some(3), "{apart:?}");
    }

    pub(crate) fn sequences_learn_the_same() {
        let clothes = Dataset::sample().images().slice(s![..64, .., .., ..]).to_owned();
        let functions = [(Op::Rotate, 0.25), (Op::Invert, 1.0)].map(|(op, magnitude)| Step::new(op, magnitude));
        let settings = tanda::Settings {
            steps: 3,
            warm_up: 2,
            batch: 8,
            length: 2,
            ..tanda::Settings::small(functions.to_vec(), RangeTable::Tanda)
        };
        let run = |device: Device| tanda::train(clothes.view(), &settings, device, 0, &mut |_| true).unwrap();
        let (cpu, gpu) = (run(Device::Cpu), run(Device::Gpu));
        assert_eq!(cpu.steps.len(), gpu.steps.len());
        for (a, b) in cpu.steps.iter().zip(&gpu.steps) {
            assert!(close(a.discriminator_loss, b.discriminator_loss), "{a:?} {b:?}");
            assert!(a.probabilities.iter().zip(&b.probabilities).all(|(a, b)| close(*a, *b)), "{a:?} {b:?}");
        }
    }
}
