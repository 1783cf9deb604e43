//! Measures how fast children train.

use std::time::Duration;

use deepaug_augmenter::{Application, Online, Policy, RangeTable};
use deepaug_child_model::{
    Choose, Device, Model, Net, Selection, Settings, Strategy, Training, TrainingSet, augmented_images_per_second,
    images_per_second,
};
use ndarray::Array4;
use serde::Serialize;

use crate::error::Error;

/// What to measure.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildBench {
    /// The net.
    pub model: Model,
    /// Height and width of the images.
    pub size: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Images per step.
    pub batch: usize,
    /// Children at once; `None` tries one, and then more for as long as that pays off.
    pub children: Option<usize>,
    /// A policy that is applied to every image in its place, again for every epoch.
    pub online: Option<Policy>,
    /// Candidates that are made of every image with that policy, of which one is learnt from.
    pub candidates: Option<usize>,
    /// Minimum time of each measurement.
    pub time: Duration,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChildSpeed {
    /// `cpu` or `wgpu`.
    pub device: &'static str,
    /// The net.
    pub model: String,
    /// Number of its parameters.
    pub parameters: usize,
    /// Images per step.
    pub batch: usize,
    /// Height and width of the images.
    pub size: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Children at once: one per thread on the CPU, in one pass on a GPU.
    pub children: usize,
    /// Threads that train.
    pub threads: usize,
    /// Training images per second of all children together: forward pass, backward pass and optimiser.
    pub images_per_second: f64,
    /// The same for whole epochs under a policy, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augmented_images_per_second: Option<f64>,
    /// The same if of several candidates of every image one is learnt from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_images_per_second: Option<f64>,
    /// Peak memory of the children.
    pub mebibytes: u64,
}

/// More children are tried while each doubling gives at least this speed-up.
const WORTHWHILE: f64 = 1.05;

/// Images of an epoch, as in a small study.
const EPOCH: usize = 2_000;

/// The largest number of children tried on a GPU.
const MAX_CHILDREN: usize = 64;

impl ChildBench {
    /// Measures on a device; the last result is the fastest.
    ///
    /// # Errors
    /// [`Error::Child`]: images too small for the model.
    pub fn run(&self, device: &Device) -> Result<Vec<ChildSpeed>, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let numbers = match self.children {
            Some(children) => vec![children],
            None if device.is_cpu() => {
                if cores > 1 {
                    vec![1, cores]
                } else {
                    vec![1]
                }
            }
            None => std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|n| *n <= MAX_CHILDREN).collect(),
        };
        let mut speeds: Vec<ChildSpeed> = Vec::new();
        for children in numbers {
            let speed = self.measure(device, children)?;
            let before = speeds.last().map_or(0.0, |speed| speed.images_per_second);
            let pays = speed.images_per_second > WORTHWHILE * before;
            speeds.push(speed);
            if !pays {
                break;
            }
        }
        Ok(speeds)
    }

    fn measure(&self, device: &Device, children: usize) -> Result<ChildSpeed, Error> {
        let classes = 10;
        let count = if self.online.is_some() { EPOCH } else { 4 * self.batch };
        let shape = (count, self.size, self.size, self.channels);
        // Any images will do: the time does not depend on their content.
        let images = Array4::from_shape_fn(shape, |(n, r, c, _)| (n * 31 + r * 7 + c * 3) as u8);
        let labels: Vec<usize> = (0..images.dim().0).map(|n| n % classes).collect();
        let set = TrainingSet {
            images: images.view(),
            labels: &labels,
            validation_images: images.view(),
            validation_labels: &labels,
            classes,
            subgroups: None,
            translations: &[],
        };
        let settings = Settings { batch_size: self.batch, ..Settings::plain(1, self.model.optimiser()) };
        let policy = Policy::none(RangeTable::Monotone);
        let training = Training::new(set, &policy, &settings, 0);
        // Unlimited memory, to find how many children fit.
        let net = Net::new(self.model.clone(), device.clone()).with_memory(u64::MAX).with_stack(children);
        let sides = [children, children];
        let speed = images_per_second(&net, &training, sides, self.time)?;
        let augmented = |strategy: Strategy| {
            let policy = self.online.as_ref()?;
            let augment = Application::Online(Online { chance: 1.0, ..Online::NOTHING });
            let settings = Settings { augment, strategy, images_per_epoch: Some(EPOCH), ..settings };
            let set = training.set.view();
            let training = Training::new(set, policy, &settings, 0);
            Some(augmented_images_per_second(&net, &training, sides, self.time))
        };
        let chosen = self.candidates.and_then(|candidates| {
            let choose = Choose::Proportional;
            augmented(Strategy::Uncertain(Selection { candidates, keep: 1, choose, warm_up: 0.0 }))
        });
        Ok(ChildSpeed {
            device: device.kind(),
            model: self.model.name(),
            parameters: self.model.parameters([self.size, self.size, self.channels], classes)?,
            batch: self.batch,
            size: self.size,
            channels: self.channels,
            children,
            threads: if device.is_cpu() { children } else { 1 },
            images_per_second: speed,
            augmented_images_per_second: augmented(Strategy::Plain).transpose()?,
            chosen_images_per_second: chosen.transpose()?,
            mebibytes: (children as u64 * net.bytes_per_child(&training)?).div_ceil(1 << 20),
        })
    }
}
