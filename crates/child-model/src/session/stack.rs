//! The session of this crate's nets: K children in one pass, on any engine.

use std::sync::Arc;

use deepaug_augmenter::{Copies, Ops};
use ndarray::{Array4, ArrayView4, Axis};

use super::choices::{ChildRng, choices};
use super::chooser::Chooser;
use super::evaluation::{Evaluation, OfChild, means, row_losses};
use super::groups::Groups;
use super::{Candidate, GroupEpoch, RowLoss, Session, State};
use crate::engine::{Batch, Choices, Engine, Rows};
use crate::input::Input;
use crate::network::{self, Network, Plan, Weights};
use crate::strategy::Held;
use crate::{EpochRecord, ParameterState, Settings, Strategy, TrainError, Training, TrainingSet};

/// Training runs that share their settings and the shape of their images.
pub(crate) struct Stack<'a, E: Engine> {
    engine: E,
    plan: Arc<Plan>,
    settings: Settings,
    network: Network<E>,
    children: Vec<Child<'a, E>>,
    /// The rows of all children; absent if some have changed.
    data: Option<E::Data<'a>>,
    validation: Option<Evaluation<'a, E>>,
    /// Original training images.
    measured: Option<Evaluation<'a, E>>,
    epochs_done: usize,
    /// The losses of each child in the last epoch; absent if they are not kept.
    losses: Option<Vec<Vec<RowLoss>>>,
    uploaded: u64,
    tape: Vec<E::Array>,
}

/// What a child learns from.
struct Child<'a, E: Engine> {
    seed: u64,
    rng: ChildRng,
    labels: &'a [usize],
    /// Absent if copies replace them.
    originals: Option<E::Pixels<'a>>,
    /// Absent if there are none.
    copies: Option<E::Pixels<'a>>,
    /// The label of each row of the pool.
    pool: Vec<usize>,
    /// The rows, if each image is there in several versions to choose from.
    candidates: Vec<Candidate>,
    /// The image that each row shows.
    sources: Vec<usize>,
    /// Absent if their subgroups are not known.
    groups: Option<Groups>,
    targets: E::Array,
    input: Input,
}

impl<'a, E: Engine> Stack<'a, E> {
    /// Starts training runs with their first copies and weights.
    pub(crate) fn start(
        engine: &E,
        plan: &Arc<Plan>,
        trainings: &[&Training<'a>],
        copies: Vec<Copies>,
        weights: Vec<Weights>,
    ) -> Result<Self, TrainError> {
        let settings = *trainings[0].settings;
        let network = Network::new(plan, engine, trainings.len(), merge(weights), &settings.optimiser);
        let mut uploaded = 0;
        // What children share is stored once.
        let mut known: Vec<(ArrayView4<'a, u8>, E::Pixels<'a>)> = Vec::new();
        let children = trainings.iter().map(|training| {
            let images = training.set.images;
            let originals = settings.augment.keeps_originals().then(|| {
                let same = known.iter().find(|(other, _)| is_same(other, &images)).map(|(_, pixels)| pixels.clone());
                same.unwrap_or_else(|| {
                    uploaded += images.len() as u64;
                    let pixels = engine.pixels(images.into());
                    known.push((images, pixels.clone()));
                    pixels
                })
            });
            Child {
                seed: training.seed,
                rng: ChildRng::new(training.seed, 0),
                labels: training.set.labels,
                originals,
                copies: None,
                pool: Vec::new(),
                candidates: Vec::new(),
                sources: Vec::new(),
                groups: None,
                targets: engine.upload(Vec::new()),
                input: Input::of(&training.set, &settings),
            }
        });
        let mut children: Vec<_> = children.collect();
        for (child, training) in children.iter_mut().zip(trainings) {
            child.groups = Groups::new(&training.set, settings.robust)?;
        }

        let first = &trainings[0].set;
        let of_all = trainings.iter().all(|training| is_same_set(&training.set, first));
        let judged = if of_all { &trainings[..1] } else { trainings };
        let inputs = || children.iter().map(|child| child.input);
        let validation = judged.iter().zip(inputs()).map(|(training, input)| {
            let set = &training.set;
            uploaded += set.validation_images.len() as u64;
            (set.validation_images.into(), set.validation_labels, input)
        });
        let validation = Evaluation::new(engine, validation.collect(), plan.classes);
        let (parts, labels): (Vec<Array4<u8>>, Vec<Vec<usize>>) =
            judged.iter().map(|training| part(&training.set, settings.measured)).unzip();
        let measured = parts.into_iter().zip(&labels).zip(inputs()).map(|((images, labels), input)| {
            uploaded += images.len() as u64;
            (images.into(), &labels[..], input)
        });
        let measured = Evaluation::new(engine, measured.collect(), plan.classes);

        let mut stack = Self {
            engine: engine.clone(),
            plan: plan.clone(),
            settings,
            network,
            children,
            data: None,
            validation,
            measured,
            epochs_done: 0,
            losses: None,
            uploaded,
            tape: Vec::new(),
        };
        for (child, copies) in copies.into_iter().enumerate() {
            stack.set_copies(child, copies)?;
        }
        Ok(stack)
    }

    /// Returns class weights of a child's rows, `[rows, classes]`, times the weight of each row.
    fn targets(&self, child: usize, weight: impl Fn(usize) -> f32) -> E::Array {
        let rows = self.children[child].pool.iter().enumerate();
        let rows = rows.map(|(row, &label)| (label, weight(row)));
        self.engine.upload(targets(rows, self.plan.classes, self.settings.label_smoothing as f32).collect())
    }

    /// Returns the steps of an epoch, and the images of each child in each step.
    fn steps(&self) -> [usize; 2] {
        let drawn = self.settings.images_per_epoch.unwrap_or(self.children[0].pool.len());
        let images = self.settings.batch_size.min(drawn).max(1);
        [drawn.div_ceil(images).max(1), images]
    }

    /// Trains for an epoch, and returns the mean loss and accuracy of each child.
    fn train(&mut self) -> Result<Vec<[f64; 2]>, TrainError> {
        let children = self.children.len();
        let [steps, images] = self.steps();
        let choices = self.choices();
        let rows = |child: &Child<'a, E>| Rows {
            parts: child.originals.iter().chain(&child.copies).cloned().collect(),
            targets: child.targets.clone(),
            input: child.input,
        };
        let engine = &self.engine;
        let data = self.data.get_or_insert_with(|| engine.data(self.children.iter().map(rows).collect()));
        let candidates = self.children[0].candidates.len() / self.children[0].labels.len().max(1);
        let all_choose = self.children.iter().all(|child| !child.candidates.is_empty());
        let (mut pools, mut weighing) = (Vec::new(), Vec::new());
        for child in &mut self.children {
            pools.push((child.seed, &mut child.candidates));
            let (labels, sources) = (child.labels, &child.sources[..]);
            weighing.push(Weighing { groups: child.groups.as_mut(), labels, sources });
        }
        let held = self.settings.strategy.held().filter(|_| all_choose);
        let selection = match self.settings.strategy {
            Strategy::Uncertain(selection) if all_choose => Some(selection),
            _ => held.as_ref().map(Held::all),
        };
        let mut chooser =
            selection.map(|selection| Chooser::new(selection, candidates, self.epochs_done, pools.into_iter()));
        let keep = chooser.as_ref().map_or(1, Chooser::keep);
        let batch = Batch { children, images: images * keep };
        // Where nothing is chosen, all steps are known now.
        let whole = chooser.is_none().then(|| engine.draws(data, choices.clone(), batch));
        let entropy = self.settings.entropy_loss as f32 / (self.plan.classes.max(2) as f32).ln();
        let mut sums = engine.upload(vec![0.0; 2 * children]);
        let mut losses = Vec::new();
        for step in 0..steps {
            let mut choices = choices.of_step(step, steps);
            if let Some(chooser) = &mut chooser {
                let chosen = chooser.rows(&choices.rows, &mut self.network, engine, data, self.plan.classes);
                choices.rows = chosen.map_err(device)?;
                choices.partners =
                    choices.partners.iter().flat_map(|&mixed| std::iter::repeat_n(mixed, keep)).collect();
            }
            let is_looked_at = self.losses.is_some() || self.settings.robust.is_some() || held.is_some();
            let drawn = is_looked_at.then(|| choices.rows.clone());
            let of_step = whole.is_none().then(|| engine.draws(data, choices, batch));
            let (draws, step_of_draws) = match (&whole, &of_step) {
                (_, Some(of_step)) => (of_step, 0),
                (Some(whole), None) => (whole, step),
                (None, None) => break,
            };
            let [x, targets] = engine.batch(data, draws, step_of_draws, batch);
            let training = network::TrainingStep { draws, step: step_of_draws, dropout: true };
            let logits = self.network.train(x, batch.images, &training, &mut self.tape);
            let loss = engine.cross_entropy(&logits, &targets, self.plan.classes, entropy, batch);
            sums = engine.add(sums, &loss.sums);
            let mut gradient = loss.gradient;
            if let Some(drawn) = &drawn
                && self.settings.robust.is_some()
            {
                let rows = engine.download(&loss.rows).map_err(device)?;
                let targets = weighted(&mut weighing, &self.settings, held.as_ref(), self.plan.classes, drawn, &rows);
                let targets = engine.upload(targets);
                gradient = engine.cross_entropy(&logits, &targets, self.plan.classes, entropy, batch).gradient;
            }
            if let (Some(held), Some(drawn)) = (&held, &drawn) {
                let (logits, of_child) = (engine.download(&logits).map_err(device)?, batch.images * self.plan.classes);
                let mut slopes = engine.download(&gradient).map_err(device)?;
                let each = logits.chunks_exact(of_child).zip(slopes.chunks_exact_mut(of_child));
                for ((logits, slopes), (child, rows)) in each.zip(weighing.iter().zip(drawn.chunks_exact(batch.images)))
                {
                    held.add_gradient(logits, self.plan.classes, &child.counts(held, rows, keep), slopes);
                }
                gradient = engine.upload(slopes);
            }
            if let Some(drawn) = drawn.filter(|_| self.losses.is_some()) {
                losses.push((drawn, loss.rows));
            }
            let gradients = self.network.gradients(gradient, batch.images, false, &training, &mut self.tape);
            let (done, all) = (self.epochs_done * steps + step, self.settings.epochs * steps);
            self.network.update(gradients, &self.settings.optimiser.update(done, all, steps));
        }
        let mut trained = means(&engine.download(&sums).map_err(device)?, steps * batch.images);
        if let Some(held) = &held {
            // Versions that are only compared are not counted as right or wrong.
            trained.iter_mut().for_each(|[_, accuracy]| *accuracy *= f64::from(held.factor()));
        }
        if self.losses.is_some() {
            let mut of_children = vec![Vec::with_capacity(steps * batch.images); children];
            for (rows, losses) in losses {
                let losses = engine.download(&losses).map_err(device)?;
                let of_step = losses.chunks_exact(3 * batch.images).zip(rows.chunks_exact(batch.images));
                for (of_child, (losses, rows)) in of_children.iter_mut().zip(of_step) {
                    of_child.extend(row_losses(rows.iter().map(|&row| row as usize), losses));
                }
            }
            self.losses = Some(of_children);
        }
        Ok(trained)
    }

    /// Measures each child after an epoch: mean loss and accuracy on the validation images, and on original training images.
    fn measure(&mut self) -> Result<[Option<Vec<[f64; 2]>>; 2], TrainError> {
        let (network, engine) = (&mut self.network, &self.engine);
        let measured = self.measured.as_ref().map(|set| set.means(network, engine)).transpose().map_err(device)?;
        let Some(validation) = &self.validation else { return Ok([None, measured]) };
        if self.children.iter().all(|child| child.groups.is_none()) {
            return Ok([Some(validation.means(network, engine).map_err(device)?), measured]);
        }
        let found = validation.means_and_losses(network, engine).map_err(device)?;
        for (child, OfChild { rows, .. }) in self.children.iter_mut().zip(&found) {
            if let Some(groups) = &mut child.groups {
                groups.measure(rows);
            }
        }
        Ok([Some(found.into_iter().map(|of_child| of_child.means).collect()), measured])
    }

    fn choices(&mut self) -> Choices {
        let steps = self.steps();
        let mut rngs: Vec<_> = self.children.iter_mut().map(|child| &mut child.rng).collect();
        choices(&mut rngs, &self.settings, self.plan.dropouts, steps)
    }

    fn child(&self, child: usize) -> Result<&Child<'a, E>, TrainError> {
        let count = self.children.len();
        self.children.get(child).ok_or_else(|| misused(format!("there is no child {child}, there are {count}")))
    }
}

fn misused(why: String) -> TrainError {
    TrainError::Session { why }
}

fn device(why: String) -> TrainError {
    TrainError::Device { why }
}

impl<'a, E: Engine> Session for Stack<'a, E> {
    fn children(&self) -> usize {
        self.children.len()
    }

    fn epochs_done(&self) -> usize {
        self.epochs_done
    }

    fn set_copies(&mut self, child: usize, copies: Copies) -> Result<(), TrainError> {
        let of_child = self.child(child)?;
        let (count, height, width, channels) = copies.images.dim();
        let wanted = self.plan.image;
        if count > 0 && [height, width, channels] != wanted {
            return Err(misused(format!("copies are {:?}, images {wanted:?}", [height, width, channels])));
        }
        if count != copies.sources.len() || copies.sources.iter().any(|&source| source >= of_child.labels.len()) {
            return Err(misused("copies must each have a source among the training images".into()));
        }
        let labels = of_child.labels;
        let originals = if of_child.originals.is_some() { labels } else { &[] };
        let pool: Vec<usize> =
            originals.iter().copied().chain(copies.sources.iter().map(|&source| labels[source])).collect();
        if pool.is_empty() {
            return Err(misused("there is nothing to learn from".into()));
        }
        self.uploaded += copies.images.len() as u64;
        let pixels = (count > 0).then(|| self.engine.pixels(copies.images.into()));
        let candidates = match self.settings.strategy {
            Strategy::Uncertain(_) | Strategy::Consistent(_) | Strategy::Patched(_) => {
                candidates(&copies.sources, &copies.ops, labels.len())
            }
            _ => Vec::new(),
        };
        let of_child = &mut self.children[child];
        let of_originals = if of_child.originals.is_some() { 0..labels.len() } else { 0..0 };
        of_child.sources = of_originals.chain(copies.sources.iter().copied()).collect();
        let groups = of_child.groups.as_ref().and_then(|groups| match candidates.is_empty() {
            true => groups.rows(of_child.sources.iter().copied()),
            // Images are drawn, and their candidates chosen from.
            false => groups.rows(0..labels.len()),
        });
        if let Some(groups) = groups {
            of_child.rng.set_groups(groups);
        }
        of_child.rng.set_pool(if candidates.is_empty() { pool.len() } else { labels.len() });
        let images = labels.len();
        (of_child.copies, of_child.pool, of_child.candidates) = (pixels, pool, candidates);
        let held = self.settings.strategy.held().filter(|_| !self.children[child].candidates.is_empty());
        let weight = |row: usize| held.as_ref().map_or(1.0, |held| held.share(row / images));
        self.children[child].targets = self.targets(child, weight);
        self.data = None;
        Ok(())
    }

    fn set_weights(&mut self, child: usize, weights: &[f32]) -> Result<(), TrainError> {
        let rows = self.child(child)?.pool.len();
        if weights.len() != rows {
            return Err(misused(format!("{} weights for {rows} rows", weights.len())));
        }
        if let Some(weight) = weights.iter().find(|weight| !(**weight >= 0.0 && weight.is_finite())) {
            return Err(misused(format!("the weight {weight} is not a number of at least 0")));
        }
        self.children[child].targets = self.targets(child, |row| weights[row]);
        self.data = None;
        Ok(())
    }

    fn epoch(&mut self) -> Result<Vec<Result<EpochRecord, TrainError>>, TrainError> {
        let trained = self.train()?;
        let [validated, measured] = self.measure()?;
        self.epochs_done += 1;
        let epoch = self.epochs_done;
        let records = (0..self.children.len()).map(|child| {
            let [loss, acc] = trained[child];
            let [val_loss, val_acc] = validated.as_ref().map_or([f64::NAN; 2], |means| means[child]);
            if !loss.is_finite() || !val_loss.is_finite() {
                return Err(TrainError::Diverged { epoch });
            }
            let train_acc = measured.as_ref().map(|means| means[child][1]);
            Ok(EpochRecord { epoch, acc, loss, val_acc, val_loss, train_acc })
        });
        Ok(records.collect())
    }

    fn keep_order(&mut self, keep: bool) {
        self.children.iter_mut().for_each(|child| child.rng.keep_order(keep));
    }

    fn keep_losses(&mut self, keep: bool) {
        self.losses = keep.then(|| self.losses.take().unwrap_or_default());
    }

    fn losses(&self, child: usize) -> &[RowLoss] {
        self.losses.as_ref().and_then(|losses| losses.get(child)).map_or(&[], Vec::as_slice)
    }

    fn groups(&self, child: usize) -> Option<&GroupEpoch> {
        Some(&self.children.get(child)?.groups.as_ref()?.epoch)
    }

    fn candidates(&self, child: usize) -> &[Candidate] {
        self.children.get(child).map_or(&[], |child| &child.candidates)
    }

    fn evaluate(&mut self, images: ArrayView4<'_, u8>, labels: &[usize]) -> Result<Vec<Vec<RowLoss>>, TrainError> {
        let (count, height, width, channels) = images.dim();
        let (wanted, classes) = (self.plan.image, self.plan.classes);
        if count > 0 && [height, width, channels] != wanted {
            return Err(misused(format!("images are {:?}, not {wanted:?}", [height, width, channels])));
        }
        if count != labels.len() || labels.iter().any(|&label| label >= classes) {
            return Err(misused(format!("images must each have a label below {classes}")));
        }
        // Children see pixels as they see their own images.
        let sets = self.children.iter().map(|child| (images.into(), labels, child.input));
        let all_alike = self.children.iter().all(|child| child.input == self.children[0].input);
        let sets: Vec<_> = sets.take(if all_alike { 1 } else { usize::MAX }).collect();
        let uploaded = (sets.len() * images.len()) as u64;
        let Some(evaluation) = Evaluation::new(&self.engine, sets, classes) else {
            return Ok(vec![Vec::new(); self.children.len()]);
        };
        self.uploaded += uploaded;
        evaluation.losses(&mut self.network, &self.engine).map_err(device)
    }

    fn state(&self, child: usize) -> Result<State, TrainError> {
        self.child(child)?;
        let states = self.network.state(child).map_err(device)?;
        let parameters = self.plan.parameters.iter().zip(states).map(|(parameter, state)| ParameterState {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            values: state.values,
            memories: state.memories,
        });
        Ok(State { epochs: self.epochs_done, parameters: parameters.collect() })
    }

    fn load(&mut self, child: usize, state: &State) -> Result<(), TrainError> {
        self.child(child)?;
        let optimiser = &self.settings.optimiser;
        let parameters = self.plan.parameters.iter().map(|parameter| {
            let (name, length) = (&parameter.name, parameter.len());
            let found = state.parameter(name).ok_or_else(|| misused(format!("the state has no \"{name}\"")))?;
            let memories = if parameter.trainable { optimiser.slots() } else { 0 };
            let fits = found.values.len() == length
                && found.memories.len() == memories
                && found.memories.iter().all(|memory| memory.len() == length);
            if !fits || found.shape != parameter.shape {
                return Err(misused(format!("\"{name}\" of the state is not of this model and optimiser")));
            }
            Ok(network::ParameterState { values: found.values.clone(), memories: found.memories.clone() })
        });
        let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
        self.network.load(child, &parameters).map_err(device)
    }

    fn skip(&mut self, epochs: usize) {
        for _ in 0..epochs {
            let _ = self.choices();
            self.epochs_done += 1;
        }
    }

    fn uploaded(&self) -> u64 {
        self.uploaded
    }
}

/// What rows of a child are weighed by.
struct Weighing<'c> {
    /// Absent if they are not known.
    groups: Option<&'c mut Groups>,
    labels: &'c [usize],
    /// The image that each row shows.
    sources: &'c [usize],
}

impl Weighing<'_> {
    /// Returns what each row of a step counts, given their losses `[B, 3]`.
    fn weights(&mut self, held: Option<&Held>, rows: &[u32], losses: &[f32]) -> Vec<f32> {
        let share = |row: usize| held.map_or(1.0, |held| held.share(row / self.labels.len()));
        let rows = rows.iter().map(|&row| row as usize).zip(losses.chunks_exact(3));
        let rows: Vec<_> = rows.map(|(row, loss)| (self.sources[row], loss[0], share(row))).collect();
        match &mut self.groups {
            Some(groups) => groups.weigh(&rows),
            None => rows.into_iter().map(|(.., share)| share).collect(),
        }
    }

    /// Returns what the term of each image of a step counts that holds its versions together, given their rows.
    fn counts(&self, held: &Held, rows: &[u32], versions: usize) -> Vec<f64> {
        let images: Vec<usize> = rows.iter().step_by(versions).map(|&row| self.sources[row as usize]).collect();
        match &self.groups {
            Some(groups) if held.by_group => groups.shares(&images),
            _ => vec![1.0 / images.len().max(1) as f64; images.len()],
        }
    }
}

/// Returns the targets of a step, `[K, B, classes]`, each multiplied by how much its row counts, given the rows drawn and what
/// their losses `[K, B, 3]` are.
fn weighted(
    children: &mut [Weighing<'_>],
    settings: &Settings,
    held: Option<&Held>,
    classes: usize,
    drawn: &[u32],
    losses: &[f32],
) -> Vec<f32> {
    let images = drawn.len() / children.len().max(1);
    let mut all = Vec::with_capacity(drawn.len() * classes);
    for (child, (drawn, losses)) in
        children.iter_mut().zip(drawn.chunks_exact(images).zip(losses.chunks_exact(3 * images)))
    {
        let weights = child.weights(held, drawn, losses);
        let rows = drawn.iter().map(|&row| child.labels[child.sources[row as usize]]).zip(weights);
        all.extend(targets(rows, classes, settings.label_smoothing as f32));
    }
    all
}

/// Returns the class weights of rows, given their labels and weights: `[rows, classes]`.
fn targets(rows: impl Iterator<Item = (usize, f32)>, classes: usize, smoothing: f32) -> impl Iterator<Item = f32> {
    let others = smoothing / classes as f32;
    rows.flat_map(move |(label, weight)| {
        (0..classes).map(move |c| weight * if c == label { 1.0 - smoothing + others } else { others })
    })
}

/// Returns candidates not yet judged, if the copies are all images several times over.
fn candidates(sources: &[usize], ops: &[Ops], images: usize) -> Vec<Candidate> {
    let are_all = sources.len() > images
        && sources.len().is_multiple_of(images.max(1))
        && sources.iter().enumerate().all(|(row, &source)| source == row % images);
    if !are_all {
        return Vec::new();
    }
    let ops = |row: usize| ops.get(row).copied().unwrap_or_default();
    (0..sources.len()).map(|row| Candidate { row, ops: ops(row), loss: 0.0, chosen: 0 }).collect()
}

/// Returns `count` of the training images, evenly spaced over all of them, and their labels.
fn part(set: &TrainingSet<'_>, count: usize) -> (Array4<u8>, Vec<usize>) {
    let all = set.labels.len();
    let chosen: Vec<usize> = (0..count.min(all)).map(|i| i * all / count.min(all)).collect();
    (set.images.select(Axis(0), &chosen), chosen.iter().map(|&image| set.labels[image]).collect())
}

/// Whether two views refer to the same images.
fn is_same(a: &ArrayView4<'_, u8>, b: &ArrayView4<'_, u8>) -> bool {
    std::ptr::eq(a.as_ptr(), b.as_ptr()) && a.dim() == b.dim() && a.strides() == b.strides()
}

/// Whether children of two sets are judged on the same images.
fn is_same_set(a: &TrainingSet<'_>, b: &TrainingSet<'_>) -> bool {
    is_same(&a.images, &b.images)
        && is_same(&a.validation_images, &b.validation_images)
        && std::ptr::eq(a.validation_labels, b.validation_labels)
}

/// Turns the weights of each child into those of all, parameter by parameter.
fn merge(children: Vec<Weights>) -> Vec<Vec<f32>> {
    let mut children = children.into_iter();
    let first = children.next().unwrap_or_default();
    children.fold(first, |mut all, child| {
        all.iter_mut().zip(child).for_each(|(all, values)| all.extend(values));
        all
    })
}
