//! Several training runs at once, one thread each.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{ChildModel, History, Observer, TrainError, Training};

/// Trains every child, each on its own thread.
pub(crate) fn train_all<C: ChildModel + ?Sized>(
    child: &C,
    trainings: &[Training<'_>],
    threads: usize,
    observer: &dyn Observer,
) -> Vec<Result<History, TrainError>> {
    run(trainings.len(), threads, observer, &|index| {
        child.train(&trainings[index], &|record| observer.epoch(index, record))
    })
}

/// Runs `train` for 0 to `count` on the given number of threads, and returns the results in order. A panic fails
/// only its own training run.
fn run(
    count: usize,
    threads: usize,
    observer: &dyn Observer,
    train: &(dyn Fn(usize) -> Result<History, TrainError> + Sync),
) -> Vec<Result<History, TrainError>> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<_>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = results.get(index) else { break };
            let result = match observer.begins(index) {
                true => catch_panic(|| train(index)),
                false => Err(TrainError::Stopped),
            };
            observer.finished(index, &result);
            *slot.lock().expect("no lane panics while it holds a result") = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(|| {
                // One single-threaded pool per lane: on a shared pool all children would queue behind one another.
                match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                    Ok(pool) => pool.install(work),
                    Err(_) => work(),
                }
            });
        }
    });
    results
        .into_iter()
        .map(|slot| slot.into_inner().expect("lanes have ended").expect("lanes end after every training has run"))
        .collect()
}

/// Turns a panic into an error.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> Result<T, TrainError>) -> Result<T, TrainError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(TrainError::Panicked { why: message(panic.as_ref()) }))
}

fn message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()))
        .unwrap_or_else(|| "a panic without a message".into())
}
