//! The nets of this crate as child models.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Instant;

use deepaug_augmenter::{Application, Copies};
use ndarray::{Array2, Array4, ArrayView4, CowArray};

use crate::engine::Engine;
use crate::engine::backend::Work;
use crate::input::Input;
use crate::network::{self, Network, Plan, Tensor, Weights, made_for};
use crate::session::{EVALUATION_BATCH, Evaluation, Stack, run};
use crate::{
    Capacity, ChildModel, Device, EpochRecord, History, Model, Observer, Optimiser, Session, Settings, State,
    StateFiles, TrainError, Training, TrainingSet, parallel,
};

/// A net trained on a device.
///
/// On the CPU each child has one thread, and as many train at once as there are threads: two children on two
/// threads do more than one child on both. On a GPU one pass trains as many children as memory allows, up to 32.
#[derive(Debug, Clone)]
pub struct Net {
    model: Model,
    device: Device,
    /// Bytes that all children may take together; for `None`, see [`Net::with_memory`].
    memory: Option<u64>,
    /// The most children per pass on a GPU: fewer once a pass with more has failed.
    stack: Arc<AtomicUsize>,
}

/// The memory that children may take on a GPU by default: what cards of ten years ago have, because no graphics
/// API reports how much there is.
const GPU_MEMORY: u64 = 4 << 30;

/// The largest stack: with it an H100 trains fastest (a prototype's basiccnn: 175,000 images a second with 8 children,
/// 220,000 with 32, 215,000 with 64). It is not measured, because a search's proposals depend on how many trials run at
/// once, and the same search must come out the same.
const MAX_STACK: usize = 32;

impl Net {
    /// Creates a net on a device.
    pub fn new(model: Model, device: Device) -> Self {
        Self { model, device, memory: None, stack: Arc::new(MAX_STACK.into()) }
    }

    /// Limits the memory of all children together, in bytes. Fewer may then train at once, but always at least
    /// one. The default is 4 GiB on a GPU, and on the CPU three quarters of the memory that is free when training
    /// begins.
    pub fn with_memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    /// Sets the number of children in each pass on a GPU, if memory allows; the default is 32. What they become does
    /// not depend on it.
    pub fn with_stack(self, children: usize) -> Self {
        Self { stack: Arc::new(children.into()), ..self }
    }

    /// Returns how many of these children fit into memory.
    fn fitting(&self, trainings: &[&Training<'_>]) -> Result<usize, TrainError> {
        let bytes: Vec<u64> = trainings.iter().map(|t| self.bytes_per_child(t)).collect::<Result<_, _>>()?;
        let memory = match (self.memory, self.device.is_cpu()) {
            (Some(memory), _) => memory,
            (None, false) => GPU_MEMORY,
            (None, true) => free_memory() / 4 * 3,
        };
        let most = bytes.into_iter().max().unwrap_or(1).max(1);
        let fit = (memory / most).min(self.in_an_array(trainings[0])?).max(1);
        Ok(usize::try_from(fit).unwrap_or(usize::MAX))
    }

    /// Returns for how many children the device has arrays large enough for a layer's images.
    fn in_an_array(&self, training: &Training<'_>) -> Result<u64, TrainError> {
        let images = training.settings.batch_size.max(EVALUATION_BATCH);
        let bytes = 4 * images as u64 * self.plan(training)?.largest as u64;
        Ok(self.device.backend.largest_array() / bytes.max(1))
    }

    /// Returns an upper bound on the bytes that a child takes on the device: weights, gradients and optimiser
    /// state; what a step keeps for its backward pass, times a factor for gradients and what kernels need; and its
    /// images. On the CPU the factor is 4, for unrolled patches and transformed tiles (the basic CNN's process grows by
    /// 1.1 times what 3 would give). On a GPU it is 2.5: on a software adapter, a process grows by 0.9 times that for a
    /// third basic CNN, and by 0.6 times for a wide residual network.
    ///
    /// # Errors
    /// [`TrainError::TooSmall`] and [`TrainError::Layers`].
    pub fn bytes_per_child(&self, training: &Training<'_>) -> Result<u64, TrainError> {
        let plan = self.plan(training)?;
        let settings = training.settings;
        let values: usize = plan.parameters.iter().map(|parameter| parameter.len()).sum();
        let copies = match settings.augment {
            Application::Online(_) => settings.strategy.most_candidates() as f64,
            _ => training.policy.pieces().map(|(_, policy)| policy.copies_per_image()).fold(0.0, f64::max),
        };
        let images = training.set.images.len() as f64 * (1.0 + copies) + training.set.validation_images.len() as f64;
        let kept = if self.device.is_cpu() { 8 } else { 5 }
            * settings.batch_size
            * settings.strategy.keep()
            * plan.activations
            / 2;
        let floats = values * (2 + settings.optimiser.slots()) + kept;
        Ok(4 * floats as u64 + images as u64)
    }

    fn plan(&self, training: &Training<'_>) -> Result<Arc<Plan>, TrainError> {
        let (_, height, width, channels) = training.set.images.dim();
        self.model.plan([height, width, channels], training.set.classes).map(Arc::new)
    }

    fn start<'a>(&self, trainings: &[&Training<'a>], copies: Vec<Copies>) -> Result<Box<dyn Session + 'a>, TrainError> {
        let settings = trainings[0].settings;
        if !settings.strategy.is_plain() && settings.augment.online().is_none() {
            let why = format!("{}: needs images that are augmented in place", settings.strategy);
            return Err(TrainError::Session { why });
        }
        if let Some(needed) = settings.strategy.translations()
            && trainings.iter().any(|training| !has_translations(&training.set, needed))
        {
            let why = format!("{}: needs all training images as they would look in each subgroup", settings.strategy);
            return Err(TrainError::Session { why });
        }
        if settings.robust.is_some() && settings.mixup > 0.0 {
            let why = "images of several groups cannot be mixed where groups are weighted; set mixup to 0";
            return Err(TrainError::Session { why: why.into() });
        }
        let plan = self.plan(trainings[0])?;
        let weights = trainings.iter().map(|training| first_weights(&plan, training)).collect::<Result<_, _>>()?;
        self.device.backend.run(Start { plan: &plan, trainings, copies, weights })
    }

    /// Trains in one pass, and keeps the session.
    fn stack<'a>(
        &self,
        trainings: &[&Training<'a>],
        copies: Vec<Copies>,
        on_epoch: &dyn Fn(usize, &EpochRecord) -> bool,
    ) -> Result<Stacked<'a>, TrainError> {
        let since = Instant::now();
        let mut session = self.start(trainings, copies)?;
        let all = 0..trainings[0].settings.epochs;
        let histories = run(session.as_mut(), trainings, all, self.device.backend.stacks(), since, on_epoch);
        Ok((session, histories.map_err(|error| self.with_needs(error, trainings[0]))?))
    }

    /// Adds to a device's failure what a child needs, which is what most of them are about.
    fn with_needs(&self, error: TrainError, training: &Training<'_>) -> TrainError {
        match (error, self.bytes_per_child(training)) {
            (TrainError::Device { why }, Ok(bytes)) => {
                let why = format!("{why} (a child of this net needs about {} MiB)", bytes >> 20);
                TrainError::Device { why }
            }
            (error, _) => error,
        }
    }

    fn one<'a>(
        &self,
        training: &Training<'a>,
        on_epoch: &dyn Fn(&EpochRecord) -> bool,
    ) -> Result<(Box<dyn Session + 'a>, History), TrainError> {
        let on_epoch = |_: usize, record: &EpochRecord| on_epoch(record);
        let (session, mut histories) = self.stack(&[training], vec![training.augmented(0)], &on_epoch)?;
        Ok((session, histories.remove(0)?))
    }

    /// Trains a child, and returns its accuracy on each of `others`, which are versions of the validation images
    /// in the same order.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn accuracies(
        &self,
        training: &Training<'_>,
        others: impl Iterator<Item = Array4<u8>>,
    ) -> Result<Vec<f64>, TrainError> {
        let (mut session, _) = self.one(training, &|_| true)?;
        let labels = training.set.validation_labels;
        let accuracy = |images: Array4<u8>| {
            let losses = session.evaluate(images.view(), labels)?.remove(0);
            let right = losses.iter().filter(|image| image.right).count();
            Ok(right as f64 / losses.len() as f64)
        };
        others.map(accuracy).collect()
    }

    /// Computes the logits `[images, classes]` of images (NHWC) under weights that [`pretrain`](ChildModel::pretrain)
    /// saved. `standard` is the mean and deviation of a net that was trained with
    /// [`standardize`](Settings::standardize).
    ///
    /// # Errors
    /// [`TrainError`]: weights that cannot be read or are of another net, or a device that fails.
    pub fn logits(
        &self,
        weights: &Path,
        images: ArrayView4<'_, u8>,
        classes: usize,
        standard: Option<[f64; 2]>,
    ) -> Result<Array2<f32>, TrainError> {
        self.forward(weights, images, classes, standard, false)
    }

    /// Computes what the last layer receives for each image, `[images, features]`, as [`logits`](Self::logits) does.
    fn forward(
        &self,
        weights: &Path,
        images: ArrayView4<'_, u8>,
        classes: usize,
        standard: Option<[f64; 2]>,
        features: bool,
    ) -> Result<Array2<f32>, TrainError> {
        let (count, height, width, channels) = images.dim();
        let plan = Arc::new(self.model.plan([height, width, channels], classes)?);
        let wrong = |why| TrainError::Weights { path: weights.into(), why };
        let weights = plan.load(weights).map_err(wrong)?;
        let input =
            standard.map_or(Input::UNIT, |[mean, deviation]| Input { mean: mean as f32, deviation: deviation as f32 });
        let work = Predict { plan, weights, images, input, optimiser: self.model.optimiser(), features };
        let values = self.device.backend.run(work).map_err(|why| TrainError::Device { why })?;
        let of_image = values.len() / count.max(1);
        Ok(Array2::from_shape_vec((count, of_image), values).expect("as many values for each image"))
    }

    /// Trains for some epochs in one pass, from states to states.
    fn stack_part(
        &self,
        trainings: &[&Training<'_>],
        epochs: Range<usize>,
        states: &[StateFiles<'_>],
        on_epoch: &dyn Fn(usize, &EpochRecord) -> bool,
    ) -> Result<Vec<Result<History, TrainError>>, TrainError> {
        let since = Instant::now();
        let copies = trainings.iter().map(|training| training.augmented(epochs.start)).collect();
        let mut session = self.start(trainings, copies)?;
        session.skip(epochs.start);
        for (child, files) in states.iter().enumerate() {
            if let Some(path) = files.start {
                let fits = |error: TrainError| TrainError::Weights { path: path.into(), why: error.to_string() };
                State::read(path).and_then(|state| session.load(child, &state).map_err(fits))?;
            }
        }
        let ahead = self.device.backend.stacks();
        let mut histories = run(session.as_mut(), trainings, epochs, ahead, since, on_epoch)?;
        for (child, (history, files)) in histories.iter_mut().zip(states).enumerate() {
            if history.is_ok()
                && let Err(error) = session.state(child).and_then(|state| state.save(files.keep))
            {
                *history = Err(error);
            }
        }
        Ok(histories)
    }

    /// Returns how many of the training runs share a pass.
    fn children(&self, trainings: &[&Training<'_>]) -> Result<usize, TrainError> {
        // Runs with their own length, or that differ in more than policy and seed, cannot train side by side.
        let first = trainings[0];
        let together = trainings.iter().all(|training| alike(first, training));
        if first.settings.images_per_epoch.is_none() || !together {
            return Ok(1);
        }
        Ok(self.fitting(trainings)?.min(trainings.len()).min(self.stack.load(Ordering::Relaxed)))
    }

    /// Trains on a GPU, stack after stack; the copies of the next stack are made meanwhile.
    fn train_stacks(&self, trainings: &[&Training<'_>], observer: &dyn Observer) -> Vec<Result<History, TrainError>> {
        let wanted = match self.children(trainings) {
            Ok(size) => size,
            Err(error) => return vec![Err(error); trainings.len()],
        };
        let mut size = wanted;
        let make = |range: Range<usize>| trainings[range].iter().map(|training| training.augmented(0)).collect();
        std::thread::scope(|scope| {
            let mut ahead = None;
            let histories = in_stacks(trainings.len(), &mut size, observer, |range, next| {
                let made: Option<Vec<Copies>> = match ahead.take() {
                    Some((made, handle)) if made == range => ScopedJoinHandle::join(handle).ok(),
                    _ => None,
                };
                let made = made.unwrap_or_else(|| make(range.clone()));
                ahead = (!next.is_empty()).then(|| (next.clone(), scope.spawn(move || make(next))));
                let on_epoch = |child: usize, record: &EpochRecord| observer.epoch(range.start + child, record);
                Ok(self.stack(&trainings[range.clone()], made, &on_epoch)?.1)
            });
            if size < wanted {
                self.stack.fetch_min(size, Ordering::Relaxed);
            }
            histories
        })
    }
}

/// A session and the histories of its training runs.
type Stacked<'a> = (Box<dyn Session + 'a>, Vec<Result<History, TrainError>>);

/// A session to be started.
struct Start<'s, 'a> {
    plan: &'s Arc<Plan>,
    trainings: &'s [&'s Training<'a>],
    copies: Vec<Copies>,
    weights: Vec<Weights>,
}

impl<'a> Work for Start<'_, 'a> {
    type Output = Result<Box<dyn Session + 'a>, TrainError>;

    fn on<E: Engine>(self, engine: &E) -> Self::Output {
        Ok(Box::new(Stack::start(engine, self.plan, self.trainings, self.copies, self.weights)?))
    }
}

/// Images to predict.
struct Predict<'p> {
    plan: Arc<Plan>,
    weights: Weights,
    images: ArrayView4<'p, u8>,
    input: Input,
    optimiser: Optimiser,
    /// Whether what the last layer receives is wanted instead of the logits.
    features: bool,
}

impl Work for Predict<'_> {
    type Output = Result<Vec<f32>, String>;

    fn on<E: Engine>(self, engine: &E) -> Self::Output {
        let mut network = Network::new(&self.plan, engine, 1, self.weights, &self.optimiser);
        let labels = vec![0; self.images.dim().0];
        let set = (CowArray::from(self.images), labels.as_slice(), self.input);
        let images = Evaluation::new(engine, vec![set], self.plan.classes);
        images.map_or(Ok(Vec::new()), |images| match self.features {
            true => images.features(&mut network, engine),
            false => images.outputs(&mut network, engine),
        })
    }
}

/// Returns the bytes that this process can still take, respecting its control group's limit; unlimited where Linux
/// does not report it.
fn free_memory() -> u64 {
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = || number("/sys/fs/cgroup/memory.max")?.checked_sub(number("/sys/fs/cgroup/memory.current")?);
    let machine = || {
        let table = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    };
    machine().unwrap_or(u64::MAX).min(group().unwrap_or(u64::MAX))
}

/// Runs `count` training runs in stacks of `size`; `run` gets the range of a stack and of the next one. If a stack
/// fails, for example because memory is short, its two halves are tried, and `size` stays at theirs; a single run is
/// tried twice.
fn in_stacks(
    count: usize,
    size: &mut usize,
    observer: &dyn Observer,
    mut run: impl FnMut(Range<usize>, Range<usize>) -> Result<Vec<Result<History, TrainError>>, TrainError>,
) -> Vec<Result<History, TrainError>> {
    let mut results = Vec::with_capacity(count);
    let mut begun = 0;
    let mut failures = 0;
    while results.len() < count {
        let range = results.len()..count.min(results.len() + *size);
        // A stack that is retried has begun already.
        while begun < range.end && observer.begins(begun) {
            begun += 1;
        }
        if begun < range.end {
            results.extend(range.map(|_| Err(TrainError::Stopped)));
            begun = results.len();
            continue;
        }
        let next = range.end..count.min(range.end + *size);
        match parallel::catch_panic(|| run(range.clone(), next)) {
            Ok(histories) => results.extend(histories),
            Err(error @ TrainError::Weights { .. }) => results.extend(vec![Err(error); range.len()]),
            Err(_) if range.len() > 1 => {
                *size = range.len().div_ceil(2);
                continue;
            }
            Err(_) if failures == 0 => {
                failures += 1;
                continue;
            }
            Err(error) => results.push(Err(TrainError::Device { why: error.to_string() })),
        }
        failures = 0;
        range.for_each(|index| observer.finished(index, &results[index]));
    }
    results
}

/// Whether two training runs can share a pass.
fn alike(first: &Training<'_>, other: &Training<'_>) -> bool {
    let (a, b) = (&first.set, &other.set);
    let kind = |training: &Training<'_>| std::mem::discriminant(&training.settings.augment);
    kind(first) == kind(other)
        && *first.settings == Settings { augment: first.settings.augment, ..*other.settings }
        // As many candidates of each image.
        && (first.settings.strategy.most_candidates() == 1 || first.changes_images() == other.changes_images())
        && (a.images.dim(), a.classes) == (b.images.dim(), b.classes)
        && a.validation_images.dim() == b.validation_images.dim()
}

fn first_weights(plan: &Plan, training: &Training<'_>) -> Result<Weights, TrainError> {
    match training.initial_weights {
        None => Ok(plan.first_weights(training.seed)),
        Some(path) => plan.load(path).map_err(|why| TrainError::Weights { path: path.into(), why }),
    }
}

impl ChildModel for Net {
    fn name(&self) -> String {
        self.model.name()
    }

    fn train(&self, training: &Training<'_>, on_epoch: &dyn Fn(&EpochRecord) -> bool) -> Result<History, TrainError> {
        Ok(self.one(training, on_epoch)?.1)
    }

    fn train_all(
        &self,
        trainings: &[Training<'_>],
        threads: usize,
        observer: &dyn Observer,
    ) -> Vec<Result<History, TrainError>> {
        if trainings.is_empty() {
            return Vec::new();
        }
        let all: Vec<&Training<'_>> = trainings.iter().collect();
        if !self.device.is_cpu() {
            return self.train_stacks(&all, observer);
        }
        // A net that cannot be built reports so when it is trained.
        let threads = threads.min(self.fitting(&all).unwrap_or(threads));
        parallel::train_all(self, trainings, threads, observer)
    }

    fn capacity(&self, training: &Training<'_>, threads: usize) -> Result<Capacity, TrainError> {
        if self.device.is_cpu() {
            return Ok(Capacity { passes: threads.min(self.fitting(&[training])?).max(1), children: 1 });
        }
        Ok(Capacity { passes: 1, children: self.children(&[training; MAX_STACK])? })
    }

    fn pretrain(
        &self,
        training: &Training<'_>,
        path: &Path,
        on_epoch: &dyn Fn(&EpochRecord) -> bool,
    ) -> Result<Option<History>, TrainError> {
        let content = content(&self.model, training);
        if made_for(path).is_some_and(|note| note == content) {
            return Ok(None);
        }
        let (session, history) = self.one(training, on_epoch)?;
        let State { parameters, .. } = session.state(0)?;
        let tensors = parameters.iter().map(|p| Tensor { name: p.name.clone(), shape: &p.shape, values: &p.values });
        network::save(tensors, path, ["made_for", &content])
            .map_err(|why| TrainError::Weights { path: path.into(), why })?;
        Ok(Some(history))
    }

    fn train_part(
        &self,
        trainings: &[Training<'_>],
        epochs: Range<usize>,
        states: &[StateFiles<'_>],
        observer: &dyn Observer,
    ) -> Vec<Result<History, TrainError>> {
        let all: Vec<&Training<'_>> = trainings.iter().collect();
        let (Some(first), true) = (all.first(), all.len() == states.len()) else {
            let why = "each training needs the files of its states";
            return all.iter().map(|_| Err(TrainError::Session { why: why.into() })).collect();
        };
        let mut size = match (self.device.is_cpu(), self.children(&all)) {
            (true, _) => 1,
            (false, Ok(size)) => size,
            (false, Err(error)) => return vec![Err(error); trainings.len()],
        };
        if epochs.is_empty() || epochs.end > first.settings.epochs {
            let why = format!("there are no epochs {epochs:?} of {}", first.settings.epochs);
            return vec![Err(TrainError::Session { why }); trainings.len()];
        }
        in_stacks(trainings.len(), &mut size, observer, |range, _| {
            let on_epoch = |child: usize, record: &EpochRecord| observer.epoch(range.start + child, record);
            self.stack_part(&all[range.clone()], epochs.clone(), &states[range.clone()], &on_epoch)
                .map_err(|error| self.with_needs(error, first))
        })
    }

    fn predict(
        &self,
        weights: &Path,
        training: &Training<'_>,
        images: ArrayView4<'_, u8>,
    ) -> Result<Array2<f32>, TrainError> {
        let Input { mean, deviation } = Input::of(&training.set, training.settings);
        self.logits(weights, images, training.set.classes, Some([mean, deviation].map(f64::from)))
    }

    fn features(
        &self,
        weights: &Path,
        training: &Training<'_>,
        images: ArrayView4<'_, u8>,
    ) -> Result<Array2<f32>, TrainError> {
        let Input { mean, deviation } = Input::of(&training.set, training.settings);
        self.forward(weights, images, training.set.classes, Some([mean, deviation].map(f64::from)), true)
    }

    fn session<'a>(
        &self,
        trainings: &[Training<'a>],
        copies: Vec<Copies>,
    ) -> Result<Box<dyn Session + 'a>, TrainError> {
        let all: Vec<&Training<'a>> = trainings.iter().collect();
        if all.is_empty() || copies.len() != all.len() || !all.iter().all(|training| alike(all[0], training)) {
            let why = "children must share their settings and the shape of their images, and each have copies".into();
            return Err(TrainError::Session { why });
        }
        self.start(&all, copies)
    }

    fn check(&self, image: [usize; 3], classes: usize) -> Result<(), TrainError> {
        self.model.plan(image, classes).map(|_| ())
    }

    fn device(&self) -> String {
        self.device.name().into()
    }

    fn device_kind(&self) -> &'static str {
        self.device.kind()
    }

    fn is_quick(&self) -> bool {
        true
    }
}

/// Returns everything that determines a training run's final weights, as text.
fn content(model: &Model, training: &Training<'_>) -> String {
    let mut images = crc32fast::Hasher::new();
    training.set.images.iter().for_each(|&pixel| images.update(&[pixel]));
    training.set.labels.iter().for_each(|&label| images.update(&(label as u64).to_le_bytes()));
    format!(
        "{} {:?}; {} images crc32 {:08x}; {:?}; {:?}; seed {}",
        model.name(),
        model.layers(),
        training.set.labels.len(),
        images.finalize(),
        training.policy,
        training.settings,
        training.seed,
    )
}

/// Whether a set has at least so many translations of all its images; exactly so many if there are several.
fn has_translations(set: &TrainingSet<'_>, needed: usize) -> bool {
    let known = set.translations.len();
    (known == needed || needed == 1 && known > 0) && set.translations.iter().all(|all| all.dim() == set.images.dim())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use deepaug_augmenter::{Online, Op, Policy, RangeTable, SubPolicy};
    use ndarray::Array4;

    use super::*;
    use crate::engine::cpu::Cpu;
    use crate::{Choose, Selection, Strategy, TrainingSet};

    #[derive(Default)]
    struct Log(Mutex<Vec<String>>);

    impl Observer for Log {
        fn begins(&self, index: usize) -> bool {
            self.0.lock().unwrap().push(format!("begin {index}"));
            true
        }

        fn finished(&self, index: usize, _: &Result<History, TrainError>) {
            self.0.lock().unwrap().push(format!("end {index}"));
        }
    }

    fn trained(range: &Range<usize>) -> Vec<Result<History, TrainError>> {
        range.clone().map(|index| Ok(History::new(Vec::new(), index as f64))).collect()
    }

    /// Returns the histories of two training runs in one pass, and of each alone.
    fn together_and_alone<E: crate::engine::Engine>(engine: &E, how: fn(Settings) -> Settings) -> [Vec<History>; 2] {
        let images = Array4::from_shape_fn((24, 12, 12, 3), |(n, r, c, k)| ((n % 3) * 80 + r * c + 5 * k) as u8);
        let labels: Vec<usize> = (0..24).map(|n| n % 3).collect();
        let set = TrainingSet {
            images: images.view(),
            labels: &labels,
            validation_images: images.view(),
            validation_labels: &labels,
            classes: 3,
            subgroups: None,
            translations: &[],
        };
        let layers = r#"[{ "kind": "conv", "filters": 16 }, { "kind": "batch-norm", "momentum": 0.9, "activation": "relu" },
            { "kind": "conv", "filters": 16, "activation": "relu" }, { "kind": "max-pool" },
            { "kind": "dropout", "rate": 0.2 }, { "kind": "dense", "units": 8, "activation": "relu" }]"#;
        let model = Model::Layers(serde_json::from_str(layers).unwrap());
        let plain = Settings::plain(2, model.optimiser());
        let settings = Settings { batch_size: 8, images_per_epoch: Some(32), mixup: 0.4, ..plain };
        let settings = how(settings);
        let step = |op| deepaug_augmenter::Step::new(op, 0.5);
        let policy = |ops: Vec<Op>, portion| {
            let ops = ops.into_iter().map(step).collect();
            Policy::new(RangeTable::Monotone, portion, vec![SubPolicy { ops }])
        };
        let policies = [policy(vec![Op::Rotate], 0.25), policy(vec![Op::Invert, Op::Shear], 1.0)];
        let training = |i: usize| Training::new(set, &policies[i], &settings, i as u64);
        let trainings = [training(0), training(1)];
        let plan = Arc::new(model.plan([12, 12, 3], 3).unwrap());
        let fit = |trainings: &[&Training<'_>]| {
            let weights = trainings.iter().map(|t| plan.first_weights(t.seed)).collect();
            let copies = trainings.iter().map(|t| t.augmented(0)).collect();
            let mut session = Stack::start(engine, &plan, trainings, copies, weights).unwrap();
            let histories =
                run(&mut session, trainings, 0..trainings[0].settings.epochs, false, Instant::now(), &|_, _| true)
                    .unwrap();
            histories.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        };
        [fit(&[&trainings[0], &trainings[1]]), [fit(&[&trainings[0]]), fit(&[&trainings[1]])].concat()]
    }

    /// Plain, choosing among candidates, and by how sure the net is.
    const WAYS: [fn(Settings) -> Settings; 3] = [
        |settings| settings,
        |settings| {
            let selection = Selection { candidates: 3, keep: 2, choose: Choose::Highest, warm_up: 0.0 };
            Settings { augment: IN_PLACE, strategy: Strategy::Uncertain(selection), ..settings }
        },
        |settings| Settings {
            augment: IN_PLACE,
            strategy: Strategy::Entropy,
            entropy_loss: 0.5,
            epochs: 3,
            mixup: 0.0,
            ..settings
        },
    ];

    const IN_PLACE: Application = Application::Online(Online { chance: 1.0, ..Online::NOTHING });

    #[test]
    fn runs_with_and_without_candidates_do_not_share_a_pass() {
        let images = Array4::zeros((4, 8, 8, 1));
        let labels = [0, 1, 0, 1];
        let set = TrainingSet {
            images: images.view(),
            labels: &labels,
            validation_images: images.view(),
            validation_labels: &labels,
            classes: 2,
            subgroups: None,
            translations: &[],
        };
        let selection = Selection { candidates: 3, keep: 1, choose: Choose::Highest, warm_up: 0.0 };
        let uncertain = Settings {
            augment: Application::Online(Online { chance: 1.0, ..Online::NOTHING }),
            strategy: Strategy::Uncertain(selection),
            ..Settings::plain(1, Optimiser::plain(crate::Rule::Adam, 1e-3))
        };
        let still = Settings { augment: Application::Online(Online::NOTHING), ..uncertain };
        let none = Policy::none(RangeTable::Monotone);
        let ops = vec![deepaug_augmenter::Step::new(Op::Rotate, 0.5)];
        let some = Policy::new(RangeTable::Monotone, 1.0, vec![SubPolicy { ops }]);
        let [a, b] = [&none, &some].map(|policy| Training::new(set, policy, &still, 1));
        assert!(alike(&a, &a) && alike(&b, &b) && !alike(&a, &b));
        assert_eq!([a.augmented(0).sources.len(), b.augmented(0).sources.len()], [4, 12]);
        let plain = Settings { strategy: Strategy::Plain, ..still };
        let [a, b] = [&none, &some].map(|policy| Training::new(set, policy, &plain, 1));
        assert!(alike(&a, &b));
        // Whatever finishes an image makes its candidates differ.
        let finished = Settings { augment: Application::Online(Online::STANDARD), ..uncertain };
        let [a, b] = [&none, &some].map(|policy| Training::new(set, policy, &finished, 1));
        assert!(alike(&a, &b) && a.augmented(0).sources.len() == 12);
    }

    #[test]
    fn children_in_one_pass_are_as_they_are_alone_bit_for_bit() {
        for how in WAYS {
            let [together, alone] = together_and_alone(&Cpu, how);
            assert_eq!([&together[0].epochs, &together[1].epochs], [&alone[0].epochs, &alone[1].epochs]);
            assert_eq!([&together[0].strategy, &together[1].strategy], [&alone[0].strategy, &alone[1].strategy]);
            assert_ne!(together[0].epochs, together[1].epochs);
        }
    }

    #[cfg(feature = "gpu")]
    #[test]
    #[cfg_attr(no_adapter, ignore = "no Vulkan driver on this machine (Debian: apt-get install mesa-vulkan-drivers)")]
    fn a_gpu_trains_as_the_cpu_does_alone_or_together() {
        for how in WAYS {
            let [_, ours] = together_and_alone(&Cpu, how);
            let [together, alone] = together_and_alone(&crate::device::gpu_engine(), how);
            for ((together, alone), ours) in together.iter().zip(&alone).zip(&ours) {
                assert_eq!(together.epochs, alone.epochs, "bit for bit");
                for (epoch, ours) in alone.epochs.iter().zip(&ours.epochs) {
                    assert!((epoch.loss - ours.loss).abs() < 1e-3, "{epoch:?} {ours:?}");
                    assert!((epoch.val_loss - ours.val_loss).abs() < 1e-3, "{epoch:?} {ours:?}");
                }
            }
        }
    }

    #[test]
    fn a_stack_that_does_not_fit_is_halved_and_every_training_is_told_of_once() {
        let log = Log::default();
        let mut ran = Vec::new();
        let results = in_stacks(5, &mut 4, &log, |range, next| {
            ran.push((range.clone(), next));
            if range.len() > 2 {
                panic!("out of memory")
            }
            Ok(trained(&range))
        });
        assert_eq!(ran, [(0..4, 4..5), (0..2, 2..4), (2..4, 4..5), (4..5, 5..5)]);
        let seconds: Vec<f64> = results.into_iter().map(|result| result.unwrap().seconds).collect();
        assert_eq!(seconds, [0.0, 1.0, 2.0, 3.0, 4.0]);
        let told = log.0.into_inner().unwrap();
        assert_eq!((told.len(), told.iter().filter(|line| *line == "begin 0").count()), (10, 1));
    }

    #[test]
    fn a_device_that_fails_is_tried_again_once() {
        let mut tries = 0;
        let results = in_stacks(2, &mut 1, &Log::default(), |range, _| {
            tries += 1;
            if tries == 1 || range.start == 1 {
                Err(TrainError::Device { why: "lost".into() })
            } else {
                Ok(trained(&range))
            }
        });
        assert!(results[0].is_ok());
        assert!(matches!(&results[1], Err(TrainError::Device { .. })), "{results:?}");
        assert_eq!(tries, 4);
    }
}
