//! The user's own program as a child model.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use deepaug_augmenter::{Application, Policy};
use ndarray::ArrayView4;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{ChildModel, EpochRecord, History, TrainError, Training};

/// The version of the protocol between deepaug and the program.
const FORMAT: u64 = 1;

/// Lines of the program's standard error that an error message shows.
const LAST_WORDS: usize = 20;

/// A longer line is read in pieces of this many bytes, so that no output exhausts memory.
const MAX_LINE: u64 = 1 << 16;

/// How long a program that has ended may be silent while something it started keeps its output open.
const PATIENCE: Duration = Duration::from_millis(500);

/// Environment variables for programs, unless the user has set them: training runs one per core, and Python must
/// print its lines at once.
const ENVIRONMENT: [(&str, &str); 2] = [("OMP_NUM_THREADS", "1"), ("PYTHONUNBUFFERED", "1")];

/// A child model that is the user's own program, in any language.
///
/// The program is started once per training run. **It reads** one line of JSON from its standard input:
///
/// | key | value |
/// | --- | --- |
/// | `format` | 1; keys may be added, and a change in their meaning makes it 2 |
/// | `policy` | the policy being judged, as in `best_policy.json`; it has no ops when nothing is augmented |
/// | `seed` | 0 to 2^64 - 1; the same training run must give the same numbers |
/// | `epochs`, `batch_size` | how long to train, on how many images per step |
/// | `images_per_epoch` | images an epoch draws from originals and copies, the same for every policy; null for all |
/// | `classes` | number of classes |
/// | `train_images`, `train_labels` | files of the originals |
/// | `augmented_images`, `augmented_labels` | files of the copies that the policy makes of them; may be empty |
/// | `validation_images`, `validation_labels` | files of the images to measure on |
///
/// The files are NumPy's `.npy`, for `numpy.load`: images u8 `[N, height, width, channels]`, labels i64 `[N]`.
/// They are deleted when the training run ends.
///
/// **It prints** one line of JSON to its standard output after each epoch, counted from 1, and ends with exit code
/// 0 after the last:
///
/// ```text
/// {"epoch": 1, "acc": 0.41, "loss": 1.62, "val_acc": 0.47, "val_loss": 1.43}
/// ```
///
/// Accuracies are shares in [0, 1], on the images it trained on and on the validation images. Lines that do not
/// start with `{` are ignored. A loss of null, NaN or Infinity means that the training diverged. Standard error is
/// shown if the program fails.
///
/// `OMP_NUM_THREADS` is set to 1, because training runs one per core, and `PYTHONUNBUFFERED` to 1, unless the
/// environment already has them. On Unix it runs in its own process group, which is killed when the training is
/// stopped or the program has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    command: Vec<String>,
    folder: PathBuf,
}

impl Program {
    /// Creates a child model from a program and its arguments, in the current folder. A name without a slash is
    /// looked up in `PATH`.
    pub fn new(command: Vec<String>) -> Self {
        Self { command, folder: PathBuf::new() }
    }

    /// Sets the working folder; a name with a slash, and the program's own arguments, are relative to it.
    pub fn with_folder(self, folder: PathBuf) -> Self {
        Self { folder, ..self }
    }

    /// Returns the program's file and its working folder.
    fn find(&self) -> Result<(PathBuf, PathBuf), TrainError> {
        let Some(name) = self.command.first().filter(|name| !name.is_empty()) else {
            return Err(failed(
                "its command is empty; give a program and its arguments, as [\"python3\", \"train.py\"]",
            ));
        };
        let folder = std::path::absolute(Path::new(".").join(&self.folder))
            .ok()
            .filter(|folder| folder.is_dir())
            .ok_or_else(|| failed(format!("its folder {} does not exist", self.folder.display())))?;
        if Path::new(name).components().count() > 1 {
            let file = folder.join(name);
            return match (is_program(&file), file.exists()) {
                (true, _) => Ok((file, folder)),
                (_, true) => Err(failed(format!("{} is not a file that can be executed", file.display()))),
                (_, false) => Err(failed(format!("{} does not exist", file.display()))),
            };
        }
        let with_suffix = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .flat_map(|place| [place.join(name), place.join(&with_suffix)])
            .find(|file| is_program(file))
            .and_then(|file| std::path::absolute(file).ok())
            .map(|file| (file, folder))
            .ok_or_else(|| failed(format!("there is no program {name:?} in PATH")))
    }

    /// Starts it on a training run whose files are in `files`.
    fn start(&self, files: &Path, training: &Training<'_>) -> Result<Process, TrainError> {
        let (file, folder) = self.find()?;
        // A file, because a pipe that the program does not read would need a thread to write it.
        let request = write_request(files, training).map_err(|error| {
            let place = files.display();
            failed(format!("its images cannot be written to {place}: {error}. Set TMPDIR to use another place"))
        })?;
        let mut command = Command::new(&file);
        command.args(&self.command[1..]).current_dir(folder);
        command.envs(ENVIRONMENT.iter().filter(|(key, _)| std::env::var_os(key).is_none()).copied());
        command.stdin(request).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Process::start(command).map_err(|error| failed(format!("{} cannot be started: {error}", file.display())))
    }
}

impl ChildModel for Program {
    fn name(&self) -> String {
        self.command.join(" ")
    }

    fn train(&self, training: &Training<'_>, on_epoch: &dyn Fn(&EpochRecord) -> bool) -> Result<History, TrainError> {
        let start = Instant::now();
        if training.settings.augment != Application::Once {
            return Err(failed(
                "a program gets its augmented images once, before the first epoch; set augment to \"once\"",
            ));
        }
        if training.initial_weights.is_some() {
            return Err(failed("a program cannot start from deepaug's weights"));
        }
        let files = tempfile::Builder::new()
            .prefix("deepaug-")
            .tempdir()
            .map_err(|error| failed(format!("there is no place for its images: {error}. Set TMPDIR to name one")))?;
        let mut program = self.start(files.path(), training)?;
        let mut epochs = Vec::new();
        let mut last_output = VecDeque::new();
        while let Some(said) = program.next() {
            match said {
                Said::Output(line) => {
                    let Some(record) = read_epoch(&line, epochs.len() + 1, training.settings.epochs)? else { continue };
                    epochs.push(record);
                    if !on_epoch(&record) {
                        return Err(TrainError::Stopped);
                    }
                }
                Said::Error(line) => {
                    // Of a progress bar, only its last state.
                    last_output.push_back(short(line.rsplit('\r').next().unwrap_or_default()));
                    last_output.drain(..last_output.len().saturating_sub(LAST_WORDS));
                }
            }
        }
        let end = program.child.wait().map_err(|error| failed(format!("waiting for it failed: {error}")))?;
        if end.success() && epochs.len() == training.settings.epochs {
            return Ok(History::new(epochs, start.elapsed().as_secs_f64()));
        }
        let (had, due) = (epochs.len(), training.settings.epochs);
        let words = match last_output.is_empty() {
            true => ". It wrote nothing to its standard error".into(),
            false => format!(". Its last output:\n{}", Vec::from(last_output).join("\n")),
        };
        let why = format!("it {} after {had} of {due} epochs{words}", describe(end));
        Err(if is_killed(end) { TrainError::Killed { why } } else { failed(why) })
    }

    fn check(&self, _image: [usize; 3], _classes: usize) -> Result<(), TrainError> {
        self.find().map(|_| ())
    }

    fn device(&self) -> String {
        "program".into()
    }

    fn device_kind(&self) -> &'static str {
        "program"
    }
}

fn failed(why: impl Into<String>) -> TrainError {
    TrainError::Program { why: why.into() }
}

/// Returns as much of a line as an error message can hold.
fn short(line: &str) -> String {
    line.chars().take(300).collect()
}

fn is_program(file: &Path) -> bool {
    let Ok(about) = file.metadata() else { return false };
    #[cfg(unix)]
    let executable = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let executable = true;
    about.is_file() && executable
}

fn is_killed(end: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&end).is_some();
    #[cfg(not(unix))]
    return end.code().is_none();
}

fn describe(end: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&end) {
        let hint = if signal == SIGKILL { ", as the system does when memory runs out," } else { "" };
        return format!("was killed by signal {signal}{hint}");
    }
    match end.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "ended".into(),
    }
}

/// The request to the program.
#[derive(Serialize)]
struct Request<'a> {
    format: u64,
    policy: &'a Policy,
    seed: u64,
    epochs: usize,
    batch_size: usize,
    images_per_epoch: Option<usize>,
    classes: usize,
    train_images: &'a Path,
    train_labels: &'a Path,
    validation_images: &'a Path,
    validation_labels: &'a Path,
    augmented_images: &'a Path,
    augmented_labels: &'a Path,
}

/// Writes the training run's images, labels and request into a folder, and returns the request, open for reading.
fn write_request(files: &Path, training: &Training<'_>) -> io::Result<File> {
    let Training { set, policy, settings, seed, .. } = *training;
    let copies = training.augmented(0);
    let copied_labels: Vec<usize> = copies.sources.iter().map(|&source| set.labels[source]).collect();
    let [train_images, train_labels] = write_part(files, "train", set.images, set.labels)?;
    let [validation_images, validation_labels] =
        write_part(files, "validation", set.validation_images, set.validation_labels)?;
    let [augmented_images, augmented_labels] = write_part(files, "augmented", copies.images.view(), &copied_labels)?;
    let request = serde_json::to_string(&Request {
        format: FORMAT,
        policy,
        seed,
        epochs: settings.epochs,
        batch_size: settings.batch_size,
        images_per_epoch: settings.images_per_epoch,
        classes: set.classes,
        train_images: &train_images,
        train_labels: &train_labels,
        validation_images: &validation_images,
        validation_labels: &validation_labels,
        augmented_images: &augmented_images,
        augmented_labels: &augmented_labels,
    })?;
    let path = files.join("request.json");
    std::fs::write(&path, request + "\n")?;
    File::open(path)
}

/// Writes images and labels, and returns their paths.
fn write_part(files: &Path, name: &str, images: ArrayView4<'_, u8>, labels: &[usize]) -> io::Result<[PathBuf; 2]> {
    let paths = ["images", "labels"].map(|kind| files.join(format!("{name}_{kind}.npy")));
    let pixels = images.as_standard_layout();
    write_npy(&paths[0], "|u1", images.shape(), pixels.as_slice().expect("the standard layout is a slice"))?;
    let labels: Vec<u8> = labels.iter().flat_map(|&label| (label as i64).to_le_bytes()).collect();
    write_npy(&paths[1], "<i8", &[labels.len() / 8], &labels)?;
    Ok(paths)
}

/// Writes version 1.0 of <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
fn write_npy(path: &Path, kind: &str, shape: &[usize], data: &[u8]) -> io::Result<()> {
    let shape: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version and the header length take 10 bytes; with the newline, the data begins at a multiple of 64.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut file = File::create(path)?;
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(length as u16).to_le_bytes())?;
    writeln!(file, "{header:<width$}", width = length - 1)?;
    file.write_all(data)
}

/// What the program reports about an epoch.
#[derive(Deserialize)]
struct Epoch {
    epoch: usize,
    acc: f64,
    #[serde(deserialize_with = "loss")]
    loss: f64,
    val_acc: f64,
    #[serde(deserialize_with = "loss")]
    val_loss: f64,
}

/// Reads a number, or null for none.
fn loss<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Reads a line of the program's output: the record of epoch `due`, if it is one.
fn read_epoch(line: &str, due: usize, epochs: usize) -> Result<Option<EpochRecord>, TrainError> {
    if !line.starts_with('{') {
        return Ok(None);
    }
    let told = short(line);
    let Epoch { epoch, acc, loss, val_acc, val_loss } = match serde_json::from_str(line) {
        Ok(epoch) => epoch,
        // How Python and JavaScript print values that JSON cannot express.
        Err(_) if line.contains("NaN") || line.contains("Infinity") => return Err(TrainError::Diverged { epoch: due }),
        Err(error) => return Err(failed(format!("it printed a line that is not an epoch ({error}): {told}"))),
    };
    if due > epochs {
        return Err(failed(format!("it continued after epoch {epochs}, the last one requested: {told}")));
    }
    if epoch != due {
        return Err(failed(format!("it printed epoch {epoch} when epoch {due} was due: {told}")));
    }
    if let Some(wrong) = [acc, val_acc].into_iter().find(|share| !(0.0..=1.0).contains(share)) {
        return Err(failed(format!("it printed an accuracy of {wrong}; accuracies are shares from 0 to 1: {told}")));
    }
    if !(loss.is_finite() && val_loss.is_finite()) {
        return Err(TrainError::Diverged { epoch });
    }
    Ok(Some(EpochRecord { epoch, acc, loss, val_acc, val_loss, train_acc: None }))
}

/// A line that the program wrote.
enum Said {
    Output(String),
    Error(String),
}

/// A started program. Dropping it kills the program and everything it has started in its group.
struct Process {
    child: Child,
    said: Receiver<Said>,
    ended: bool,
}

impl Process {
    fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(child.id());
        let (sender, said) = sync_channel(64);
        let streams = (child.stdout.take(), child.stderr.take());
        let running = Self { child, said, ended: false };
        if let (Some(output), Some(error)) = streams {
            listen(output, Said::Output, sender.clone())?;
            listen(error, Said::Error, sender)?;
        }
        Ok(running)
    }

    /// Waits for its next line. Returns `None` when there will be no more: both streams are closed, or the program
    /// has ended and whatever still holds them open is silent.
    fn next(&mut self) -> Option<Said> {
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(said) => return Some(said),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if self.ended => return None,
                Err(RecvTimeoutError::Timeout) => self.ended = matches!(self.child.try_wait(), Ok(Some(_))),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        #[cfg(unix)]
        kill(-(self.child.id() as i32), SIGKILL);
        let _ = self.child.kill();
        let _ = self.child.wait();
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.child.id());
    }
}

/// The running programs, by process id.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Kills every program that runs for a [`Program`] of this process. Call it before exiting: they would outlive the
/// process.
pub fn kill_programs() {
    #[cfg(unix)]
    for id in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        kill(-(*id as i32), SIGKILL);
    }
}

#[cfg(unix)]
const SIGKILL: i32 = 9;

#[cfg(unix)]
// SAFETY: this is POSIX's kill, whose pid_t is an i32 on every system that std supports, and it touches no memory.
unsafe extern "C" {
    safe fn kill(process: i32, signal: i32) -> i32;
}

/// Sends the lines of a stream from a thread, which ends with the stream or when nobody listens any more.
fn listen(stream: impl Read + Send + 'static, said: fn(String) -> Said, sender: SyncSender<Said>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut next = move || {
        let mut line = Vec::new();
        let read = stream.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        read.is_ok_and(|bytes| bytes > 0).then(|| String::from_utf8_lossy(&line).trim().to_string())
    };
    thread::Builder::new()
        .spawn(move || while next().is_some_and(|line| sender.send(said(line)).is_ok()) {})
        .map(|_| ())
}
