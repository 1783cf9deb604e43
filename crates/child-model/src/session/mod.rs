//! A training run that can be inspected and changed between its epochs.

mod choices;
mod chooser;
mod evaluation;
mod groups;
mod run;
mod stack;
mod state;

use deepaug_augmenter::{Copies, Ops};
use ndarray::ArrayView4;

pub(crate) use self::evaluation::{EVALUATION_BATCH, Evaluation};
pub(crate) use self::groups::record as group_record;
pub(crate) use self::run::run;
pub(crate) use self::stack::Stack;
pub use self::state::{ParameterState, State};
use crate::{EpochRecord, TrainError};

/// Children that train side by side, one epoch at a time.
///
/// Between epochs a caller may give each child different copies to learn from, weight its images, read its net and
/// optimiser state, or replace them with another child's. This is what population-based and adversarial methods,
/// choosing images by their loss, and training that is robust to groups are built from. Images go to the device
/// once, at one byte per value, and again only when they change.
/// [`ChildModel::session`](crate::ChildModel::session) starts one.
///
/// Everything random is determined by the seed of the child's training run and the number of the epoch: a net
/// loaded into a session of the same training run at the same epoch continues as it would have.
pub trait Session {
    /// Returns the number of children; each is identified by its position among the training runs that started the
    /// session.
    fn children(&self) -> usize;

    /// Returns the number of epochs trained or skipped.
    fn epochs_done(&self) -> usize;

    /// Gives a child different copies to learn from, as made by
    /// [`Training::augmented`](crate::Training::augmented). Its row weights are reset.
    ///
    /// If the settings' [strategy](crate::Strategy) chooses among candidates, copies that are all training images several
    /// times over are the candidates: an epoch draws images, and learns from the chosen candidates of each.
    ///
    /// # Errors
    /// [`TrainError::Session`] if images have a different size, or sources are not among the training images.
    fn set_copies(&mut self, child: usize, copies: Copies) -> Result<(), TrainError>;

    /// Sets how much each row of a child's pool counts; weights are finite and at least 0. The loss of a batch is
    /// the sum of weights times losses, divided by the number of images. The pool is the originals, if they are
    /// learnt from, and then the copies.
    ///
    /// # Errors
    /// [`TrainError::Session`] if the number of weights differs from the number of rows, or one is out of range.
    fn set_weights(&mut self, child: usize, weights: &[f32]) -> Result<(), TrainError>;

    /// Sets whether every epoch takes the rows of a child's pool in their order, from the first, instead of shuffled: for
    /// callers that decide which rows share a batch. The default is not to.
    fn keep_order(&mut self, keep: bool);

    /// Trains every child for one epoch and reports how it went, child by child. A child that has diverged
    /// continues with the others, because another's net may replace its own.
    ///
    /// # Errors
    /// [`TrainError::Device`] if the device fails for all of them; for each child, [`TrainError::Diverged`].
    fn epoch(&mut self) -> Result<Vec<Result<EpochRecord, TrainError>>, TrainError>;

    /// Sets whether [`losses`](Self::losses) are kept from now on. The default is not to.
    fn keep_losses(&mut self, keep: bool);

    /// Returns the rows that a child learnt from in the last epoch, in that order, with their losses during
    /// training: with dropout, and normalised with their batch. Empty unless losses are kept.
    fn losses(&self, child: usize) -> &[RowLoss];

    /// Returns how the groups of a child's images fared in the last epoch, if their subgroups are known.
    fn groups(&self, _child: usize) -> Option<&GroupEpoch> {
        None
    }

    /// Returns a child's candidates in the last epoch, in the order of its pool; empty if there was nothing to choose. Those
    /// of images that did not come up have a loss of 0.
    fn candidates(&self, _child: usize) -> &[Candidate] {
        &[]
    }

    /// Returns the loss of each image for each child in evaluation mode: nothing is dropped, normalisations use
    /// their moving statistics, and nothing changes. Images are u8 `[N, H, W, C]` of the size trained on; labels
    /// are below the number of classes.
    ///
    /// # Errors
    /// [`TrainError::Session`] if images or labels do not fit, [`TrainError::Device`].
    fn evaluate(&mut self, images: ArrayView4<'_, u8>, labels: &[usize]) -> Result<Vec<Vec<RowLoss>>, TrainError>;

    /// Returns a child's net and optimiser state.
    ///
    /// # Errors
    /// [`TrainError::Device`].
    fn state(&self, child: usize) -> Result<State, TrainError>;

    /// Replaces a child's net and optimiser state. Its images, row weights and random choices stay.
    ///
    /// # Errors
    /// [`TrainError::Session`] if the state is of another model or optimiser, [`TrainError::Device`].
    fn load(&mut self, child: usize, state: &State) -> Result<(), TrainError>;

    /// Skips this many epochs: random choices and learning rate are then as if they had been trained. Nets do not
    /// change. Children must have pools of the same size as in those epochs.
    fn skip(&mut self, epochs: usize);

    /// Returns the number of bytes of images sent to the device so far.
    fn uploaded(&self) -> u64;
}

/// The result of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowLoss {
    /// The row of the child's pool, or the position among the evaluated images.
    pub row: usize,
    /// Cross-entropy, regardless of the row's weight.
    pub loss: f32,
    /// Whether its class has the largest logit.
    pub right: bool,
    /// The entropy of the net's probabilities, in nats.
    pub entropy: f32,
}

/// How groups of images, those of one class and one subgroup, fared in an epoch: class by class, subgroup by subgroup.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupEpoch {
    /// The accuracy on the validation images of each; absent for groups without any.
    pub accuracies: Vec<Option<f64>>,
    /// What the loss of each counts, if groups are [weighted](crate::GroupDro); empty otherwise.
    pub weights: Vec<f64>,
}

/// One of several augmented versions of an image, of which some are learnt from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The row of the child's pool.
    pub row: usize,
    /// The ops that were applied to it.
    pub ops: Ops,
    /// Its cross-entropy in evaluation mode before the step that it was a candidate of.
    pub loss: f32,
    /// How often it was learnt from.
    pub chosen: usize,
}
