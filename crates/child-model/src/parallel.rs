//! Several trainings at once.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Device, EpochRecord, History, Settings, TrainError, Training, train};

/// Follows several trainings at once, from several threads. A training is named by its index.
pub trait Observer: Sync {
    /// A training is about to begin. Returning false leaves it out, with [`TrainError::Stopped`].
    fn begins(&self, _index: usize) -> bool {
        true
    }

    /// An epoch has ended. Returning false ends the training.
    fn epoch(&self, _index: usize, _record: &EpochRecord) -> bool {
        true
    }

    /// A training has ended.
    fn finished(&self, _index: usize, _result: &Result<History, TrainError>) {}
}

/// Trains every child and returns the histories in the order given; a child's history does not depend on the others.
///
/// On the CPU as many children run at once as `threads` says, one thread each: two children on two threads do more
/// than one child on both. On a GPU they take turns.
pub fn train_all(
    trainings: &[Training<'_>],
    settings: &Settings,
    device: &Device,
    threads: usize,
    observer: &dyn Observer,
) -> Vec<Result<History, TrainError>> {
    let lanes = if device.is_cpu() { threads.clamp(1, trainings.len().max(1)) } else { 1 };
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<_>>> = trainings.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(training) = trainings.get(index) else { break };
            let run = || train(training, settings, device, &|record| observer.epoch(index, record));
            let result = match observer.begins(index) {
                true => catch_unwind(AssertUnwindSafe(run))
                    .unwrap_or_else(|panic| Err(TrainError::Panicked { why: message(panic.as_ref()) })),
                false => Err(TrainError::Stopped),
            };
            observer.finished(index, &result);
            *results[index].lock().expect("no lane panics while it holds a result") = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                // A pool of one thread for each lane: on a shared pool all children would queue behind one another.
                match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                    Ok(pool) if device.is_cpu() => pool.install(work),
                    _ => work(),
                }
            });
        }
    });
    results
        .into_iter()
        .map(|slot| slot.into_inner().expect("lanes have ended").expect("lanes end after every training has run"))
        .collect()
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()))
        .unwrap_or_else(|| "a panic without a message".into())
}
