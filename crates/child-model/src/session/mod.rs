//! A training that can be looked into and changed between its epochs.

mod choices;
mod evaluation;
mod run;
mod stack;
mod state;

use deepaug_augmenter::Copies;
use ndarray::ArrayView4;

pub(crate) use self::run::run;
pub(crate) use self::stack::Stack;
pub use self::state::{ParameterState, State};
use crate::{EpochRecord, TrainError};

/// Children that are trained side by side, an epoch at a time.
///
/// Between epochs a caller may give each child other copies to learn from, weigh its images, read its net and its
/// optimiser's memories, and put another child's in their place: what population-based and adversarial methods,
/// choosing images by their loss, and training that is robust to groups are made of. Images go to the device once, a byte a
/// value, and again only when they change. [`ChildModel::session`](crate::ChildModel::session) starts one.
///
/// Everything random is decided by the seed of the child's training and the number of the epoch: a net that is put into a
/// session of the same training at the same epoch goes on as it would have.
pub trait Session {
    /// How many children there are; each is named by its place among the trainings that the session was started with.
    fn children(&self) -> usize;

    /// Epochs that have been trained, or skipped.
    fn epochs_done(&self) -> usize;

    /// Gives a child other copies to learn from, as [`Training::augmented`](crate::Training::augmented) makes them. Weights of
    /// its rows are forgotten.
    ///
    /// # Errors
    /// [`TrainError::Session`] if images are of another size, or sources are not among the training images.
    fn set_copies(&mut self, child: usize, copies: Copies) -> Result<(), TrainError>;

    /// How much each row of a child's pool counts, of at least 0 and finite: the loss of a batch is the sum of weights times
    /// losses, divided by the number of images. The pool is the originals, where they are learnt from, and then the copies.
    ///
    /// # Errors
    /// [`TrainError::Session`] if there are not as many weights as rows, or one is out of range.
    fn set_weights(&mut self, child: usize, weights: &[f32]) -> Result<(), TrainError>;

    /// Trains every child for an epoch and says how it went, child by child. A child that has diverged goes on
    /// with the others, for another's net may be put in its place.
    ///
    /// # Errors
    /// [`TrainError::Device`] if the device fails, for all of them; for each child, [`TrainError::Diverged`].
    fn epoch(&mut self) -> Result<Vec<Result<EpochRecord, TrainError>>, TrainError>;

    /// Whether [`losses`](Self::losses) are kept from now on. At first they are not.
    fn keep_losses(&mut self, keep: bool);

    /// The rows that a child learnt from in the last epoch, in this order, and their losses as they were trained on: with
    /// dropout, and normalised with their batch. Empty unless they are kept.
    fn losses(&self, child: usize) -> &[RowLoss];

    /// The loss of each image for each child, in evaluation mode: nothing is dropped, normalisations use what they have learnt,
    /// and nothing changes. Images are u8 `[N, H, W, C]` of the size that is trained on, labels below the number of classes.
    ///
    /// # Errors
    /// [`TrainError::Session`] if images or labels do not fit, [`TrainError::Device`].
    fn evaluate(&mut self, images: ArrayView4<'_, u8>, labels: &[usize]) -> Result<Vec<Vec<RowLoss>>, TrainError>;

    /// A child's net and the optimiser's memories.
    ///
    /// # Errors
    /// [`TrainError::Device`].
    fn state(&self, child: usize) -> Result<State, TrainError>;

    /// Puts a net and the optimiser's memories in the place of a child's. Its images, weights of rows, and random choices stay.
    ///
    /// # Errors
    /// [`TrainError::Session`] if it is the state of another model or optimiser, [`TrainError::Device`].
    fn load(&mut self, child: usize, state: &State) -> Result<(), TrainError>;

    /// Passes over so many epochs: random choices and learning rate then stand as if they had been trained. Nets are not
    /// changed. Children must have pools of the size that they had in these epochs.
    fn skip(&mut self, epochs: usize);

    /// Bytes of images that have gone to the device so far.
    fn uploaded(&self) -> u64;
}

/// How well an image is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowLoss {
    /// The row of the child's pool, or the place among the images evaluated.
    pub row: usize,
    /// Cross-entropy, whatever the row's weight.
    pub loss: f32,
    /// Whether its class has the greatest logit.
    pub right: bool,
}
