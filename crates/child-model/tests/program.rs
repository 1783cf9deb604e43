//! Real programs as child models. Tests that need Python skip themselves, and say so, if there is no `python3`.
#![cfg(unix)]
#![expect(clippy::print_stdout, reason = "a test that skips itself says so")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use deepaug_augmenter::{Application, Op, Policy, RangeTable, Step, SubPolicy};
use deepaug_child_model::{
    ChildModel, EpochRecord, History, Model, Observer, Program, Settings, TrainError, Training, TrainingSet,
};
use ndarray::Array4;

const EPOCH_1: &str = r#"echo '{"epoch":1,"acc":0.5,"loss":1.5,"val_acc":0.25,"val_loss":2}'"#;
const EPOCH_2: &str = r#"echo '{"epoch":2,"acc":1,"loss":0.5,"val_acc":0,"val_loss":2.5}'"#;

struct Toy {
    images: Array4<u8>,
    labels: Vec<usize>,
    policy: Policy,
    settings: Settings,
}

impl Toy {
    fn new(count: usize, epochs: usize) -> Self {
        let ops = vec![Step::new(Op::Rotate, 0.5)];
        Self {
            images: Array4::from_shape_fn((count, 5, 4, 3), |(n, y, x, c)| (n * 89 + y * 31 + x * 7 + c * 3) as u8),
            labels: (0..count).map(|n| n % 3).collect(),
            policy: Policy::new(RangeTable::Monotone, 0.5, vec![SubPolicy { ops }]),
            settings: Settings::plain(epochs, Model::BasicCnn.optimiser()),
        }
    }

    fn training(&self) -> Training<'_> {
        let set = TrainingSet {
            images: self.images.view(),
            labels: &self.labels,
            validation_images: self.images.view(),
            validation_labels: &self.labels,
            classes: 3,
            subgroups: None,
            translations: &[],
        };
        Training::new(set, &self.policy, &self.settings, u64::MAX)
    }

    fn train(&self, program: &Program) -> Result<History, TrainError> {
        program.train(&self.training(), &|_| true)
    }
}

fn shell(script: &str) -> Program {
    Program::new(["sh", "-c", script].map(String::from).to_vec())
}

/// Returns a Python program, if there is Python.
fn python(script: &str) -> Option<Program> {
    let there = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        println!("skipped: there is no python3 on this machine");
        return None;
    }
    Some(Program::new(["python3", "-c", script].map(String::from).to_vec()))
}

/// Trains two epochs with a shell script that should fail, and returns the reason.
fn failure(script: &str) -> String {
    match Toy::new(4, 2).train(&shell(script)).unwrap_err() {
        TrainError::Program { why } | TrainError::Killed { why } => why,
        other => panic!("{other:?}"),
    }
}

fn alive(process: &str) -> bool {
    let there = Command::new("kill").args(["-0", process]).stderr(Stdio::null()).status().unwrap().success();
    // A zombie waiting for its parent counts as dead.
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    there && !state.contains(") Z ")
}

/// Whether the processes named in a file end within a few seconds.
fn end(file: &Path) -> bool {
    let processes = std::fs::read_to_string(file).unwrap();
    assert!(!processes.trim().is_empty());
    let start = Instant::now();
    while processes.split_whitespace().any(alive) {
        if start.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn epochs_arrive_in_order_while_the_program_runs() {
    let folder = tempfile::tempdir().unwrap();
    // The second epoch is printed only after the first has been read.
    let script = format!("echo hello; {EPOCH_1}; while ! test -e heard; do sleep 0.02; done; {EPOCH_2}; echo bye");
    let program = shell(&script).with_folder(folder.path().into());
    let toy = Toy::new(4, 2);
    let heard = Mutex::new(Vec::new());
    let on_epoch = |record: &EpochRecord| {
        heard.lock().unwrap().push(*record);
        std::fs::write(folder.path().join("heard"), "").is_ok()
    };
    let history = program.train(&toy.training(), &on_epoch).unwrap();
    assert_eq!(history.epochs, *heard.lock().unwrap());
    assert_eq!(
        history.epochs[0],
        EpochRecord { epoch: 1, acc: 0.5, loss: 1.5, val_acc: 0.25, val_loss: 2.0, train_acc: None }
    );
    assert_eq!(
        history.epochs[1],
        EpochRecord { epoch: 2, acc: 1.0, loss: 0.5, val_acc: 0.0, val_loss: 2.5, train_acc: None }
    );
}

#[test]
fn the_request_and_the_images_arrive_bit_for_bit() {
    let script = r#"
import ast, json, sys, zlib
request = json.loads(sys.stdin.readline())
assert sys.stdin.read() == ""
def load(name):
    raw = open(request[name], "rb").read()
    assert raw[:8] == b"\x93NUMPY\x01\x00"
    start = 10 + int.from_bytes(raw[8:10], "little")
    assert start % 64 == 0 and raw[start - 1 : start] == b"\n"
    header = ast.literal_eval(raw[10:start].decode())
    assert not header["fortran_order"]
    return header["descr"], list(header["shape"]), zlib.crc32(raw[start:])
files = {name: load(name) for name in request if name.endswith("_images") or name.endswith("_labels")}
rest = {name: value for name, value in request.items() if name not in files}
open("told.json", "w").write(json.dumps([rest, files]))
print(json.dumps(dict(epoch=1, acc=0, loss=0, val_acc=0, val_loss=0)))
"#;
    let Some(program) = python(script) else { return };
    let folder = tempfile::tempdir().unwrap();
    let toy = Toy { settings: Settings { images_per_epoch: Some(12), ..Toy::new(6, 1).settings }, ..Toy::new(6, 1) };
    let mut training = toy.training();
    // Views whose memory order differs from their index order.
    training.set.images.invert_axis(ndarray::Axis(1));
    training.set.validation_images.swap_axes(1, 2);
    program.with_folder(folder.path().into()).train(&training, &|_| true).unwrap();

    let copies = toy.policy.copies(training.set.images, training.seed);
    let copied: Vec<usize> = copies.sources.iter().map(|&source| toy.labels[source]).collect();
    let bytes = |images: &ndarray::ArrayView4<'_, u8>| crc32fast::hash(&images.iter().copied().collect::<Vec<_>>());
    let numbers =
        |labels: &[usize]| crc32fast::hash(&labels.iter().flat_map(|&n| (n as i64).to_le_bytes()).collect::<Vec<_>>());
    let told: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("told.json")).unwrap()).unwrap();
    let expected = serde_json::json!([
        {
            "format": 1, "policy": toy.policy, "seed": u64::MAX, "epochs": 1, "batch_size": 64, "images_per_epoch": 12,
            "classes": 3,
        },
        {
            "train_images": ["|u1", [6, 5, 4, 3], bytes(&training.set.images)],
            "train_labels": ["<i8", [6], numbers(&toy.labels)],
            "validation_images": ["|u1", [6, 4, 5, 3], bytes(&training.set.validation_images)],
            "validation_labels": ["<i8", [6], numbers(&toy.labels)],
            "augmented_images": ["|u1", [3, 5, 4, 3], bytes(&copies.images.view())],
            "augmented_labels": ["<i8", [3], numbers(&copied)],
        },
    ]);
    assert_eq!(told, expected);
}

#[test]
fn the_files_are_gone_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("cat > request; {EPOCH_1}");
    Toy::new(4, 1).train(&shell(&script).with_folder(folder.path().into())).unwrap();
    let request = std::fs::read_to_string(folder.path().join("request")).unwrap();
    let request: serde_json::Value = serde_json::from_str(&request).unwrap();
    let images = PathBuf::from(request["train_images"].as_str().unwrap());
    assert!(images.is_absolute() && !images.parent().unwrap().exists());
}

#[test]
fn a_failure_shows_the_last_output() {
    let why = failure("seq 1 30 >&2; exit 3");
    assert!(why.starts_with("it ended with exit code 3 after 0 of 2 epochs. Its last output:\n11\n12\n"), "{why}");
    assert!(why.ends_with("\n30"), "{why}");
    assert!(failure("kill -9 $$").starts_with("it was killed by signal 9, as the system does when memory runs out"));
    assert!(failure(&format!("{EPOCH_1}; {EPOCH_2}; exit 1")).contains("exit code 1 after 2 of 2 epochs"));
    let why = failure(r"printf 'step 1\rstep 2\rstep 3' >&2; exit 1");
    assert!(why.ends_with("output:\nstep 3"), "{why}");
}

#[test]
fn what_is_no_epoch_is_refused() {
    let none = failure(EPOCH_1);
    assert_eq!(none, "it ended with exit code 0 after 1 of 2 epochs. It wrote nothing to its standard error");
    assert!(failure(EPOCH_2).contains("epoch 2 when epoch 1 was due"));
    assert!(failure(&format!("{EPOCH_1}; {EPOCH_1}")).contains("epoch 1 when epoch 2 was due"));
    assert!(failure(&format!("{EPOCH_1}; {EPOCH_2}; {EPOCH_2}")).contains("after epoch 2, the last one requested"));
    let per_cent = failure(r#"echo '{"epoch":1,"acc":41.5,"loss":1,"val_acc":0,"val_loss":1}'"#);
    assert!(per_cent.contains("an accuracy of 41.5; accuracies are shares"), "{per_cent}");
    let missing = failure(r#"echo '{"epoch":1,"acc":0,"loss":1,"val_acc":0}'"#);
    assert!(missing.contains("missing field `val_loss`"), "{missing}");
    assert!(failure(r#"echo "{'epoch': 1}""#).contains("a line that is not an epoch"));
}

#[test]
fn a_loss_that_is_no_number_has_diverged() {
    for loss in ["null", "NaN", "-Infinity"] {
        let second = format!(r#"echo '{{"epoch":2,"acc":0,"loss":{loss},"val_acc":0,"val_loss":1}}'"#);
        let error = Toy::new(4, 2).train(&shell(&format!("{EPOCH_1}; {second}"))).unwrap_err();
        assert!(matches!(error, TrainError::Diverged { epoch: 2 }), "{loss}: {error:?}");
    }
}

#[test]
fn stopping_kills_the_program_and_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("sleep 1000 & echo $$ $! > processes; {EPOCH_1}; wait");
    let program = shell(&script).with_folder(folder.path().into());
    let error = program.train(&Toy::new(4, 2).training(), &|_| false).unwrap_err();
    assert!(matches!(error, TrainError::Stopped), "{error:?}");
    assert!(end(&folder.path().join("processes")));
}

#[test]
fn what_a_program_leaves_running_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("sleep 1000 & echo $! > processes; {EPOCH_1}");
    let program = shell(&script).with_folder(folder.path().into());
    let start = Instant::now();
    Toy::new(4, 1).train(&program).unwrap();
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(end(&folder.path().join("processes")));
}

#[test]
fn much_output_and_no_input_do_not_hang_it() {
    let script = format!("exec 0<&-; yes much | head -n 2000000 >&2; yes more | head -n 200000; {EPOCH_1}");
    assert_eq!(Toy::new(2000, 1).train(&shell(&script)).unwrap().epochs.len(), 1);
    let endless = format!("head -c 3000000 /dev/zero | tr '\\0' x >&2; {EPOCH_1}; exit 1");
    let TrainError::Program { why } = Toy::new(4, 1).train(&shell(&endless)).unwrap_err() else { panic!() };
    assert!(why.len() < 10_000);
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let why = |words: &[&str]| {
        let program = Program::new(words.iter().map(|word| word.to_string()).collect());
        let error = program.check([5, 4, 3], 3).unwrap_err().to_string();
        assert_eq!(Toy::new(4, 1).train(&program).unwrap_err().to_string(), error);
        error
    };
    assert_eq!(why(&["no-such-program"]), "the child program failed: there is no program \"no-such-program\" in PATH");
    assert!(why(&["./no/such"]).ends_with("no/such does not exist"));
    assert!(why(&["/etc/passwd"]).contains("/etc/passwd is not a file that can be executed"));
    assert!(why(&[]).contains("its command is empty"));
    assert!(why(&["", "train.py"]).contains("its command is empty"));
    let lost = shell("true").with_folder("/no/such/folder".into()).check([5, 4, 3], 3).unwrap_err();
    assert!(lost.to_string().contains("its folder /no/such/folder does not exist"));
    shell("true").check([5, 4, 3], 3).unwrap();
}

#[test]
fn a_name_with_a_slash_is_looked_for_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("mine")).unwrap();
    let program = Program::new(["./mine", "-c", EPOCH_1].map(String::from).to_vec());
    let program = program.with_folder(folder.path().into());
    program.check([5, 4, 3], 3).unwrap();
    assert_eq!(Toy::new(4, 1).train(&program).unwrap().epochs.len(), 1);
}

#[test]
fn programs_are_told_to_use_one_core() {
    let wish = std::env::var("OMP_NUM_THREADS").unwrap_or("1".into());
    let script = format!("test \"$OMP_NUM_THREADS\" = {wish} || exit 9; {EPOCH_1}");
    Toy::new(4, 1).train(&shell(&script)).unwrap();
}

#[test]
fn settings_that_a_program_cannot_follow_are_refused() {
    let mut toy = Toy::new(4, 1);
    toy.settings.augment = Application::Epoch;
    assert!(toy.train(&shell(EPOCH_1)).unwrap_err().to_string().contains("set augment to \"once\""));
}

#[test]
fn several_run_at_once_and_come_back_in_order() {
    struct Silent;
    impl Observer for Silent {}
    // Each waits until the other runs too.
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
seed=$(sed 's/.*"seed":\([0-9]*\),.*/\1/'); touch $seed
until test -e 1 && test -e 2; do sleep 0.02; done
echo "{\"epoch\":1,\"acc\":0,\"loss\":$seed,\"val_acc\":0,\"val_loss\":0}""#;
    let program = shell(script).with_folder(folder.path().into());
    let toy = Toy::new(4, 1);
    let trainings = [1, 2].map(|seed| Training { seed, ..toy.training() });
    let losses: Vec<f64> =
        program.train_all(&trainings, 2, &Silent).into_iter().map(|history| history.unwrap().epochs[0].loss).collect();
    assert_eq!(losses, [1.0, 2.0]);
}
